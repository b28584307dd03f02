"""`GET /v1/reorder-suggestions`: what a supplier should bring in, or a merchant's share of it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter

from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.cursor import cursor_after, expired, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.problems import invalid_parameter, no_publication, not_found
from serving.scores.documents import ReorderPage
from serving.scores.reader import ScoreReader
from serving.security import Role, Scope

MinimumQty = Annotated[
    int,
    Parameter(
        ge=0, le=1_000_000_000, description="Only rows with at least this `reorder_qty`; 1 hides idle ones."
    ),
]
_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER, Role.MERCHANT})


@get(
    "/reorder-suggestions",
    opt={"scope": Scope.REORDER, "roles": _ROLES, "owner": None},
    tags=["Replenishment"],
    summary="Reorder suggestions of a supplier or a merchant",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_reorder_suggestions(
    request: Request[Any, Any, Any],
    supplier_id: OptionalIdentifier = None,
    merchant_id: OptionalIdentifier = None,
    min_qty: MinimumQty = 0,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ReorderPage:
    """Give either `supplier_id` (suggestions) or `merchant_id` (that merchant's shares).

    A key of a merchant sees only the shares of its merchant, a key of a supplier only its own suggestions.
    """
    reader = reader_of(request)
    principal = principal_of(request)
    if supplier_id is not None and merchant_id is None:
        principal.require_owner(Role.SUPPLIER, supplier_id)
        return await _of_supplier(request, reader, supplier_id, min_qty, limit, cursor)
    if merchant_id is not None and supplier_id is None:
        principal.require_merchant(merchant_id)
        return await _of_merchant(request, reader, merchant_id, min_qty, limit, cursor)
    raise invalid_parameter("supplier_id", "give either supplier_id or merchant_id")


async def _of_supplier(
    request: Request[Any, Any, Any],
    reader: ScoreReader,
    supplier_id: str,
    min_qty: int,
    limit: int,
    cursor: str | None,
) -> ReorderPage:
    position = read_cursor(cursor, "reorder_supplier")
    page = await reader.reorder_by_supplier(
        supplier_id,
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        min_qty=min_qty,
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found("supplier", "Supplier", supplier_id)
    rows = page.rows[:limit]
    return ReorderPage(
        publication_version=shown.version,
        as_of=shown.as_of,
        suggestions=rows,
        shares=[],
        next_cursor=cursor_after(
            page.rows, limit, "reorder_supplier", lambda one: [one.sku_id], shown.version
        ),
    )


async def _of_merchant(
    request: Request[Any, Any, Any],
    reader: ScoreReader,
    merchant_id: str,
    min_qty: int,
    limit: int,
    cursor: str | None,
) -> ReorderPage:
    position = read_cursor(cursor, "reorder_merchant")
    page = await reader.reorder_by_merchant(
        merchant_id,
        version=position.version if position else None,
        after=(str(position.key[0]), str(position.key[1])) if position else ("", ""),
        min_qty=min_qty,
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found("merchant", "Merchant", merchant_id)
    rows = page.rows[:limit]
    return ReorderPage(
        publication_version=shown.version,
        as_of=shown.as_of,
        suggestions=[],
        shares=rows,
        next_cursor=cursor_after(
            page.rows, limit, "reorder_merchant", lambda one: [one.sku_id, one.supplier_id], shown.version
        ),
    )
