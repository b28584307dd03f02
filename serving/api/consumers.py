"""`GET /v1/consumers/{id}/...`: the tags of a consumer and what it is likely to buy again."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from feature_store.errors import ProfileError
from serving.api.answers import mark, principal_of, problem_responses, reader_of, version_headers
from serving.api.parameters import Identifier
from serving.problems import ApiError, no_publication, not_found
from serving.scores.documents import ProfileAnswer, RebuyReminders
from serving.scores.profile_tags import read_tags
from serving.security import Role, Scope
from serving.settings import Settings

_ROLES = frozenset({Role.OPERATOR, Role.MERCHANT})


@get(
    "/consumers/{consumer_id:str}/profile",
    opt={"scope": Scope.PROFILES, "roles": _ROLES, "owner": None},
    tags=["Consumers"],
    summary="The profile of a consumer",
    responses=problem_responses(404),
    response_headers=version_headers(),
)
async def get_profile(request: Request[Any, Any, Any], consumer_id: Identifier) -> ProfileAnswer:
    """Every tag with its status: `present`, `null` (no value) or `expired` (too old to be used).

    A key of a merchant sees only consumers that have a list or a wake-up entry at that merchant.
    """
    merchant_id = principal_of(request).merchant_id
    found = await reader_of(request).profile(consumer_id, merchant_id=merchant_id)
    if found is None:
        raise no_publication()
    shown, stored = found
    mark(request, shown)
    if stored is None:
        raise not_found("consumer", "Consumer", consumer_id)
    settings: Settings = request.app.state.settings
    try:
        read = read_tags(
            request.app.state.profile_reader,
            stored,
            consumer_id=consumer_id,
            live_as_of=shown.live_as_of,
            now=settings.business_now(shown.newest),
        )
    except ProfileError as error:
        raise ApiError(
            500,
            "profile-unreadable",
            "The profile cannot be read",
            "The stored tags do not fit the tag schema that they name.",
            remedy="Publish again, or roll back to the version before.",
        ) from error
    return ProfileAnswer(
        publication_version=shown.version,
        as_of=shown.as_of,
        consumer_id=consumer_id,
        revision=shown.revision,
        profile_as_of=stored.as_of,
        as_of_by_class=read.as_of_by_class,
        schema_fingerprint=stored.schema_fingerprint,
        schema_matches=read.matches,
        tags=read.tags,
    )


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
    page = await reader_of(request).rebuy_reminders(consumer_id, merchant_id=merchant_id)
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
