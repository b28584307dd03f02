"""`GET /v1/clearance-warnings`: stock that turns over slowly, for who holds it and for who sells it."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.cursor import Position, cursor_after, expired, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.problems import invalid_parameter, no_publication, not_found
from serving.scores.documents import ClearancePage
from serving.scores.reader import Page
from serving.security import Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER, Role.MERCHANT})


@get(
    "/clearance-warnings",
    opt={"scope": Scope.REORDER, "roles": _ROLES, "owner": None},
    tags=["Replenishment"],
    summary="Stock whose turnover is below 15%, with a ladder of cuts",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_clearance_warnings(
    request: Request[Any, Any, Any],
    supplier_id: OptionalIdentifier = None,
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ClearancePage:
    """Give either `supplier_id` (the stock it holds) or `merchant_id` (the stock of what it has a price for).

    A key of a merchant asks for its own merchant only, a key of a supplier for its own stock only.
    """
    reader = reader_of(request)
    principal = principal_of(request)
    if supplier_id is not None and merchant_id is None:
        principal.require_owner(Role.SUPPLIER, supplier_id)
        position = read_cursor(cursor, "clearance_supplier")
        page = await reader.clearance_by_supplier(
            supplier_id,
            version=position.version if position else None,
            after=str(position.key[0]) if position else "",
            limit=limit,
        )
        owner = ("supplier", "Supplier", supplier_id)
        return _answer(request, page, position, owner, limit)
    if merchant_id is not None and supplier_id is None:
        principal.require_merchant(merchant_id)
        position = read_cursor(cursor, "clearance_merchant")
        page = await reader.clearance_by_merchant(
            merchant_id,
            version=position.version if position else None,
            after=(str(position.key[0]), str(position.key[1])) if position else ("", ""),
            limit=limit,
        )
        return _answer(request, page, position, ("merchant", "Merchant", merchant_id), limit)
    raise invalid_parameter("supplier_id", "give either supplier_id or merchant_id")


def _answer(
    request: Request[Any, Any, Any],
    page: Page | None,
    position: Position | None,
    owner: tuple[str, str, str],
    limit: int,
) -> ClearancePage:
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found(*owner)
    rows = page.rows[:limit]
    if owner[0] == "supplier":
        following = cursor_after(
            page.rows, limit, "clearance_supplier", lambda one: [one.sku_id], shown.version
        )
    else:
        following = cursor_after(
            page.rows, limit, "clearance_merchant", lambda one: [one.sku_id, one.supplier_id], shown.version
        )
    return ClearancePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        warnings=rows,
        next_cursor=following,
    )
