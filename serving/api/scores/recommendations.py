"""`GET /v1/recommendations`: ranked skus for a consumer in a merchant's assortment."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter

from serving.api.answers import mark, people_reader_of, principal_of, problem_responses, version_headers
from serving.api.clock import now_of
from serving.api.parameters import Identifier
from serving.api.transactions import tenant_transaction
from serving.experiments.trials import Chosen, note_shown
from serving.problems import no_publication, not_found
from serving.scores.documents import Lane, Recommendations
from serving.scores.reader import LONGEST_LIST
from serving.security import Role, Scope

_ROLES = frozenset({Role.OPERATOR, Role.MERCHANT})


@get(
    "/recommendations",
    opt={"scope": Scope.RECOMMENDATIONS, "roles": _ROLES, "owner": "merchant"},
    tags=["Recommendations"],
    summary="Recommendations for a consumer",
    responses=problem_responses(404),
    response_headers=version_headers(),
)
async def get_recommendations(
    request: Request[Any, Any, Any],
    merchant_id: Identifier,
    consumer_id: Identifier,
    limit: Annotated[int, Parameter(ge=1, le=100, description="Most items in the answer.")] = 20,
    lane: Annotated[Lane | None, Parameter(description="Only items of this lane.")] = None,
) -> Recommendations:
    """Skus of the merchant's assortment for the consumer, best first.

    What ran out, lost its offers or was taken off sale since the publication is left out, and the next of the
    list move up. What the consumer just did at the merchant (`POST /v1/events`) moves items of the categories
    concerned up and what was just bought down; `reason_code` says so. `rank` stays the place in the published
    list.
    A consumer of a running experiment gets the list of their arm, which is noted the first time.
    A consumer without a list at this merchant gets what sells well there, and `fallback` says so.
    """
    principal_of(request).require_merchant(merchant_id)
    reader = people_reader_of(request)
    wanted = limit if lane is None else LONGEST_LIST
    found = await reader.recommendations(merchant_id, consumer_id, wanted=wanted)
    if found is None:
        raise no_publication()
    shown = mark(request, found.shown)
    if not found.merchant_known:
        raise not_found("merchant", "Merchant", merchant_id)
    if found.chosen is not None and not found.chosen.trial.is_exposed:
        await sync_to_thread(_note_shown, request, consumer_id, found.chosen)
    items = found.items if lane is None else [item for item in found.items if item.lane == lane]
    return Recommendations(
        publication_version=shown.version,
        as_of=shown.as_of,
        merchant_id=merchant_id,
        consumer_id=consumer_id,
        fallback="popular_in_assortment" if found.is_fallback else None,
        items=items[:limit],
    )


def _note_shown(request: Request[Any, Any, Any], consumer_id: str, chosen: Chosen) -> None:
    """Note the first showing before it is shown; what cannot be noted is not shown."""
    with tenant_transaction(request) as conn:
        note_shown(conn, principal_of(request).tenant_id, consumer_id, chosen, now_of(request, conn))
