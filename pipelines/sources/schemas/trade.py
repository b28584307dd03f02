"""What was sold and what became of it: orders, their lines, parcels, after-sales cases."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    Accepted,
    Computed,
    at,
    cents,
    enum,
    identifier,
    milli,
    small,
    text,
)

CHANNELS = ("mini_program", "wecom", "live", "store", "other")
STATES = ("unpaid", "paid", "cancelled", "refunded")
"""What an order's status means; only a paid order is a sale."""

DEFAULT_MERCHANT = "shop"


class Orders(Accepted):
    """One row per order."""

    order_id = identifier("the order", "o-1001")
    consumer_id = identifier("who bought; null for a guest", "c-1001", nullable=True)
    merchant_id = identifier("where", "m-1", default=DEFAULT_MERCHANT)
    agent_id = identifier("the agent who brought the order", "a-1", nullable=True)
    channel = enum(CHANNELS, "sales channel", default="other")
    placed_at = at("when it was placed")
    paid_at = at("when it was paid", nullable=True)
    status = text("status at the source, as it came", "completed", default="completed")
    state = enum(STATES, "what the status means, told from its word")
    coupon_discount_cents = cents("coupons on the whole order", default=0)
    freight_cents = cents("freight charged", default=0)

    @dy.rule()
    def paid_after_placed(self) -> pl.Expr:
        """Payment does not precede the order."""
        return pl.col("paid_at") >= pl.col("placed_at")


class OrderLines(Accepted):
    """One row per order line; every amount is the total of the line, negative on a return."""

    order_id = identifier("the order", "o-1001")
    line_no = small(
        "number of the line in its order, from 1", low=1, default=Computed("the running number in the order")
    )
    sku_id = identifier("the sku", "milk-1l")
    supplier_id = identifier("who supplied it", "s-12", nullable=True)
    qty_milli = milli("quantity; negative on a return", "qty")
    list_price_cents = cents(
        "the line at list price",
        is_signed=True,
        example="2199",
        default=Computed("net_paid_cents + promo_discount_cents"),
    )
    promo_discount_cents = cents("promotions on the line", is_signed=True, example="200", default=0)
    net_paid_cents = cents(
        "what the consumer paid: list - promotions - the line's share of coupons", is_signed=True
    )
    supply_price_cents = cents("what the supplier is owed for the line", is_signed=True, nullable=True)
    returned_order_id = identifier("on a return: the order given back", "o-1000", nullable=True)
    returned_line_no = small("on a return: the line given back", low=1, nullable=True)

    @dy.rule()
    def quantity_is_not_zero(self) -> pl.Expr:
        """A line is of something."""
        return pl.col("qty_milli") != 0

    @dy.rule()
    def amounts_have_the_sign_of_the_quantity(self) -> pl.Expr:
        """A return gives money back, a sale takes it; nothing at 0 is fine on either."""
        sign = pl.col("qty_milli").sign()
        amounts = ("list_price_cents", "promo_discount_cents", "net_paid_cents", "supply_price_cents")
        return pl.all_horizontal((pl.col(name) * sign).fill_null(0) >= 0 for name in amounts)

    @dy.rule()
    def net_within_list(self) -> pl.Expr:
        """The net amount is at most the list amount less promotions, whatever the sign."""
        listed = pl.col("list_price_cents").abs() - pl.col("promo_discount_cents").abs()
        return pl.col("net_paid_cents").abs() <= listed


class Shipments(Accepted):
    """One row per parcel leg."""

    shipment_id = identifier("the parcel leg", "p-1")
    order_id = identifier("the order", "o-1001")
    supplier_id = identifier("who ships", "s-12")
    from_region = text("region it leaves", "east")
    to_region = text("region it goes to", "north")
    promised_at = at("promised delivery", planned=True)
    shipped_at = at("when it left", nullable=True)
    delivered_at = at("when it arrived", nullable=True)
    last_node = text("last place seen", "Nanjing hub", nullable=True)
    last_node_at = at("when it was last seen", nullable=True)

    @dy.rule()
    def delivered_after_shipped(self) -> pl.Expr:
        """A parcel does not arrive before it leaves."""
        return pl.col("delivered_at") >= pl.col("shipped_at")


class AfterSales(Accepted):
    """One row per after-sales case."""

    case_id = identifier("the case", "k-1")
    order_id = identifier("the order", "o-1001")
    line_no = small("the line of the order", low=1)
    kind = enum(("refund", "return", "complaint"), "kind of case")
    reason_code = text("reason given", "damaged")
    opened_at = at("when it was opened")
    resolved_at = at("when it was closed", nullable=True)
    refund_cents = cents("refunded", nullable=True)

    @dy.rule()
    def resolved_after_opened(self) -> pl.Expr:
        """A case is not closed before it is opened."""
        return pl.col("resolved_at") >= pl.col("opened_at")
