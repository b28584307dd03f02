"""The tables of the data contract as dataframely schemas: one class a table, one line a column.

What lives here: names, types, nullability, enums, ranges and the rules between columns of ONE row. What does
not: keys, foreign keys and partitions (`contract`), and what looks at more than one row (`validation`). Money
is integer cents, times are UTC with microseconds, ids are strings. A rule that meets a null passes: whether a
null is allowed is said by the column alone.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import dataframely as dy
import polars as pl

EARLIEST = dt.date(1970, 1, 1)
"""Business dates and times before this day are refused: they are unset clocks, not history."""
EARLIEST_AT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _id(description: str, *, nullable: bool = False) -> Any:
    return dy.String(min_length=1, nullable=nullable, description=description)


def _text(description: str, *, nullable: bool = False) -> Any:
    return dy.String(nullable=nullable, description=description)


def _enum(values: tuple[str, ...], description: str, *, nullable: bool = False) -> Any:
    return dy.String(
        nullable=nullable,
        check={"known_value": lambda column: column.is_in(values)},
        metadata={"values": values},
        description=f"{description}: {', '.join(values)}",
    )


def _cents(description: str, *, nullable: bool = False) -> Any:
    return dy.Int64(min=0, nullable=nullable, description=description + ", in cents")


def _signed_cents(description: str, *, nullable: bool = False) -> Any:
    return dy.Int64(nullable=nullable, description=description + ", in cents")


def _count(description: str, *, nullable: bool = False, minimum: int | None = 0) -> Any:
    return dy.Int64(min=minimum, nullable=nullable, description=description)


def _small(description: str, *, nullable: bool = False, low: int = 0, high: int | None = None) -> Any:
    return dy.Int32(min=low, max=high, nullable=nullable, description=description)


def _flag(description: str) -> Any:
    return dy.Bool(nullable=False, description=description)


def _at(description: str, *, nullable: bool = False, planned: bool = False) -> Any:
    """A UTC time. `planned` times may lie after `as_of`; all others are history and may not."""
    return dy.Datetime(
        min=EARLIEST_AT,
        nullable=nullable,
        time_zone="UTC",
        time_unit="us",
        metadata={"planned": planned},
        description=f"{description} (UTC)",
    )


def _on(
    description: str, *, nullable: bool = False, planned: bool = False, earliest: dt.date = EARLIEST
) -> Any:
    """A calendar date. `planned` dates may lie after `as_of`."""
    return dy.Date(min=earliest, nullable=nullable, metadata={"planned": planned}, description=description)


class Accepted(dy.Schema):
    """What every accepted row carries, whatever its table."""

    received_at = _at(
        "when the row was received; features at a time t see only rows received by t", planned=True
    )
    origin = _enum(("observed", "overlay"), "whether the row was observed or made by the overlay generator")


class Suppliers(Accepted):
    """One row per supplier."""

    supplier_id = _id("the supplier")
    name = _text("display name")
    channel = _enum(("jd", "meituan", "brand", "factory", "other"), "where the supplier comes from")
    region_code = _text("region of the supplier, 'unknown' if not given")
    joined_on = _on("first day on the platform")
    is_active = _flag("whether the supplier may receive orders")


class Categories(Accepted):
    """One row per category node."""

    category_id = _id("the category")
    parent_category_id = _id("the category above; null on the top level", nullable=True)
    name = _text("display name")
    level = _small("depth, 1 is the top", low=1)


class Products(Accepted):
    """One row per sku."""

    sku_id = _id("the sku")
    title = _text("display title")
    category_id = _id("the lowest category of the sku")
    brand_id = _id("the brand", nullable=True)
    manufacturer_id = _id("the maker; stands for the supplier where lines name none", nullable=True)
    pack_size = _text("pack size as printed", nullable=True)
    unit = _text("unit of sale", nullable=True)
    launched_on = _on("first day the sku may be sold", nullable=True, planned=True)


class Offers(Accepted):
    """One row per version of one supplier's offer of one sku."""

    supplier_id = _id("the supplier who offers")
    sku_id = _id("the sku offered")
    valid_from = _at("when this version starts to hold", planned=True)
    supply_price_cents = _cents("price a unit asked by the supplier")
    stock_qty = _count("units in stock at the supplier")
    capacity_per_day = _count("units the supplier can ship a day")
    lead_time_days = _small("days from order to arrival")
    min_order_qty = _count("smallest order, units")
    ship_from_region = _text("region the goods leave from")


class InventoryMovements(Accepted):
    """One row per change of stock."""

    movement_id = _id("the movement")
    warehouse_id = _id("the warehouse")
    sku_id = _id("the sku")
    supplier_id = _id("the supplier of the goods", nullable=True)
    qty_delta = _count("units in (positive) or out (negative)", minimum=None)
    reason = _enum(("inbound", "sale", "return", "adjust", "transfer"), "why the stock changed")
    occurred_at = _at("when it changed")


class Merchants(Accepted):
    """One row per merchant."""

    merchant_id = _id("the merchant")
    name = _text("display name")
    scene = _enum(("enterprise_welfare", "mother_baby", "community", "general"), "kind of shop")
    region_code = _text("region of the merchant, 'unknown' if not given")
    joined_on = _on("first day on the platform")


class Listings(Accepted):
    """One row per version of one merchant's sku."""

    merchant_id = _id("the merchant")
    sku_id = _id("the sku listed")
    valid_from = _at("when this version starts to hold", planned=True)
    list_price_cents = _cents("list price a unit")
    pricing_mode = _enum(("auto", "approve", "fixed"), "who may change the price")
    is_listed = _flag("whether the sku is on sale")


class Agents(Accepted):
    """One row per agent."""

    agent_id = _id("the agent")
    merchant_id = _id("the merchant the agent works for; null for the platform's own", nullable=True)
    inviter_agent_id = _id("the agent who invited this one", nullable=True)
    tier = _text("tier in the commission plan")
    region_code = _text("region of the agent, 'unknown' if not given")
    joined_on = _on("first day on the platform")
    is_active = _flag("whether the agent still sells")

    @dy.rule()
    def agent_does_not_invite_itself(self) -> pl.Expr:
        """An agent was not invited by itself."""
        return pl.col("inviter_agent_id") != pl.col("agent_id")


class Consumers(Accepted):
    """One row per consumer."""

    consumer_id = _id("the consumer")
    merchant_id = _id("the merchant the consumer belongs to")
    inviter_id = _id("the consumer who invited this one", nullable=True)
    registered_at = _at("when the consumer registered")
    acquisition_channel = _text("how the consumer was won", nullable=True)
    birthday = _on("birthday", nullable=True, earliest=dt.date(1900, 1, 1))
    gender = _enum(("female", "male", "other", "unknown"), "gender as stated", nullable=True)
    city = _text("city as stated", nullable=True)
    household_size = _small(
        "persons in the household; an open top class holds its lower bound", nullable=True, low=1
    )
    income_band = _text("income band as stated", nullable=True)
    consent_marketing = _flag("may be sent marketing")
    consent_profiling = _flag("may be profiled")

    @dy.rule()
    def consumer_does_not_invite_itself(self) -> pl.Expr:
        """A consumer was not invited by itself."""
        return pl.col("inviter_id") != pl.col("consumer_id")


class Orders(Accepted):
    """One row per order."""

    order_id = _id("the order")
    consumer_id = _id("who bought")
    merchant_id = _id("where")
    agent_id = _id("the agent who brought the order", nullable=True)
    channel = _enum(("mini_program", "wecom", "live", "store", "other"), "sales channel")
    placed_at = _at("when it was placed")
    paid_at = _at("when it was paid", nullable=True)
    status = _text("status at the source")
    coupon_discount_cents = _cents("coupons on the whole order")
    freight_cents = _cents("freight charged")

    @dy.rule()
    def paid_after_placed(self) -> pl.Expr:
        """Payment does not precede the order."""
        return pl.col("paid_at") >= pl.col("placed_at")


class OrderLines(Accepted):
    """One row per order line; every amount is the total of the line."""

    order_id = _id("the order")
    line_no = _small("number of the line in its order, from 1", low=1)
    sku_id = _id("the sku")
    supplier_id = _id("who supplied it", nullable=True)
    qty = _count("units", minimum=1)
    list_price_cents = _cents("the line at list price")
    promo_discount_cents = _cents("promotions on the line")
    net_paid_cents = _cents("what the consumer paid: list - promotions - the line's share of coupons")
    supply_price_cents = _cents("what the supplier is owed for the line", nullable=True)

    @dy.rule()
    def net_within_list(self) -> pl.Expr:
        """The net amount is at most the list amount less promotions."""
        return pl.col("net_paid_cents") <= pl.col("list_price_cents") - pl.col("promo_discount_cents")


class Shipments(Accepted):
    """One row per parcel leg."""

    shipment_id = _id("the parcel leg")
    order_id = _id("the order")
    supplier_id = _id("who ships")
    from_region = _text("region it leaves")
    to_region = _text("region it goes to")
    promised_at = _at("promised delivery", planned=True)
    shipped_at = _at("when it left", nullable=True)
    delivered_at = _at("when it arrived", nullable=True)
    last_node = _text("last place seen", nullable=True)
    last_node_at = _at("when it was last seen", nullable=True)

    @dy.rule()
    def delivered_after_shipped(self) -> pl.Expr:
        """A parcel does not arrive before it leaves."""
        return pl.col("delivered_at") >= pl.col("shipped_at")


class AfterSales(Accepted):
    """One row per after-sales case."""

    case_id = _id("the case")
    order_id = _id("the order")
    line_no = _small("the line of the order", low=1)
    kind = _enum(("refund", "return", "complaint"), "kind of case")
    reason_code = _text("reason given")
    opened_at = _at("when it was opened")
    resolved_at = _at("when it was closed", nullable=True)
    refund_cents = _cents("refunded", nullable=True)

    @dy.rule()
    def resolved_after_opened(self) -> pl.Expr:
        """A case is not closed before it is opened."""
        return pl.col("resolved_at") >= pl.col("opened_at")


EVENT_TYPES = (
    "impression", "view", "search", "favourite", "add_to_cart", "remove_from_cart", "share", "checkout",
)  # fmt: skip


class Events(Accepted):
    """One row per behaviour event."""

    event_id = _id("the event")
    consumer_id = _id("who, when known", nullable=True)
    anonymous_id = _id("device or visitor, when the consumer is unknown", nullable=True)
    session_id = _id("the visit")
    event_type = _enum(EVENT_TYPES, "what happened")
    sku_id = _id("the sku concerned", nullable=True)
    query = _text("the search text", nullable=True)
    dwell_ms = _count("time spent, milliseconds", nullable=True)
    position = _small("rank in the list shown", nullable=True)
    policy_version = _text("the ranking that chose the item", nullable=True)
    propensity = dy.Float64(
        min=0.0, max=1.0, nullable=True, description="chance with which the ranking showed it, 0..1"
    )
    occurred_at = _at("when it happened")


class Promotions(Accepted):
    """One row per sku x merchant x period on promotion."""

    promotion_id = _id("the promotion")
    merchant_id = _id("the merchant; null means every merchant", nullable=True)
    sku_id = _id("the sku")
    kind = _enum(
        ("flash", "group", "threshold", "discount", "gift", "live", "display", "mailer"), "kind of promotion"
    )
    discount_bps = _small("discount in basis points of the list price", nullable=True, high=10_000)
    starts_at = _at("start", planned=True)
    ends_at = _at("end, exclusive", planned=True)
    display_location = _text("place in the shop; null when not on display", nullable=True)
    mailer_location = _text("place in the mailer; null when not in the mailer", nullable=True)

    @dy.rule()
    def starts_before_end(self) -> pl.Expr:
        """The start is not after the end."""
        return pl.col("starts_at") <= pl.col("ends_at")


class Coupons(Accepted):
    """One row per coupon granted to one consumer."""

    coupon_id = _id("the grant")
    consumer_id = _id("who holds it")
    kind = _text("kind of coupon")
    threshold_cents = _cents("order value it needs", nullable=True)
    value_cents = _cents("what it takes off", nullable=True)
    starts_at = _at("start", planned=True)
    ends_at = _at("end, exclusive", planned=True)

    @dy.rule()
    def starts_before_end(self) -> pl.Expr:
        """The start is not after the end."""
        return pl.col("starts_at") <= pl.col("ends_at")


class CouponRedemptions(Accepted):
    """One row per use of one coupon on one order."""

    coupon_id = _id("the grant used")
    order_id = _id("the order it was used on")
    redeemed_at = _at("when it was used")


class CompetitorPrices(Accepted):
    """One row per observation of a competitor's price."""

    sku_id = _id("our sku")
    competitor = _id("the competitor")
    observed_at = _at("when it was seen")
    price_cents = _cents("price a unit")


class Messages(Accepted):
    """One row per message sent."""

    message_id = _id("the message")
    consumer_id = _id("to whom")
    journey = _text("the journey that sent it")
    channel = _text("how")
    sent_at = _at("when")
    outcome = _text("what became of it", nullable=True)


class Touches(Accepted):
    """One row per marketing touch."""

    touch_id = _id("the touch")
    consumer_id = _id("who was touched")
    channel = _text("how")
    campaign = _text("the campaign")
    cost_cents = _cents("what it cost", nullable=True)
    occurred_at = _at("when")


class PointsLedger(Accepted):
    """One row per movement of points."""

    entry_id = _id("the entry")
    consumer_id = _id("whose points")
    points_delta = _count("points won (positive) or spent (negative)", minimum=None)
    reason = _text("why")
    expires_on = _on("day the points lapse", nullable=True, planned=True)
    occurred_at = _at("when")


LEG_STATES = ("pending", "locked", "released", "voided")


class SettlementLegs(Accepted):
    """One row per share of one order line (or of a supplier's freight) that settlement pays to one party."""

    leg_id = _id("the leg")
    order_id = _id("the order")
    line_no = _small("the line of the order; 0 is the freight of the supplier")
    supplier_id = _id("whose part of the order it is released with")
    leg_kind = _text(
        "what it is: supplier, freight, channel_fee, tax, direct, upline, team, fund, platform, ..."
    )
    scenario = _small("profit-sharing scenario", low=1, high=8)
    rule_id = _text("the plan rule; null where no rule decides", nullable=True)
    plan_id = _id("the plan that settled the order")
    plan_version = _small("version of the plan", low=1)
    payee_type = _enum(("platform", "supplier", "merchant", "agent"), "whom it pays")
    payee_id = _id("the payee inside its type")
    level = _small("paid level above the seller; 0 for everybody else", high=2)
    base = _text("what the rate applies to", nullable=True)
    base_cents = _signed_cents("the base", nullable=True)
    rate_bps = _small("the rate in basis points", nullable=True, high=10_000)
    wanted_cents = _signed_cents("before any cut")
    amount_cents = _signed_cents("what was accrued; negative for a subsidy")
    reversed_cents = _signed_cents("what refunds took back so far, with the sign of the amount")
    rounding_cents = _signed_cents("what refunds of the line gave back beyond the reversals of its legs")
    forfeited_cents = _signed_cents("what the platform holds of it instead of the payee")
    cut_reason = _text("why it is less than wanted", nullable=True)
    explanation = _text("the formula")
    leg_state = _enum(LEG_STATES, "where it stands")
    is_unfrozen = _flag("whether the payment channel has unfrozen it")
    is_replaced = _flag("whether other legs stand in its place since the line went to another supplier")
    accrued_at = _at("when it was accrued", planned=True)
    released_at = _at("when it was released", nullable=True, planned=True)

    @dy.rule()
    def reversal_within_amount(self) -> pl.Expr:
        """Refunds take back at most what was accrued."""
        amount, reversed_ = pl.col("amount_cents"), pl.col("reversed_cents")
        return (
            pl.when(amount >= 0)
            .then(reversed_.is_between(0, amount))
            .otherwise(reversed_.is_between(amount, 0))
        )


class LedgerEntries(Accepted):
    """One row per entry of a ledger transaction; the entries of a transaction sum to zero per unit."""

    entry_id = _id("the entry: transaction and number")
    transaction_id = _id("the transaction")
    entry_no = _small("number of the entry in its transaction, from 1", low=1)
    transaction_kind = _text("what happened: accrual, release, refund, payout, ...")
    order_id = _id("the order it belongs to", nullable=True)
    account_kind = _text("kind of account")
    party_type = _enum(
        ("platform", "supplier", "merchant", "agent", "consumer"), "type of the account's holder"
    )
    party_id = _id("the account's holder inside its type; 'platform' for the platform")
    unit = _enum(("CNY", "PT"), "money of the configured currency, or points")
    amount = _count("credit when positive: cents where unit is CNY, points where it is PT", minimum=None)
    leg_id = _id("the settlement leg, when the entry belongs to exactly one", nullable=True)
    booked_at = _at("business time of the transaction", planned=True)
