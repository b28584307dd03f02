"""What consumers did, were told and offered: events, promotions, coupons, messages, points, levels."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    Accepted,
    at,
    cents,
    count,
    enum,
    flag,
    identifier,
    on,
    share,
    small,
    starts_before_end,
    text,
)

EVENT_TYPES = (
    "impression", "view", "search", "favourite", "add_to_cart", "remove_from_cart", "share", "checkout",
)  # fmt: skip
SENTIMENTS = ("negative", "positive")


class Events(Accepted):
    """One row per behaviour event."""

    event_id = identifier("the event", "e-1")
    consumer_id = identifier("who, when known", "c-1001", nullable=True)
    anonymous_id = identifier("device or visitor, when the consumer is unknown", "dev-9", nullable=True)
    session_id = identifier("the visit", "v-1")
    event_type = enum(EVENT_TYPES, "what happened")
    sku_id = identifier("the sku concerned", "milk-1l", nullable=True)
    query = text("the search text", "milk", nullable=True)
    dwell_ms = count("time spent, milliseconds", unit="milliseconds", nullable=True, example="5200")
    position = small("rank in the list shown", nullable=True)
    policy_version = text("the ranking that chose the item", "rank-3", nullable=True)
    propensity = share("chance with which the ranking showed it, 0..1", nullable=True)
    occurred_at = at("when it happened")


class Promotions(Accepted):
    """One row per sku x merchant x period on promotion."""

    promotion_id = identifier("the promotion", "pr-1")
    merchant_id = identifier("the merchant; null means every merchant", "m-1", nullable=True)
    sku_id = identifier("the sku", "milk-1l")
    kind = enum(
        ("flash", "group", "threshold", "discount", "gift", "live", "display", "mailer"), "kind of promotion"
    )
    discount_bps = small(
        "discount in basis points of the list price",
        nullable=True,
        high=10_000,
        unit="basis points",
        example="1500",
    )
    starts_at = at("start", planned=True)
    ends_at = at("end, exclusive", planned=True)
    display_location = text("place in the shop; null when not on display", "front", nullable=True)
    mailer_location = text("place in the mailer; null when not in the mailer", "page 1", nullable=True)

    @dy.rule()
    def starts_before_end(self) -> pl.Expr:
        """The start is not after the end."""
        return starts_before_end()


class Coupons(Accepted):
    """One row per coupon granted to one consumer."""

    coupon_id = identifier("the grant", "g-1")
    consumer_id = identifier("who holds it", "c-1001")
    kind = text("kind of coupon", "threshold")
    threshold_cents = cents("order value it needs", nullable=True, example="10000")
    value_cents = cents("what it takes off", nullable=True, example="1000")
    starts_at = at("start", planned=True)
    ends_at = at("end, exclusive", planned=True)

    @dy.rule()
    def starts_before_end(self) -> pl.Expr:
        """The start is not after the end."""
        return starts_before_end()


class CouponRedemptions(Accepted):
    """One row per use of one coupon on one order."""

    coupon_id = identifier("the grant used", "g-1")
    order_id = identifier("the order it was used on", "o-1001")
    redeemed_at = at("when it was used")


class CompetitorPrices(Accepted):
    """One row per observation of a competitor's price."""

    sku_id = identifier("our sku", "milk-1l")
    competitor = identifier("the competitor", "rival")
    observed_at = at("when it was seen")
    price_cents = cents("price a unit")


class Messages(Accepted):
    """One row per message sent."""

    message_id = identifier("the message", "n-1")
    consumer_id = identifier("to whom", "c-1001")
    journey = text("the journey that sent it", "wake_up")
    channel = text("how", "wecom")
    sent_at = at("when")
    outcome = text("what became of it", "clicked", nullable=True)


class Feedback(Accepted):
    """One row per text of a consumer about goods or a shop; what it says and who wrote it stay out."""

    feedback_id = identifier("the text", "fb-1")
    merchant_id = identifier("in whose shop", "m-1")
    sku_id = identifier("about which sku; null: about the shop", "milk-1l", nullable=True)
    rating = small("stars", nullable=True, low=1, high=5, example="2")
    is_verified = flag("the writer bought it here")
    topic = text("what it is about; null: nobody sorted it", "packaging", nullable=True)
    sentiment = enum(SENTIMENTS, "how it is meant; null: nobody sorted it", nullable=True)
    occurred_at = at("when it was written")
    answered_at = at("when it was answered in public", nullable=True)


class Touches(Accepted):
    """One row per marketing touch."""

    touch_id = identifier("the touch", "t-1")
    consumer_id = identifier("who was touched, when known", "c-1001", nullable=True)
    anonymous_id = identifier("device or visitor, when the consumer is unknown", "dev-9", nullable=True)
    channel = text("how", "mail")
    campaign = text("the campaign", "spring")
    cost_cents = cents("what it cost", nullable=True, example="15")
    occurred_at = at("when")


class PointsLedger(Accepted):
    """One row per movement of points."""

    entry_id = identifier("the entry", "pt-1")
    consumer_id = identifier("whose points", "c-1001")
    points_delta = count("points won (positive) or spent (negative)", unit="points", is_signed=True)
    reason = text("why", "order")
    expires_on = on("day the points lapse", nullable=True, planned=True)
    occurred_at = at("when")


MEMBER_LEVELS = ("ordinary", "silver", "gold", "diamond")


class LevelChanges(Accepted):
    """One row per member and close of a day that changed something of the member."""

    change_id = identifier("the change", "lv-1")
    consumer_id = identifier("the member", "c-1001")
    cause = enum(("joined", "up", "down", "growth", "at_risk", "safe", "renewed"), "what happened")
    level = enum(MEMBER_LEVELS, "the level from then on")
    growth = count("growth value from then on", unit="points")
    growth_to_next = count(
        "growth that is missing to the next level; null: there is none above", unit="points", nullable=True
    )
    is_at_risk = flag("below the level near the end of its period")
    changed_at = at("since when it holds")
