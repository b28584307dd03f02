"""What the API of coupons takes and gives: shapes, units and ranges. No rule and no query here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from serving.orders.contracts import Cents, Id, Moment, Text
from serving.orders.coupons.programme import Beyond, CouponKind, Event
from serving.settlement.sharing.snapshot import Funder

Fen = Annotated[int, Meta(ge=1, le=10**10, description="Fen.")]
Bps = Annotated[int, Meta(ge=1, le=10_000, description="Basis points.")]
Count = Annotated[int, Meta(ge=1, le=10**7)]


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the API takes: a misspelt field is told, not ignored."""


class ShareRequest(_Request, frozen=True, kw_only=True):
    """Who bears how much of a coupon; the shares sum to 10000 bps. The platform has no id."""

    party_type: Funder
    share_bps: Bps
    party_id: Id | None = None


class OpenProgramme(_Request, frozen=True, kw_only=True):
    """A new programme. A merchant's key opens its own, an operator's one of the platform."""

    name: Text
    kind: CouponKind
    funders: Annotated[list[ShareRequest], Meta(min_length=1, max_length=3)]
    budget_cents: Annotated[Fen, Meta(description="Most fen that all redemptions take off together.")]
    budget_count: Annotated[Count, Meta(description="Most redemptions.")]
    valid_from: Moment
    valid_to: Moment
    off_cents: Annotated[Fen | None, Meta(description="Of a threshold coupon: fen off.")] = None
    off_bps: Annotated[Bps | None, Meta(description="Of a percentage coupon: part off.")] = None
    cap_cents: Annotated[Fen | None, Meta(description="Most that a percentage takes off.")] = None
    unit_price_cents: Annotated[
        Cents | None, Meta(description="Of a unit price: what each unit of its skus costs.")
    ] = None
    min_goods_cents: Annotated[Cents, Meta(description="Price of the goods from which it may be used.")] = 0
    per_consumer_count: Count = 1
    stacks: Annotated[bool, Meta(description="May be used with other coupons.")] = True
    beyond_share: Annotated[
        Beyond,
        Meta(description="Where a funder's share of a sale does not carry its part: refuse, or let it owe."),
    ] = "refuse"
    gives_back: Annotated[
        list[Event], Meta(max_length=2, description="After which end of an order it may be used again.")
    ] = field(default_factory=lambda: ["cancel"])
    merchant_ids: Annotated[list[Id], Meta(max_length=500)] = []
    category_ids: Annotated[list[Id], Meta(max_length=500)] = []
    sku_ids: Annotated[list[Id], Meta(max_length=500)] = []


class ConsentRequest(_Request, frozen=True, kw_only=True):
    """A funder agrees to the terms that have this digest."""

    terms_digest: Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}(?!\n)$")]


class IssueCoupons(_Request, frozen=True, kw_only=True):
    """Coupons of a programme; without a consumer whoever brings a code may use it."""

    count: Annotated[int, Meta(ge=1, le=1_000)] = 1
    consumer_id: Id | None = None
    max_uses: Annotated[int, Meta(ge=1, le=10**6, description="Most redemptions of each code.")] = 1
    expires_at: Moment | None = None


class FunderView(Struct, frozen=True, kw_only=True):
    """A funder; `consented_at` is null while it has not agreed."""

    party_type: str
    party_id: str | None
    share_bps: int
    consented_at: datetime | None


class ProgrammeView(Struct, frozen=True, kw_only=True):
    """A programme; `spent_` is what its standing redemptions take off."""

    programme_id: str
    issuer_type: str
    issuer_id: str | None
    name: str
    status: str
    terms_digest: str
    kind: str
    off_cents: int | None
    off_bps: int | None
    cap_cents: int | None
    unit_price_cents: int | None
    min_goods_cents: int
    budget_cents: int
    budget_count: int
    spent_cents: int
    spent_count: int
    per_consumer_count: int
    valid_from: datetime
    valid_to: datetime
    stacks: bool
    beyond_share: str
    gives_back: list[str]
    merchant_ids: list[str]
    category_ids: list[str]
    sku_ids: list[str]
    funders: list[FunderView]


class ProgrammePage(Struct, frozen=True, kw_only=True):
    """Programmes by id."""

    programmes: list[ProgrammeView]
    next_cursor: str | None


class CouponView(Struct, frozen=True, kw_only=True):
    """A coupon; `state` is `issued`, `used` or `expired`."""

    code: str
    programme_id: str
    consumer_id: str | None
    max_uses: int
    used_count: int
    issued_at: datetime
    expires_at: datetime
    state: str


class CouponPage(Struct, frozen=True, kw_only=True):
    """Coupons of a programme by code; just issued ones come on one page."""

    coupons: list[CouponView]
    next_cursor: str | None
