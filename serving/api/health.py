"""`/health/...` and `/metrics`, for the machinery that watches the service; no key is asked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import MediaType, Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta, Struct
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from serving.db.pool import Pool
from serving.errors import DatabaseUnavailableError
from serving.observability import Metrics
from serving.problems import MEDIA_TYPE, Problem, no_publication
from serving.scores.documents import Publication
from serving.scores.reader import ScoreReader
from serving.scores.standing import StandingReader
from serving.settings import Settings

# The framework adds the character set itself.
_METRICS_TYPE = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")


class Live(Struct, frozen=True):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(Struct, frozen=True, kw_only=True):
    """The process can serve scores."""

    status: Literal["ready"] = "ready"
    publication_version: Annotated[str, Meta(description="The version that is served.")]


@get("/health/live", tags=["Operations"], summary="Is the process alive")
async def live() -> Live:
    """Answers as long as the process does; looks at nothing else."""
    return Live()


@get(
    "/health/ready",
    tags=["Operations"],
    summary="Can scores be served",
    responses={
        503: ResponseSpec(
            data_container=Problem,
            description="PostgreSQL does not answer, or nothing is published yet.",
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
    },
)
async def ready(request: Request[Any, Any, Any]) -> Ready:
    """200 when PostgreSQL answers and the tenant of this installation (`MUYUN_TENANT`) has a publication."""
    found = await _check(request)
    if found is None:
        raise no_publication()
    return Ready(publication_version=found.version)


@get("/metrics", tags=["Operations"], summary="Prometheus metrics", media_type=MediaType.TEXT)
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counters and times of the API, what it serves and how fresh; holds no ids of people or merchants."""
    standing: StandingReader = request.app.state.standing
    try:
        await _check(request)
    except DatabaseUnavailableError:
        _metrics_of(request).database_up.set(0)
    try:
        _metrics_of(request).stands(await standing.read())
    except DatabaseUnavailableError:
        _metrics_of(request).stands(None)
    pool: Pool = request.app.state.pool
    _metrics_of(request).connections.set(pool.in_use)
    return Response(generate_latest(_metrics_of(request).registry), media_type=_METRICS_TYPE)


async def _check(request: Request[Any, Any, Any]) -> Publication | None:
    pool: Pool = request.app.state.score_pool
    settings: Settings = request.app.state.settings
    found = await ScoreReader(pool, settings.tenant).current_publication()
    collected = _metrics_of(request)
    collected.database_up.set(1)
    collected.publication.clear()
    if found is not None:
        collected.publication.labels(found.version).set(found.as_of.timestamp())
    return found


def _metrics_of(request: Request[Any, Any, Any]) -> Metrics:
    collected: Metrics = request.app.state.metrics
    return collected
