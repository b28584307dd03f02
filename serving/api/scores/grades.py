"""`GET /v1/supplier-grades`, `GET /v1/channel-scores`: how good suppliers are, and what that is made of."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.cursor import Position, cursor_after, expired, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.problems import invalid_parameter, no_publication, not_found
from serving.scores.documents import ChannelScorePage, SupplierGradePage
from serving.scores.reader import Page
from serving.security import Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR, Role.SUPPLIER})


@get(
    "/supplier-grades",
    opt={"scope": Scope.GRADES, "roles": _ROLES, "owner": "supplier"},
    tags=["Supply"],
    summary="Grades of suppliers",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_supplier_grades(
    request: Request[Any, Any, Any],
    supplier_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> SupplierGradePage:
    """The grade of every supplier, or of one. A supplier's key sees its own."""
    principal = principal_of(request)
    if supplier_id is not None:
        principal.require_owner(Role.SUPPLIER, supplier_id)
    elif principal.role is Role.SUPPLIER:
        supplier_id = principal.party_id
    position = read_cursor(cursor, "supplier_grades")
    page = await reader_of(request).supplier_grades(
        supplier_id,
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known and supplier_id is not None:
        raise not_found("supplier", "Supplier", supplier_id)
    rows = page.rows[:limit]
    following = cursor_after(
        page.rows, limit, "supplier_grades", lambda one: [one.supplier_id], shown.version
    )
    return SupplierGradePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        grades=rows,
        next_cursor=following,
    )


@get(
    "/channel-scores",
    opt={"scope": Scope.GRADES, "roles": _ROLES, "owner": None},
    tags=["Supply"],
    summary="Scores of a supplier by category, or of a category by supplier",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_channel_scores(
    request: Request[Any, Any, Any],
    supplier_id: OptionalIdentifier = None,
    category_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ChannelScorePage:
    """Give either `supplier_id` or `category_id`; a supplier's key sees its own channels only."""
    principal = principal_of(request)
    if supplier_id is not None and category_id is None:
        principal.require_owner(Role.SUPPLIER, supplier_id)
        position = read_cursor(cursor, "supplier_channels")
        page = await reader_of(request).channels_of_supplier(
            supplier_id,
            version=position.version if position else None,
            after=str(position.key[0]) if position else "",
            limit=limit,
        )
        return _answer(request, page, position, ("supplier", "Supplier", supplier_id), limit)
    if category_id is not None and supplier_id is None:
        if principal.role is Role.SUPPLIER:
            raise invalid_parameter("category_id", "a supplier's key sees its own channels: give supplier_id")
        position = read_cursor(cursor, "category_channels")
        page = await reader_of(request).channels_of_category(
            category_id,
            version=position.version if position else None,
            after=int(position.key[0]) if position else 0,
            limit=limit,
        )
        return _answer(request, page, position, ("category", "Category", category_id), limit)
    raise invalid_parameter("supplier_id", "give either supplier_id or category_id")


def _answer(
    request: Request[Any, Any, Any],
    page: Page | None,
    position: Position | None,
    owner: tuple[str, str, str],
    limit: int,
) -> ChannelScorePage:
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found(*owner)
    rows = page.rows[:limit]
    if owner[0] == "supplier":
        following = cursor_after(
            page.rows, limit, "supplier_channels", lambda one: [one.category_id], shown.version
        )
    else:
        following = cursor_after(page.rows, limit, "category_channels", lambda one: [one.rank], shown.version)
    return ChannelScorePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        channels=rows,
        next_cursor=following,
    )
