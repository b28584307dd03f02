"""`/v1/promotions`: the six methods: put forward, approved, taken of at `POST /v1/orders`, closed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import msgspec
import psycopg
from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.growth.communities import shop_of
from serving.api.orders.order_work import IdempotencyKey, in_range, order_transaction
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.contracts import Cents, Id, Moment, Text
from serving.orders.coupons.contracts import Bps, Count, Fen, ShareRequest
from serving.orders.coupons.programme import Share
from serving.orders.errors import NotFoundError
from serving.orders.promotions import groups, records
from serving.orders.promotions.document import MOST_UNITS, NewPromotion, Promotion, PromotionKind
from serving.security import Principal, Role, Scope
from serving.settlement.sharing.rounding import FULL_BPS

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT})
_OpenOnly = Annotated[bool, Parameter(description="Only those of which an order may take now.")]
_OpenGroups = Annotated[bool, Parameter(description="Only groups that may be joined.")]


class PromotionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promotion to be put forward; which fields a method needs stands in the documentation."""

    merchant_id: Annotated[Id | None, Meta(description="A merchant's key may leave it out.")] = None
    kind: PromotionKind
    title: Text
    sku_ids: Annotated[
        list[Id], Meta(max_length=500, description="One; of a threshold any number, none for the whole shop.")
    ] = []
    starts_at: Moment
    ends_at: Moment
    budget_cents: Annotated[Fen, Meta(description="Most fen that it takes off.")]
    budget_count: Annotated[Count, Meta(description="Most orders.")] = 1_000_000
    funders: Annotated[
        list[ShareRequest], Meta(max_length=3, description="Who bears it; without any, the shop.")
    ] = []
    price_cents: Annotated[Cents | None, Meta(description="Of flash sale, group-buy, live: a unit.")] = None
    off_cents: Annotated[Fen | None, Meta(description="Of a threshold.")] = None
    off_bps: Annotated[Bps | None, Meta(description="Of a limited discount: part off.")] = None
    min_goods_cents: Annotated[
        Cents, Meta(description="Of a threshold: from this price of its goods; of a gift: of other goods.")
    ] = 0
    stock_qty: Annotated[int, Meta(ge=1, le=MOST_UNITS, description="Units.")] | None = None
    per_consumer_qty: Annotated[
        int, Meta(ge=1, le=1_000, description="Most units of a buyer; of methods without units orders.")
    ] = 1
    group_size: Annotated[int, Meta(ge=2, le=100, description="Of a group-buy: buyers.")] | None = None
    group_minutes: (
        Annotated[int, Meta(ge=1, le=20_160, description="Of a group-buy: time to fill a group.")] | None
    ) = None
    scene_id: Annotated[Id | None, Meta(description="Scene of its orders; of live a live session.")] = None
    community_id: Annotated[Id | None, Meta(description="Its members alone may take of it.")] = None
    stacks: Annotated[bool, Meta(description="Other coupons may stand beside it.")] = False


class PromotionView(Struct, frozen=True, kw_only=True):
    """A promotion, and what orders took of it; what it takes off and who pays stands in its programme."""

    promotion_id: str
    merchant_id: str
    kind: str
    title: str
    sku_ids: list[str]
    starts_at: datetime
    ends_at: datetime
    price_cents: int | None
    min_goods_cents: int
    stock_qty: int | None
    per_consumer_qty: int
    group_size: int | None
    group_minutes: int | None
    scene_id: str | None
    community_id: str | None
    programme_id: str
    status: Annotated[str, Meta(description="`proposed`, `active` or `closed`.")]
    made_by: str
    approved_by: str | None
    left_qty: Annotated[int | None, Meta(description="Units that no order has.")]
    orders: Annotated[int, Meta(description="Orders that stand.")]
    paid_orders: int
    spent_cents: Annotated[int, Meta(description="What standing orders got off, fen.")]
    open_groups: int
    complete_groups: int


class PromotionPage(Struct, frozen=True, kw_only=True):
    """Promotions by id."""

    promotions: list[PromotionView]
    next_cursor: str | None


class GroupView(Struct, frozen=True, kw_only=True):
    """A group of buyers; it names none of them."""

    group_id: str
    promotion_id: str
    size: int
    status: Annotated[str, Meta(description="`open`, `complete`, or `ended` without enough buyers.")]
    opened_at: datetime
    expires_at: datetime
    taken: Annotated[int, Meta(description="Seats that orders have.")]
    paid: int


class GroupPage(Struct, frozen=True, kw_only=True):
    """Groups of a group-buy by id."""

    groups: list[GroupView]
    next_cursor: str | None


@post(
    "/promotions",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Put a promotion forward",
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_promotion(
    request: Request[Any, Any, Any], data: PromotionRequest, idempotency_key: IdempotencyKey
) -> PromotionView:
    """With a coupon programme that pays for it; in force once its funders and a second person agreed."""
    principal = principal_of(request)
    merchant_id = shop_of(principal, data.merchant_id)
    with order_transaction(request) as (conn, now):

        def work() -> tuple[int, PromotionView]:
            new = _new(data, merchant_id)
            made = records.propose(conn, principal.tenant_id, new, _issuer(principal), _by(principal), now)
            return 201, _views(conn, principal, [made])[0]

        answer = once(conn, principal, f"promotion.propose {merchant_id}", idempotency_key, data, work)
        view = msgspec.convert(answer.document, PromotionView)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        details: dict[str, Detail] = {
            "kind": view.kind,
            "programme_id": view.programme_id,
            "budget_cents": data.budget_cents,
        }
        note(
            request,
            conn,
            "promotion.propose",
            "promotion",
            view.promotion_id,
            outcome=outcome,
            details=details,
        )
        return view


@get(
    "/promotions",
    opt={"scope": Scope.COUPONS_READ, "roles": _READERS, "owner": "merchant"},
    tags=["Growth"],
    summary="Promotions by id",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_promotions(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    open_now: _OpenOnly = False,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> PromotionPage:
    """A merchant sees those of its shop; `open_now` is what a storefront shows."""
    principal = principal_of(request)
    position = read_cursor(cursor, "promotions")
    with order_transaction(request) as (conn, now):
        found = records.page(
            conn,
            principal.tenant_id,
            merchant_id=principal.merchant_id or merchant_id,
            open_at=now if open_now else None,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
        views = _views(conn, principal, found[:limit])
    following = cursor_after(found, limit, "promotions", lambda one: [one.promotion_id])
    return PromotionPage(promotions=views, next_cursor=following)


@get(
    "/promotions/{promotion_id:str}",
    opt={"scope": Scope.COUPONS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="One promotion",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_promotion(request: Request[Any, Any, Any], promotion_id: Identifier) -> PromotionView:
    """With what is left of it."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        return _views(conn, principal, [_reachable(conn, principal, promotion_id)])[0]


@post(
    "/promotions/{promotion_id:str}/approve",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="Approve a promotion",
    status_code=200,
    responses=problem_responses(403, 404, 409, 422),
    sync_to_thread=True,
)
def approve_promotion(request: Request[Any, Any, Any], promotion_id: Identifier) -> PromotionView:
    """By another key than the one that put it forward, once every funder agreed to its programme."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable(conn, principal, promotion_id)
        is_new = records.approve(conn, principal.tenant_id, promotion_id, _by(principal), now)
        outcome: Outcome = "done" if is_new else "repeated"
        note(request, conn, "promotion.approve", "promotion", promotion_id, outcome=outcome)
        return _views(conn, principal, [_reachable(conn, principal, promotion_id)])[0]


@post(
    "/promotions/{promotion_id:str}/close",
    opt={"scope": Scope.COUPONS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Growth"],
    summary="End a promotion",
    status_code=200,
    responses=problem_responses(404),
    sync_to_thread=True,
)
def close_promotion(request: Request[Any, Any, Any], promotion_id: Identifier) -> PromotionView:
    """No order takes of it any more; orders that did stand, and groups that wait go on until their time."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable(conn, principal, promotion_id)
        is_new = records.close(conn, principal.tenant_id, promotion_id, _by(principal), now)
        outcome: Outcome = "done" if is_new else "repeated"
        note(request, conn, "promotion.close", "promotion", promotion_id, outcome=outcome)
        return _views(conn, principal, [_reachable(conn, principal, promotion_id)])[0]


@get(
    "/promotions/{promotion_id:str}/groups",
    opt={"scope": Scope.COUPONS_READ, "roles": _READERS, "owner": None},
    tags=["Growth"],
    summary="Groups of a group-buy",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_groups(
    request: Request[Any, Any, Any],
    promotion_id: Identifier,
    open_only: _OpenGroups = False,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> GroupPage:
    """By id, with seats taken and paid."""
    principal = principal_of(request)
    position = read_cursor(cursor, "promotion_groups")
    with order_transaction(request) as (conn, _):
        _reachable(conn, principal, promotion_id)
        found = groups.page(
            conn,
            principal.tenant_id,
            promotion_id,
            only_open=open_only,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    return GroupPage(
        groups=[GroupView(**asdict(one)) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "promotion_groups", lambda one: [one.group_id]),
    )


def _issuer(principal: Principal) -> tuple[str, str]:
    merchant_id = principal.merchant_id
    return ("platform", "") if merchant_id is None else ("merchant", merchant_id)


def _by(principal: Principal) -> str:
    return f"key:{principal.key_id}"


def _reachable(conn: psycopg.Connection[Any], principal: Principal, promotion_id: str) -> Promotion:
    found = records.find(conn, principal.tenant_id, promotion_id)
    if principal.merchant_id not in (None, found.merchant_id):
        raise NotFoundError("promotion", promotion_id)
    return found


def _new(data: PromotionRequest, merchant_id: str) -> NewPromotion:
    funders = tuple(
        Share(party_type=share.party_type, share_bps=share.share_bps, party_id=share.party_id or "")
        for share in data.funders
    ) or (Share(party_type="merchant", share_bps=FULL_BPS, party_id=merchant_id),)
    return NewPromotion(
        merchant_id=merchant_id,
        kind=data.kind,
        title=data.title,
        sku_ids=tuple(data.sku_ids),
        starts_at=in_range("starts_at", data.starts_at),
        ends_at=in_range("ends_at", data.ends_at),
        funders=funders,
        budget_cents=data.budget_cents,
        budget_count=data.budget_count,
        price_cents=data.price_cents,
        off_cents=data.off_cents,
        off_bps=data.off_bps,
        min_goods_cents=data.min_goods_cents,
        stock_qty=data.stock_qty,
        per_consumer_qty=data.per_consumer_qty,
        group_size=data.group_size,
        group_minutes=data.group_minutes,
        scene_id=data.scene_id,
        community_id=data.community_id,
        stacks=data.stacks,
    )


def _views(
    conn: psycopg.Connection[Any], principal: Principal, found: list[Promotion]
) -> list[PromotionView]:
    counts = records.counts_of(conn, principal.tenant_id, found)
    return [_view(one, counts[one.promotion_id]) for one in found]


def _view(one: Promotion, counted: records.Counts) -> PromotionView:
    values = asdict(one) | {"sku_ids": list(one.sku_ids)} | asdict(counted)
    # Its coupon is of its orders: nobody needs the code.
    del values["code"]
    return PromotionView(**values)


PROMOTION_ROUTES = (
    approve_promotion,
    close_promotion,
    get_promotion,
    list_groups,
    list_promotions,
    post_promotion,
)
"""Handlers of this resource, for the application."""
