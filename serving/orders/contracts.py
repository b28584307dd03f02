"""What the API of orders takes and gives: shapes, units and ranges. No rule and no query here.

Money in fen (`_cents`), times in UTC (`_at`). What a role may not see is null.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

_TEXT = r"^[^\x00-\x1f\x7f]+(?!\n)$"
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=_TEXT)]
"""An id as the caller knows it."""
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=_TEXT)]
Region = Annotated[str, Meta(min_length=1, max_length=32, pattern=_TEXT)]
Cents = Annotated[int, Meta(ge=0, le=10**10, description="Fen.")]
Qty = Annotated[int, Meta(ge=1, le=10**6)]
StockQty = Annotated[int, Meta(ge=0, le=10**7)]
Moment = Annotated[datetime, Meta(tz=True)]
CouponCode = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[0-9A-Z]+(?!\n)$")]
"""A code as it was issued."""
Channel = Literal["mini_program", "wecom", "live", "store", "other"]


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the API takes: a misspelt field is told, not ignored."""


class LineRequest(_Request, frozen=True, kw_only=True):
    """One line of a new order; prices are the merchant's listing, never the caller's."""

    sku_id: Id
    qty: Qty


class RecipientRequest(_Request, frozen=True, kw_only=True):
    """Who receives the parcels; kept encrypted."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]
    phone: Annotated[str, Meta(min_length=5, max_length=32, pattern=r"^[0-9+() -]{5,32}(?!\n)$")]
    address: Annotated[str, Meta(min_length=1, max_length=300, pattern=_TEXT)]


class PlaceOrder(_Request, frozen=True, kw_only=True):
    """A new order."""

    merchant_id: Id
    consumer_id: Id
    lines: Annotated[list[LineRequest], Meta(min_length=1, max_length=100)]
    agent_id: Id | None = None
    channel: Channel = "mini_program"
    region_code: Region | None = None
    coupon_codes: Annotated[list[CouponCode], Meta(max_length=4)] = []
    scene_ids: Annotated[list[Id], Meta(max_length=4)] = []
    promotion_id: Annotated[Id | None, Meta(description="The promotion that the order takes of.")] = None
    group_id: Annotated[
        Id | None, Meta(description="The group of buyers that it joins; without one a group-buy opens one.")
    ] = None
    recipient: RecipientRequest | None = None


class ShortLine(_Request, frozen=True, kw_only=True):
    """A line of which the supplier has fewer units than were ordered."""

    line_no: Annotated[int, Meta(ge=1, le=10**6)]
    available_qty: StockQty


class AcceptSubOrder(_Request, frozen=True, kw_only=True):
    """A supplier takes its part of an order; lines that it cannot fill stand in `short`."""

    short: Annotated[list[ShortLine], Meta(max_length=100)] = []


class RejectSubOrder(_Request, frozen=True, kw_only=True):
    """A supplier does not take its part of an order."""

    reason_code: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]


class ShipmentNotice(_Request, frozen=True, kw_only=True):
    """A parcel is on its way."""

    shipment_id: Id
    promised_at: Moment
    carrier: Text | None = None
    tracking_no: Text | None = None
    shipped_at: Moment | None = None


class ReceiptNotice(_Request, frozen=True, kw_only=True):
    """The buyer has the goods: of one supplier, or of all that shipped."""

    supplier_id: Id | None = None


class OpenCase(_Request, frozen=True, kw_only=True):
    """A new after-sale case on a line; line 0 is the freight of `supplier_id`."""

    line_no: Annotated[int, Meta(ge=0, le=10**6)]
    kind: Literal["refund", "return", "complaint"]
    reason_code: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]
    requested_cents: Cents
    supplier_id: Id | None = None
    qty: Annotated[int, Meta(ge=1, le=10**6, description="Units; needed for a return.")] | None = None


class AnswerCase(_Request, frozen=True, kw_only=True):
    """What a supplier says to a case; where goods come back, also where to."""

    agrees: bool
    reason_code: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)] | None = None
    return_address: RecipientRequest | None = None


class ReturnParcel(_Request, frozen=True, kw_only=True):
    """A parcel that brings goods back."""

    carrier: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]
    tracking_no: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]


class ReturnReceipt(_Request, frozen=True, kw_only=True):
    """What came back, and what of it can be sold again."""

    received_qty: Annotated[int, Meta(ge=0, le=10**6)]
    restocked_qty: Annotated[int, Meta(ge=0, le=10**6)]


class Arbitration(_Request, frozen=True, kw_only=True):
    """What an operator decides where shop and supplier disagree."""

    decision: Literal["refund", "reject"]
    reason_code: Annotated[str, Meta(min_length=1, max_length=64, pattern=_TEXT)]


class RefundCase(_Request, frozen=True, kw_only=True):
    """Money back on a case; may be repeated up to what the case asked for."""

    refund_cents: Annotated[
        int, Meta(ge=0, le=10**10, description="Fen; 0 for a line that cost nothing and came back.")
    ]


class CancelUnits(_Request, frozen=True, kw_only=True):
    """Units of a paid line that shall not be shipped."""

    qty: Annotated[int, Meta(ge=1, le=10**6)]


class UnitsInWarehouse(_Request, frozen=True, kw_only=True):
    """Units of a sku that were counted in one warehouse."""

    warehouse_id: Id
    on_hand_qty: StockQty


class StockLine(_Request, frozen=True, kw_only=True):
    """What a supplier counted of one sku."""

    sku_id: Id
    on_hand_qty: StockQty
    source_at: Moment
    buffer_qty: StockQty = 0
    warehouses: Annotated[
        Annotated[list[UnitsInWarehouse], Meta(min_length=1, max_length=100)] | None,
        Meta(
            description="Where all of `on_hand_qty` lies; orders then leave only from where units lie."
            " Null: not stated, all warehouses draw on one stock."
        ),
    ] = None


class StockBatch(_Request, frozen=True, kw_only=True):
    """A supplier's counts; for each sku the latest `source_at` wins."""

    stock: Annotated[list[StockLine], Meta(min_length=1, max_length=1_000)]


class OfferLine(_Request, frozen=True, kw_only=True):
    """On which terms a supplier ships one unit of a sku."""

    sku_id: Id
    supply_price_cents: Cents
    lead_time_days: Annotated[int, Meta(ge=0, le=3_650)]
    source_at: Moment
    freight_cents: Annotated[int, Meta(ge=0, le=10**10, description="Fen a unit, paid by the buyer.")] = 0
    min_order_qty: Qty = 1
    ship_from_region: Region | None = None
    is_active: bool = True


class OfferBatch(_Request, frozen=True, kw_only=True):
    """A supplier's terms; for each sku the latest `source_at` wins."""

    offers: Annotated[list[OfferLine], Meta(min_length=1, max_length=1_000)]


class SupplierSkuLine(_Request, frozen=True, kw_only=True):
    """Whether a supplier may offer a sku, and whether for nothing."""

    sku_id: Id
    is_approved: bool = True
    may_be_free: bool = False


class SupplierSkuBatch(_Request, frozen=True, kw_only=True):
    """What a supplier may offer; skus that are not named stay as they are."""

    skus: Annotated[list[SupplierSkuLine], Meta(min_length=1, max_length=1_000)]


class LossBudgetRequest(_Request, frozen=True, kw_only=True):
    """What a merchant's lines may lose on each of some local days, both ends included."""

    first_on: date
    last_on: date
    limit_cents: Cents


class EndpointRequest(_Request, frozen=True, kw_only=True):
    """Where a party wants to be told."""

    url: Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^https?://[^\s]+(?!\n)$")]
    party_type: Literal["supplier", "merchant"] | None = None
    party_id: Id | None = None


class EndpointChange(_Request, frozen=True, kw_only=True):
    """Another address for an endpoint, or its end."""

    url: Annotated[str, Meta(min_length=8, max_length=500, pattern=r"^https?://[^\s]+(?!\n)$")]
    is_active: bool = True


class LineView(Struct, frozen=True, kw_only=True):
    """A line; amounts are of the whole line.

    `warehouse_id` is null where its supplier has no warehouse; the two days are null where the order came
    from the past.
    """

    line_no: int
    sku_id: str
    supplier_id: str
    qty: int
    reserved_qty: int
    list_price_cents: int | None
    coupon_discount_cents: int | None
    net_paid_cents: int | None
    refunded_cents: int | None
    supply_price_cents: int | None
    warehouse_id: str | None
    ships_on: date | None
    promised_on: date | None


class SubOrderView(Struct, frozen=True, kw_only=True):
    """What one supplier ships."""

    supplier_id: str
    status: str
    freight_cents: int
    refunded_freight_cents: int
    accepted_at: datetime | None
    shipped_at: datetime | None
    received_at: datetime | None
    release_due_at: datetime | None


class RecipientView(Struct, frozen=True, kw_only=True):
    """Who receives, as far as the asking key may see it."""

    name: str
    phone: str
    address: str
    region_code: str | None


class UnitsCancelledView(Struct, frozen=True, kw_only=True):
    """What became of units that were cancelled."""

    order_id: str
    line_no: int
    left_qty: int
    refund_cents: int
    freight_cents: int
    order_status: str


_GOODS = Meta(description="Of a line with goods, null for its supplier: it sees no retail price.")


class CaseView(Struct, frozen=True, kw_only=True):
    """An after-sale case."""

    case_id: str
    order_id: str
    line_no: int
    supplier_id: str
    kind: str
    reason_code: str
    status: str
    requested_cents: Annotated[int | None, _GOODS]
    refund_cents: Annotated[int | None, _GOODS]
    opened_at: datetime
    resolved_at: datetime | None
    qty: int | None = None
    supplier_answer: str | None = None
    answer_code: str | None = None
    answered_at: datetime | None = None
    return_carrier: str | None = None
    return_tracking_no: str | None = None
    sent_back_at: datetime | None = None
    received_qty: int | None = None
    restocked_qty: int | None = None
    received_back_at: datetime | None = None
    decision: str | None = None
    decision_code: str | None = None
    decided_at: datetime | None = None


class RedemptionView(Struct, frozen=True, kw_only=True):
    """A coupon of an order; `state` is `redeemed`, `given_back` or `forfeited`."""

    code: str
    programme_id: str
    discount_cents: int
    state: str


class RoleView(Struct, frozen=True, kw_only=True):
    """Who is paid beside the seller, and the scene that gave the role."""

    role: str
    party_type: str
    party_id: str
    scene_id: str | None


class PromotionUseView(Struct, frozen=True, kw_only=True):
    """What an order took of a promotion; `given_back` once it ended before it was a sale."""

    promotion_id: str
    state: str
    group_id: str | None
    group_status: Annotated[str | None, Meta(description="`open`, `complete` or `ended`.")]


class OrderView(Struct, frozen=True, kw_only=True):
    """An order as the asking key may see it: a supplier sees its own lines and no retail price.

    Coupons and roles are shown to the shop, operators and auditors.
    """

    order_id: str
    merchant_id: str
    consumer_id: str | None
    agent_id: str | None
    channel: str
    region_code: str | None
    status: str
    placed_at: datetime
    paid_at: datetime | None
    coupon_discount_cents: int | None
    freight_cents: int | None
    payable_cents: int | None
    captured_cents: int | None
    refunded_cents: int | None
    lines: list[LineView]
    sub_orders: list[SubOrderView]
    after_sales: list[CaseView]
    coupons: list[RedemptionView] | None = None
    roles: list[RoleView] | None = None
    promotion: PromotionUseView | None = None
    recipient: RecipientView | None = None


class OrderSummary(Struct, frozen=True, kw_only=True):
    """An order in a list."""

    order_id: str
    merchant_id: str
    agent_id: str | None
    status: str
    placed_at: datetime
    paid_at: datetime | None
    payable_cents: int | None
    refunded_cents: int | None


class OrderPage(Struct, frozen=True, kw_only=True):
    """Orders, the latest first."""

    orders: list[OrderSummary]
    next_cursor: str | None


class RefundView(Struct, frozen=True, kw_only=True):
    """A refund that was booked."""

    refund_id: str
    case: CaseView
    refund_cents: int
    order_status: str


class TakenOver(Struct, frozen=True, kw_only=True):
    """Skus whose report was taken over; the others were not newer than what is known."""

    accepted: list[str]
    outdated: list[str]


class WaitingOffer(Struct, frozen=True, kw_only=True):
    """An offer that waits for a decision, and between which prices it would not have; null without any.

    `delivered_price` is of supply price and freight together.
    """

    sku_id: str
    reason: Literal["no_reference", "own_price", "other_suppliers", "delivered_price"]
    low_cents: int | None
    high_cents: int | None


class OffersTaken(Struct, frozen=True, kw_only=True):
    """What became of stated terms; those that wait do not route, and the terms in force stay."""

    accepted: list[str]
    outdated: list[str]
    waiting: list[WaitingOffer]


class OfferView(Struct, frozen=True, kw_only=True):
    """Terms of one sku: in force, ended, waiting for a decision, or not taken over by it."""

    sku_id: str
    state: Literal["in_force", "ended", "waiting", "rejected", "expired", "withdrawn"]
    supply_price_cents: int
    freight_cents: int
    lead_time_days: int
    min_order_qty: int
    ship_from_region: str | None
    source_at: datetime


class OfferPage(Struct, frozen=True, kw_only=True):
    """Terms of a supplier by sku."""

    offers: list[OfferView]
    next_cursor: str | None


class SupplierSkusSet(Struct, frozen=True, kw_only=True):
    """How many skus of a supplier were set."""

    supplier_id: str
    skus: int


class LossBudgetView(Struct, frozen=True, kw_only=True):
    """The loss budget of a merchant on a local day, and what orders took of it, fen."""

    merchant_id: str
    day: date
    limit_cents: int
    spent_cents: int


class LossBudgetList(Struct, frozen=True, kw_only=True):
    """Loss budgets by day; a day that is missing has none."""

    budgets: list[LossBudgetView]


class WarehouseStockView(Struct, frozen=True, kw_only=True):
    """Stock of one sku in one warehouse; `free_qty` is what no order line reserves there."""

    warehouse_id: str
    on_hand_qty: int
    free_qty: int


class StockView(Struct, frozen=True, kw_only=True):
    """Stock of one sku; `available_qty` is on hand less reserved less buffer, and never below 0.

    `warehouses` add up to `on_hand_qty`; empty where it is not stated where the units lie.
    """

    sku_id: str
    on_hand_qty: int
    reserved_qty: int
    buffer_qty: int
    available_qty: int
    source_at: datetime
    warehouses: list[WarehouseStockView]


class StockPage(Struct, frozen=True, kw_only=True):
    """Stock of a supplier by sku."""

    stock: list[StockView]
    next_cursor: str | None


class InstructionLine(Struct, frozen=True, kw_only=True):
    """What to pack, where, and on which day it has to leave."""

    line_no: int
    sku_id: str
    title: str | None
    qty: int
    supply_price_cents: int
    warehouse_id: str | None
    ships_on: date | None


class Instruction(Struct, frozen=True, kw_only=True):
    """What a supplier has to send, and to whom."""

    order_id: str
    supplier_id: str
    status: str
    paid_at: datetime
    region_code: str | None
    lines: list[InstructionLine]
    recipient: RecipientView | None


class InstructionPage(Struct, frozen=True, kw_only=True):
    """Instructions of a supplier, the oldest payment first."""

    instructions: list[Instruction]
    next_cursor: str | None


class EndpointView(Struct, frozen=True, kw_only=True):
    """A webhook endpoint; the secret is shown once, when it is made."""

    endpoint_id: str
    party_type: str
    party_id: str
    url: str
    is_active: bool
    secret: str | None = None


class EndpointPage(Struct, frozen=True, kw_only=True):
    """The endpoints of a party."""

    endpoints: list[EndpointView]
