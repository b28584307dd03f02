"""`GET /v1/segments[/{name}]`: named groups of consumers, who is in them, who came and who left."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter

from serving.api.answers import mark, people_reader_of, problem_responses, version_headers
from serving.api.cursor import Position, expired, read_cursor, write_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.problems import no_publication, not_found
from serving.scores.documents import SegmentList, SegmentPage, SegmentShow
from serving.security import Role, Scope

_ACCESS: dict[str, Any] = {
    "scope": Scope.SEGMENTS,
    "roles": frozenset({Role.OPERATOR}),
    "owner": None,
}
Days = Annotated[int, Parameter(ge=1, le=28, description="Days before the version's `as_of`.")]


@get(
    "/segments",
    opt=_ACCESS,
    tags=["Lifecycle"],
    summary="The segments",
    responses=problem_responses(),
    response_headers=version_headers(),
)
async def list_segments(request: Request[Any, Any, Any], days: Days = 7) -> SegmentList:
    """Every segment with its size and how many entered and left; nobody is named."""
    page = await people_reader_of(request).segments(days=days)
    if page is None:
        raise no_publication()
    mark(request, page.shown)
    return SegmentList(
        publication_version=page.shown.version, as_of=page.shown.as_of, days=days, segments=page.rows
    )


@get(
    "/segments/{name:str}",
    opt=_ACCESS,
    tags=["Lifecycle"],
    summary="A segment and its members",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_segment(
    request: Request[Any, Any, Any],
    name: Identifier,
    show: Annotated[
        SegmentShow, Parameter(description="Everybody in it, or who entered or left within `days`.")
    ] = "members",
    days: Days = 7,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> SegmentPage:
    """Size, how many entered and left, and a page of consumers in the order of their ids.

    A segment is a list to contact: consumers who withdrew a consent are counted and not listed.
    """
    position = read_cursor(cursor, "segment")
    page = await people_reader_of(request).segment(
        name,
        show=show,
        days=days,
        version=position.version if position else None,
        after=str(position.key[0]) if position else "",
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    mark(request, page.shown)
    if page.segment is None:
        raise not_found("segment", "Segment", name)
    members = page.members[:limit]
    more = len(page.members) > limit
    return SegmentPage(
        publication_version=page.shown.version,
        as_of=page.shown.as_of,
        segment=name,
        description=page.segment.description,
        member_count=page.segment.member_count,
        entered_count=page.segment.entered_count,
        left_count=page.segment.left_count,
        days=days,
        members=members,
        next_cursor=write_cursor(Position("segment", page.shown.version, [members[-1].consumer_id]))
        if more
        else None,
    )


SEGMENT_ROUTES = (list_segments, get_segment)
