"""`GET /v1/publications...`: which versions of the scores there are."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, problem_responses, reader_of, version_headers
from serving.api.cursor import Position, read_cursor, write_cursor
from serving.api.parameters import CursorText, PageSize
from serving.problems import no_publication
from serving.scores.documents import Publication, PublicationPage
from serving.scores.reader import Shown
from serving.security import Role, Scope


@get(
    "/publications/current",
    opt={"scope": Scope.PUBLICATIONS, "roles": frozenset(Role), "owner": None},
    tags=["Publications"],
    summary="The version that is served",
    responses=problem_responses(),
    response_headers=version_headers(),
)
async def get_current_publication(request: Request[Any, Any, Any]) -> Publication:
    """Id, data range, model versions, row counts and content hash of the current version."""
    found = await reader_of(request).current_publication()
    if found is None:
        raise no_publication()
    mark(request, Shown(found.version, found.as_of))
    return found


@get(
    "/publications",
    opt={"scope": Scope.PUBLICATIONS, "roles": frozenset(Role), "owner": None},
    tags=["Publications"],
    summary="The versions that are kept",
    responses=problem_responses(),
)
async def list_publications(
    request: Request[Any, Any, Any], limit: PageSize = 20, cursor: CursorText = None
) -> PublicationPage:
    """Newest load first; `is_current` marks the one that is served."""
    position = read_cursor(cursor, "publications")
    found = await reader_of(request).publications(after=position.version if position else None, limit=limit)
    rows = found[:limit]
    more = len(found) > limit
    last = rows[-1].version if rows else ""
    return PublicationPage(
        publications=rows,
        next_cursor=write_cursor(Position("publications", last, [last])) if more else None,
    )
