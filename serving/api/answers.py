"""What all resources share: the error answers they document, and marking the version that was served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec

from serving.consumers.errors import ConsumerErasedError
from serving.db.pool import Pool
from serving.observability import PUBLICATION_HEADER
from serving.problems import MEDIA_TYPE, ApiError, Problem
from serving.scores.reader import ScoreReader, Shown
from serving.security import Principal

_TEXTS = {
    401: "No key, or one that is unknown or revoked.",
    403: "The key lacks the scope, or belongs to another merchant.",
    404: "The current version does not know it.",
    409: "It contradicts what is there.",
    410: "What was asked for is not kept any more: the version of a cursor, or an erased person.",
    413: "The body is too large.",
    422: "A parameter is missing or not valid.",
    429: "The key asks too often; see Retry-After.",
    500: "A failure that is not the caller's; give the request_id to the operator.",
    503: "PostgreSQL does not answer, or nothing is published yet.",
}


def problem_responses(*extra: int) -> dict[int, ResponseSpec]:
    """OpenAPI entries for the errors of a resource: the usual ones and the given."""
    statuses = sorted({401, 403, 422, 429, 500, 503, *extra})
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_TEXTS[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def erased_problem(error: ConsumerErasedError) -> ApiError:
    """410 for what would be written about a person who was erased."""
    return ApiError(
        410,
        "consumer-erased",
        "The consumer was erased",
        str(error),
        remedy="A person who comes back is somebody new: use another consumer_id.",
    )


def version_headers() -> Sequence[ResponseHeader]:
    """OpenAPI entry for the header that names the version."""
    return [
        ResponseHeader(
            name=PUBLICATION_HEADER,
            description="The published version that the answer comes from.",
            documentation_only=True,
        )
    ]


def reader_of(request: Request[Any, Any, Any]) -> ScoreReader:
    """Reads the scores of the key's tenant; over a replica when there is one."""
    pool: Pool = request.app.state.score_pool
    return ScoreReader(pool, principal_of(request).tenant_id)


def people_reader_of(request: Request[Any, Any, Any]) -> ScoreReader:
    """Reads what consents and erasures decide about: never over a replica, which comes later."""
    pool: Pool = request.app.state.pool
    return ScoreReader(pool, principal_of(request).tenant_id)


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Who asks; set by the guard."""
    principal: Principal = request.scope["state"]["principal"]
    return principal


def mark(request: Request[Any, Any, Any], shown: Shown) -> Shown:
    """Note the version, which the outermost layer writes into the header and the log."""
    request.scope["state"]["publication"] = shown.version
    return shown
