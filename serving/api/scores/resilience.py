"""`GET /v1/supply-resilience`, `/v1/supply-proposals`, `/v1/supply-failures`: what if a supplier fails."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, problem_responses, reader_of, version_headers
from serving.api.cursor import Kind, Position, expired, read_cursor, write_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.problems import no_publication, not_found
from serving.scores.documents import FailurePage, ProposalPage, ResiliencePage
from serving.scores.reader import Page, Shown
from serving.security import Role, Scope

_ACCESS: dict[str, Any] = {
    "scope": Scope.REORDER,
    "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "owner": None,
}


@get(
    "/supply-resilience",
    opt=_ACCESS,
    tags=["Replenishment"],
    summary="How far categories lean on one supplier",
    responses=problem_responses(410),
    response_headers=version_headers(),
)
async def get_supply_resilience(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> ResiliencePage:
    """A main supplier should have 60% at most, the others should be able to ship 30%."""
    position = read_cursor(cursor, "supply_resilience")
    page = await reader_of(request).supply_resilience(
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        limit=limit,
    )
    shown, rows = _shown(request, page, position, limit)
    return ResiliencePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        categories=rows,
        next_cursor=_following("supply_resilience", page, shown, limit, "category_id"),
    )


@get(
    "/supply-proposals",
    opt=_ACCESS,
    tags=["Replenishment"],
    summary="Units that should move to other suppliers",
    responses=problem_responses(410),
    response_headers=version_headers(),
)
async def get_supply_proposals(
    request: Request[Any, Any, Any],
    category_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ProposalPage:
    """The least change within which no supplier has more than 60% of a category, of one category or all."""
    position = read_cursor(cursor, "supply_proposals")
    key = [str(part) for part in position.key] if position else ["", "", ""]
    page = await reader_of(request).supply_proposals(
        category_id,
        version=position.version if position else None,
        after=(key[0], key[1], key[2]),
        limit=limit,
    )
    shown, rows = _shown(request, page, position, limit)
    return ProposalPage(
        publication_version=shown.version,
        as_of=shown.as_of,
        proposals=rows,
        next_cursor=_following(
            "supply_proposals", page, shown, limit, "category_id", "sku_id", "supplier_id"
        ),
    )


@get(
    "/supply-failures",
    opt=_ACCESS,
    tags=["Replenishment"],
    summary="What if a supplier fails tomorrow",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_supply_failures(
    request: Request[Any, Any, Any],
    supplier_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> FailurePage:
    """Lost units, cost and days of one supplier, or of all; 404 for one that ships nothing."""
    position = read_cursor(cursor, "supply_failures")
    page = await reader_of(request).supply_failures(
        supplier_id,
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        limit=limit,
    )
    shown, rows = _shown(request, page, position, limit)
    if supplier_id is not None and not rows and position is None:
        raise not_found("supplier", "Supplier", supplier_id)
    return FailurePage(
        publication_version=shown.version,
        as_of=shown.as_of,
        failures=rows,
        next_cursor=_following("supply_failures", page, shown, limit, "supplier_id"),
    )


def _shown(
    request: Request[Any, Any, Any], page: Page | None, position: Position | None, limit: int
) -> tuple[Shown, list[Any]]:
    if page is None:
        raise expired(position.version) if position else no_publication()
    return mark(request, page.shown), page.rows[:limit]


def _following(kind: Kind, page: Page | None, shown: Shown, limit: int, *key: str) -> str | None:
    """The cursor behind the last row, where there is more."""
    if page is None or len(page.rows) <= limit:
        return None
    last = page.rows[limit - 1]
    return write_cursor(Position(kind, shown.version, [getattr(last, name) for name in key]))


RESILIENCE_ROUTES = (get_supply_resilience, get_supply_proposals, get_supply_failures)
