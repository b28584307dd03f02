"""`GET /v1/consumers/{id}/rebuy-reminders`: what a consumer is likely to buy again. Tags: `profiles`."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from serving.api.answers import mark, people_reader_of, principal_of, problem_responses, version_headers
from serving.api.parameters import Identifier
from serving.problems import no_publication, not_found
from serving.scores.documents import RebuyReminders
from serving.security import Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.MERCHANT})


@get(
    "/consumers/{consumer_id:str}/rebuy-reminders",
    opt={"scope": Scope.PROFILES, "roles": _ROLES, "owner": None},
    tags=["Consumers"],
    summary="What a consumer is likely to buy again",
    responses=problem_responses(404),
    response_headers=version_headers(),
)
async def get_rebuy_reminders(request: Request[Any, Any, Any], consumer_id: Identifier) -> RebuyReminders:
    """Product types by the probability that the consumer buys them again within 14 days."""
    merchant_id = principal_of(request).merchant_id
    page = await people_reader_of(request).rebuy_reminders(consumer_id, merchant_id=merchant_id)
    if page is None:
        raise no_publication()
    shown = mark(request, page.shown)
    if not page.owner_known:
        raise not_found("consumer", "Consumer", consumer_id)
    return RebuyReminders(
        publication_version=shown.version,
        as_of=shown.as_of,
        consumer_id=consumer_id,
        reminders=page.rows,
    )
