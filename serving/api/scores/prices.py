"""`GET /v1/prices/...`: suggested unit prices with their guard rails and explanation."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.cursor import cursor_after, expired, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.problems import no_publication, not_found
from serving.scores.documents import PriceAnswer, PricePage
from serving.scores.live import PRICES_AS_OF
from serving.security import Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT})


@get(
    "/prices/{merchant_id:str}/{sku_id:str}",
    opt={"scope": Scope.PRICES, "roles": _ROLES, "owner": "merchant"},
    tags=["Prices"],
    summary="The price of a sku at a merchant",
    responses=problem_responses(404),
    response_headers=version_headers(),
)
async def get_price(
    request: Request[Any, Any, Any], merchant_id: Identifier, sku_id: Identifier
) -> PriceAnswer:
    """The suggested unit price with floor, ceiling, anchor and the explanation of how it came about."""
    principal_of(request).require_merchant(merchant_id)
    page = await reader_of(request).price(merchant_id, sku_id)
    if page is None:
        raise no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found("merchant", "Merchant", merchant_id)
    if not page.rows:
        raise not_found("price", "Price of sku", sku_id)
    return PriceAnswer(
        publication_version=shown.version,
        as_of=shown.as_of,
        revision=shown.revision,
        prices_as_of=shown.live_as_of.get(PRICES_AS_OF, shown.as_of),
        price=page.rows[0],
    )


@get(
    "/prices/{merchant_id:str}",
    opt={"scope": Scope.PRICES, "roles": _ROLES, "owner": "merchant"},
    tags=["Prices"],
    summary="All prices of a merchant",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def list_prices(
    request: Request[Any, Any, Any],
    merchant_id: Identifier,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> PricePage:
    """Prices in the order of the sku. All pages of one walk come from the same published version.

    A page shows one `revision` of it; a later page may show a newer one.
    """
    principal_of(request).require_merchant(merchant_id)
    position = read_cursor(cursor, "prices")
    page = await reader_of(request).prices(
        merchant_id,
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found("merchant", "Merchant", merchant_id)
    rows = page.rows[:limit]
    return PricePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        revision=shown.revision,
        prices_as_of=shown.live_as_of.get(PRICES_AS_OF, shown.as_of),
        prices=rows,
        next_cursor=cursor_after(page.rows, limit, "prices", lambda one: [one.sku_id], shown.version),
    )
