"""`GET /v1/wakeup-list`: dormant consumers worth waking, with the offer to make."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, people_reader_of, principal_of, problem_responses, version_headers
from serving.api.cursor import cursor_after, expired, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.problems import no_publication, not_found
from serving.scores.documents import WakeupPage
from serving.security import Role, Scope

_BEFORE_THE_FIRST = (-1, "")
_ROLES = frozenset({Role.OPERATOR, Role.MERCHANT})


@get(
    "/wakeup-list",
    opt={"scope": Scope.WAKEUP, "roles": _ROLES, "owner": "merchant"},
    tags=["Lifecycle"],
    summary="Consumers worth waking",
    responses=problem_responses(404, 410),
    response_headers=version_headers(),
)
async def get_wakeup_list(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> WakeupPage:
    """The list by rank; an operator's key sees all merchants, a merchant's key its own.

    The randomised control share must not be contacted: only keys with `wakeup:control` see it.
    """
    principal = principal_of(request)
    if merchant_id is not None:
        principal.require_merchant(merchant_id)
    position = read_cursor(cursor, "wakeup")
    page = await people_reader_of(request).wakeup(
        merchant_id or principal.merchant_id,
        version=position.version if position else None,
        after=(int(position.key[0]), str(position.key[1])) if position else _BEFORE_THE_FIRST,
        with_control=Scope.WAKEUP_CONTROL in principal.scopes,
        limit=limit,
    )
    if page is None:
        raise expired(position.version) if position else no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known and merchant_id is not None:
        raise not_found("merchant", "Merchant", merchant_id)
    rows = page.rows[:limit]
    return WakeupPage(
        publication_version=shown.version,
        as_of=shown.as_of,
        entries=rows,
        next_cursor=cursor_after(
            page.rows, limit, "wakeup", lambda one: [one.rank, one.consumer_id], shown.version
        ),
    )
