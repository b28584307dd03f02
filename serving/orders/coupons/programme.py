"""What a coupon programme is: its terms, who bears it, and what makes the terms impossible. Pure.

Terms never change: funders agree to their digest. Who wants others closes the programme and opens another.

Source: P17.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from serving.orders.errors import InvalidRequestError
from serving.settlement.sharing.rounding import FULL_BPS
from serving.settlement.sharing.snapshot import FUNDERS, Funder

CouponKind = Literal["threshold", "percentage", "unit_price"]
Beyond = Literal["refuse", "receivable"]
Event = Literal["cancel", "refund"]
Status = Literal["proposed", "active", "closed"]

MOST_DAYS = 1_096
"""Longest validity of a programme, days. Source: assumed."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Who bears how much of a coupon; the platform has no id."""

    party_type: Funder
    share_bps: int
    party_id: str = ""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What funders agree to.

    Attributes:
        kind: `threshold` (buy for this much, get that much off), `percentage`, or `unit_price` (each unit of
            its skus costs so much).
        off_cents: Fen off, of a threshold coupon.
        off_bps: Part off, of a percentage coupon.
        cap_cents: Most fen that a percentage takes off.
        min_goods_cents: Price of the goods it holds for from which it may be used, before discounts, fen.
        funders: Who bears it; the shares sum to 10000 bps.
        budget_cents: Most fen that all its redemptions take off together.
        budget_count: Most redemptions.
        per_consumer_count: Most redemptions of one consumer.
        valid_from: First moment.
        valid_to: First moment after it.
        stacks: May be used with other coupons; else alone.
        beyond_share: What happens where a funder's share of the sale does not carry its part: the coupon is
            refused at placing, or the rest becomes the funder's receivable.
        gives_back: After which end of an order the consumer may use the coupon again.
        merchant_ids: Shops where it holds; none means all.
        category_ids: Categories it holds for; none means all.
        sku_ids: Skus it holds for; none means all.
        unit_price_cents: What a unit costs, of a unit price, fen; 0 gives it away.
    """

    kind: CouponKind
    off_cents: int | None = None
    off_bps: int | None = None
    cap_cents: int | None = None
    min_goods_cents: int = 0
    funders: tuple[Share, ...] = ()
    budget_cents: int
    budget_count: int
    per_consumer_count: int = 1
    valid_from: datetime
    valid_to: datetime
    stacks: bool = True
    beyond_share: Beyond = "refuse"
    gives_back: tuple[Event, ...] = ("cancel",)
    merchant_ids: tuple[str, ...] = ()
    category_ids: tuple[str, ...] = ()
    sku_ids: tuple[str, ...] = ()
    unit_price_cents: int | None = None

    def digest(self) -> str:
        """SHA-256 over the terms in canonical form, lower-case hex: what a funder agrees to."""
        said = msgspec.to_builtins(self)
        if self.unit_price_cents is None:
            # Terms from before there were unit prices keep the digest that was agreed to.
            del said["unit_price_cents"]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()

    def share_of(self, party_type: Funder) -> Share | None:
        """The share of a kind of party, if it bears any."""
        return next((share for share in self.funders if share.party_type == party_type), None)

    @property
    def split_bps(self) -> Mapping[Funder, int]:
        """Kind of funder to its share, bps."""
        return {share.party_type: share.share_bps for share in self.funders}


@dataclass(frozen=True)
class Programme:
    """A programme as stored.

    Attributes:
        programme_id: Its id.
        issuer_type: `platform` or `merchant`.
        issuer_id: The merchant; empty for the platform.
        name: For people.
        terms: What was agreed.
        status: `proposed` until every funder agreed, then `active`; `closed` for good.
        spent_cents: What its standing redemptions take off, fen.
        spent_count: Its standing redemptions.
    """

    programme_id: str
    issuer_type: str
    issuer_id: str
    name: str
    terms: Terms
    status: Status
    spent_cents: int
    spent_count: int

    def concerns(self, party_type: str, party_id: str) -> bool:
        """Whether a party issued it or bears a share of it."""
        if (self.issuer_type, self.issuer_id) == (party_type, party_id):
            return True
        return any((s.party_type, s.party_id) == (party_type, party_id) for s in self.terms.funders)


def check_terms(terms: Terms, issuer_type: str, issuer_id: str, now: datetime) -> None:
    """Refuse terms that contradict themselves, or that put a share where it cannot be.

    A merchant's programme holds in its own shop, and so does one that a merchant bears a share of: nobody is
    made to fund the sales of somebody else. A supplier's share falls on the lines that it ships.

    Raises:
        InvalidRequestError: Naming the term.
    """
    _check_amounts(terms)
    if not terms.valid_from < terms.valid_to:
        raise InvalidRequestError("valid_to", "it must lie after valid_from")
    if terms.valid_to <= now:
        raise InvalidRequestError("valid_to", "it has passed")
    if terms.valid_to - terms.valid_from > timedelta(days=MOST_DAYS):
        raise InvalidRequestError("valid_to", f"a programme is valid for {MOST_DAYS} days at most")
    kinds = [share.party_type for share in terms.funders]
    if len(set(kinds)) != len(kinds) or set(kinds) - set(FUNDERS):
        raise InvalidRequestError("funders", f"each of {', '.join(FUNDERS)} stands there once at most")
    if any(share.share_bps < 1 for share in terms.funders):
        raise InvalidRequestError("funders", "a share is 1 bps at least; leave out who bears nothing")
    if sum(share.share_bps for share in terms.funders) != FULL_BPS:
        raise InvalidRequestError("funders", f"the shares must sum to {FULL_BPS} bps")
    for share in terms.funders:
        if (share.party_type == "platform") != (share.party_id == ""):
            raise InvalidRequestError("funders", "a merchant or supplier has a party_id, the platform none")
    merchant = terms.share_of("merchant")
    if merchant is not None and terms.merchant_ids != (merchant.party_id,):
        raise InvalidRequestError(
            "merchant_ids",
            f"merchant {merchant.party_id!r} bears a share, so it holds in its shop only: name that one",
        )
    if issuer_type == "merchant" and terms.merchant_ids != (issuer_id,):
        raise InvalidRequestError("merchant_ids", f"a programme of merchant {issuer_id!r} holds in its shop")


def _check_amounts(terms: Terms) -> None:
    if terms.kind == "threshold":
        if terms.off_cents is None or terms.off_bps is not None or terms.cap_cents is not None:
            raise InvalidRequestError("off_cents", "a threshold coupon has off_cents, no off_bps and no cap")
        if terms.off_cents > terms.min_goods_cents:
            raise InvalidRequestError("min_goods_cents", "it must be off_cents at least")
    elif terms.kind == "unit_price":
        others = (terms.off_cents, terms.off_bps, terms.cap_cents)
        if terms.unit_price_cents is None or terms.unit_price_cents < 0 or any(others) or not terms.sku_ids:
            raise InvalidRequestError(
                "unit_price_cents", "a unit price is 0 or more, of named skus, with no off_ and no cap"
            )
    elif terms.off_bps is None or terms.off_cents is not None:
        raise InvalidRequestError("off_bps", "a percentage coupon has off_bps and no off_cents")
    if terms.kind != "unit_price" and terms.unit_price_cents is not None:
        raise InvalidRequestError("unit_price_cents", "of a unit price only")
    for name in ("off_cents", "off_bps", "cap_cents", "budget_cents", "budget_count", "per_consumer_count"):
        value = getattr(terms, name)
        if value is not None and value < 1:
            raise InvalidRequestError(name, "it must be 1 at least")
    if terms.off_bps is not None and terms.off_bps > FULL_BPS:
        raise InvalidRequestError("off_bps", f"it must be {FULL_BPS} at most")
