"""`GET /v1/profiles/...`: the tags of consumers, with status and age."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from litestar import Request, Response, get
from litestar.params import Parameter

from feature_store.errors import ProfileError
from serving.api.answers import people_reader_of, principal_of, problem_responses, version_headers
from serving.api.parameters import Identifier
from serving.problems import ApiError, no_publication, not_found
from serving.scores.documents import Profile, ProfileAnswer, ProfileBatch
from serving.scores.profile_answer import Ages, EncodedTags, answer_body
from serving.scores.profile_cache import ProfileCaches
from serving.scores.profile_tags import profile_document
from serving.scores.reader import Shown, StoredProfile
from serving.security import Role, Scope
from serving.settings import Settings

_ACCESS: dict[str, Any] = {
    "scope": Scope.PROFILES,
    "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
    "owner": None,
}
_MOST_PROFILES = 100


@get(
    ["/profiles/{consumer_id:str}", "/consumers/{consumer_id:str}/profile"],
    opt=_ACCESS,
    tags=["Consumers"],
    summary="The profile of a consumer",
    responses=problem_responses(404),
    response_headers=version_headers(),
)
async def get_profile(request: Request[Any, Any, Any], consumer_id: Identifier) -> Response[ProfileAnswer]:
    """Every tag with its status: `present`, `null`, `no_source`, `expired` (too old) or `withheld`.

    A key of a merchant sees only consumers that have a list or a wake-up entry at that merchant.
    """
    principal = principal_of(request)
    key = (consumer_id, principal.merchant_id)
    caches: ProfileCaches = request.app.state.profile_caches
    cache = caches.of(principal.tenant_id)
    settings: Settings = request.app.state.settings
    tags = cache.get(key)
    shown = cache.shown
    ages = None
    if tags is not None and shown is not None:
        ages = cache.ages(tags, settings.business_now(shown.newest))
    if tags is None or shown is None or ages is None:
        generation = cache.generation
        shown, found = await _found(request, [consumer_id], key[1])
        if consumer_id not in found:
            raise not_found("consumer", "Consumer", consumer_id)
        now = settings.business_now(shown.newest)
        tags = EncodedTags.of(_document(request, shown, consumer_id, found[consumer_id]), now)
        ages = Ages.of(shown, tags, now)
        cache.put(key, tags, shown, generation=generation)
    request.scope["state"]["publication"] = shown.version
    # Encoded already; the type says what it holds, for the OpenAPI document.
    body = cast(ProfileAnswer, answer_body(consumer_id, ages, tags))
    return Response(body, media_type="application/json")


@get(
    "/profiles",
    opt=_ACCESS,
    tags=["Consumers"],
    summary="The profiles of several consumers",
    responses=problem_responses(),
    response_headers=version_headers(),
)
async def list_profiles(
    request: Request[Any, Any, Any],
    consumer_id: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=128)]],
        Parameter(
            min_items=1,
            max_items=_MOST_PROFILES,
            description=f"Repeat it for each consumer, at most {_MOST_PROFILES}.",
        ),
    ],
) -> ProfileBatch:
    """All of one version and revision. Who has no profile, or none that the key may see, is in `unknown`."""
    if any("\x00" in one for one in consumer_id):
        raise ApiError(422, "invalid-parameter", "Invalid parameter", "consumer_id: a zero byte")
    wanted = list(dict.fromkeys(consumer_id))
    shown, found = await _found(request, wanted, principal_of(request).merchant_id)
    return ProfileBatch(
        publication_version=shown.version,
        as_of=shown.as_of,
        revision=shown.revision,
        profiles=[_document(request, shown, one, found[one]) for one in wanted if one in found],
        unknown=[one for one in wanted if one not in found],
    )


async def _found(
    request: Request[Any, Any, Any], consumers: list[str], merchant_id: str | None
) -> tuple[Shown, dict[str, StoredProfile]]:
    read = await people_reader_of(request).profiles(consumers, merchant_id=merchant_id)
    if read is None:
        raise no_publication()
    request.scope["state"]["publication"] = read[0].version
    return read


def _document(
    request: Request[Any, Any, Any], shown: Shown, consumer_id: str, stored: StoredProfile
) -> Profile:
    settings: Settings = request.app.state.settings
    try:
        return profile_document(
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


PROFILE_ROUTES = (get_profile, list_profiles)
