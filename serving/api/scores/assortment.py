"""`/v1/assortment-suggestions`: what merchants should take in; taken it is listed, refused it stays away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import psycopg
from litestar import Request, get, post
from msgspec import Meta, Struct

from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.cursor import cursor_after, expired, read_cursor
from serving.api.orders.order_work import IdempotencyKey, made_once, order_transaction
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail
from serving.orders.assortment import suggestions
from serving.problems import no_publication, not_found
from serving.scores.documents import AssortmentPage
from serving.security import Role, Scope

_ONE = "/merchants/{merchant_id:str}/assortment-suggestions/{sku_id:str}"
_DECIDES = {
    "scope": Scope.ORDERS_WRITE,
    "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
    "owner": "merchant",
}
_Call = Request[Any, Any, Any]
_Decide = Callable[[psycopg.Connection[Any], str, datetime], Mapping[str, Detail]]


class TakeSuggestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A suggestion is taken."""

    list_price_cents: Annotated[
        Annotated[int, Meta(ge=1, le=10**10)] | None,
        Meta(description="Fen for a unit; the suggested price if none."),
    ] = None


class SuggestionTaken(Struct, frozen=True, kw_only=True):
    """The sku is on sale at the merchant."""

    merchant_id: str
    sku_id: str
    list_price_cents: int


class RefuseSuggestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A suggestion is refused."""

    reason_code: Annotated[
        Literal["wrong_category", "unwanted_supplier", "too_expensive", "enough_of_kind", "other"],
        Meta(description="The first two keep the whole category, or the supplier, away as well."),
    ]


class SuggestionRefused(Struct, frozen=True, kw_only=True):
    """The suggestion is not made again before."""

    merchant_id: str
    sku_id: str
    until_at: datetime


@get(
    "/assortment-suggestions",
    opt={
        "scope": Scope.REORDER,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Supply"],
    summary="Skus that merchants should take in",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_assortment_suggestions(
    request: _Call,
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> AssortmentPage:
    """Of one merchant or of all, the largest expected margin first; a merchant's key sees its own."""
    principal = principal_of(request)
    if merchant_id is not None:
        principal.require_merchant(merchant_id)
    elif principal.role is Role.MERCHANT:
        merchant_id = principal.party_id
    position = read_cursor(cursor, "assortment")
    page = await reader_of(request).assortment(
        merchant_id,
        version=position.version if position else None,
        after=(str(position.key[0]), int(position.key[1])) if position else ("", 0),
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known and merchant_id is not None:
        raise not_found("merchant", "Merchant", merchant_id)
    rows = page.rows[:limit]
    return AssortmentPage(
        publication_version=shown.version,
        as_of=shown.as_of,
        suggestions=rows,
        next_cursor=cursor_after(
            page.rows, limit, "assortment", lambda one: [one.merchant_id, one.rank], shown.version
        ),
    )


@post(
    f"{_ONE}/take",
    opt=_DECIDES,
    tags=["Supply"],
    summary="Put a suggested sku on sale",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_take(
    request: _Call,
    merchant_id: Identifier,
    sku_id: Identifier,
    data: TakeSuggestion,
    idempotency_key: IdempotencyKey,
) -> SuggestionTaken:
    """By the rules of listings: 409 where the quality brake stopped it, or nobody can supply it any more."""

    def decide(conn: psycopg.Connection[Any], tenant: str, now: datetime) -> Mapping[str, Detail]:
        price = suggestions.take(conn, tenant, merchant_id, sku_id, data.list_price_cents, now)
        return {"sku_id": sku_id, "list_price_cents": price}

    done = _decided(request, "take", merchant_id, sku_id, idempotency_key, data, decide)
    return SuggestionTaken(
        merchant_id=merchant_id, sku_id=sku_id, list_price_cents=int(str(done["list_price_cents"]))
    )


@post(
    f"{_ONE}/refuse",
    opt=_DECIDES,
    tags=["Supply"],
    summary="Keep a suggestion away",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_refuse(
    request: _Call,
    merchant_id: Identifier,
    sku_id: Identifier,
    data: RefuseSuggestion,
    idempotency_key: IdempotencyKey,
) -> SuggestionRefused:
    """For 90 days; the next night reads the reason."""

    def decide(conn: psycopg.Connection[Any], tenant: str, now: datetime) -> Mapping[str, Detail]:
        until = suggestions.refuse(conn, tenant, merchant_id, sku_id, data.reason_code, now)
        return {"sku_id": sku_id, "reason_code": data.reason_code, "until_at": until.isoformat()}

    done = _decided(request, "refuse", merchant_id, sku_id, idempotency_key, data, decide)
    return SuggestionRefused(
        merchant_id=merchant_id, sku_id=sku_id, until_at=datetime.fromisoformat(str(done["until_at"]))
    )


def _decided(
    request: _Call, verb: str, merchant_id: str, sku_id: str, key: str, body: object, decide: _Decide
) -> Mapping[str, Detail]:
    principal = principal_of(request)
    action = f"assortment.{verb}"
    with order_transaction(request) as (conn, now):
        outcome, details = made_once(
            conn,
            principal,
            f"{action}:{merchant_id}:{sku_id}",
            key,
            body,
            lambda: decide(conn, principal.tenant_id, now),
        )
        note(request, conn, action, "merchant", merchant_id, outcome=outcome, details=details)
    return details


ASSORTMENT_ROUTES = (get_assortment_suggestions, post_take, post_refuse)
