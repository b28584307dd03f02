"""`/v1/journeys`: what consumers are told by which rules: drafts, four eyes, pause, stop, verdict."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, ask_another, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.journeys import outbox_page, versions
from serving.journeys.asking import ask_of
from serving.journeys.definition.loading import shipped
from serving.journeys.effects import costs_of
from serving.journeys.margins import earned
from serving.journeys.preview import preview
from serving.journeys.results import verdict_of
from serving.security import Role, Scope
from serving.settings import Settings

_OPERATOR = frozenset({Role.OPERATOR})
_WATCHERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_VersionNo = Annotated[int, Parameter(ge=1, le=1_000_000, description="Number of the version.")]
_Reason = Annotated[str, Meta(min_length=1, max_length=200, examples=["the prices in it are wrong"])]


class JourneyRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version to be kept as a draft."""

    document: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=50_000,
            description="YAML; begin with one of `GET /v1/journeys/shipped`. Fields: docs/growth.md.",
        ),
    ]


class StopRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a journey pauses or stops."""

    reason: _Reason


class JourneyView(Struct, frozen=True, kw_only=True):
    """A version of a journey."""

    journey_id: str
    version: int
    state: Annotated[str, Meta(description="`draft`, `live`, `paused`, `replaced` or `stopped`.")]
    digest: str
    made_by: str
    made_at: datetime
    live_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    document: dict[str, Any]


class JourneyPage(Struct, frozen=True, kw_only=True):
    """Journeys by id: the version in force, else the newest."""

    journeys: list[JourneyView]
    next_cursor: str | None


class ShippedJourney(Struct, frozen=True, kw_only=True):
    """A journey that comes with the product."""

    journey_id: str
    document: Annotated[str, Meta(description="YAML.")]


class ShippedList(Struct, frozen=True, kw_only=True):
    """The journeys that come with the product."""

    journeys: list[ShippedJourney]


class StoppedView(Struct, frozen=True, kw_only=True):
    """A journey that ended, and how many runs ended with it."""

    journey_id: str
    ended_runs: int


class PreviewView(Struct, frozen=True, kw_only=True):
    """What a version would do now; nobody is named and nothing is written."""

    journey_id: str
    version: int
    entering: int
    arms: dict[str, int]
    first_acts: Annotated[
        dict[str, int],
        Meta(description="What the first move of the treated would ask for, `act` or `act:reason`."),
    ]
    baseline: Annotated[float, Meta(description="Share of those entering who ordered lately.")]
    detectable: Annotated[
        float | None, Meta(description="Smallest difference of shares that so many show with power .8.")
    ]


class GroupView(Struct, frozen=True, kw_only=True):
    """An arm: assigned long enough ago, and of them who reached the goal in time."""

    size: int
    reached: int


class EarnedView(Struct, frozen=True, kw_only=True):
    """Margin of a run's orders less what its messages cost, fen; coupons are off what was paid."""

    treated: Annotated[float, Meta(description="Mean of the treated.")]
    control: float
    difference: Annotated[
        float, Meta(description="Less what the arms differed by in spend of 28 days before (CUPED).")
    ]
    low: Annotated[float, Meta(description="Lower end of the 95% interval (Welch).")]
    high: float


class VerdictView(Struct, frozen=True, kw_only=True):
    """Whether a journey helps: treated against control, as assigned."""

    journey_id: str
    goal: str
    goal_days: int
    treated: GroupView
    control: GroupView
    difference: float
    low: Annotated[float, Meta(description="Lower end of the 95% interval (Newcombe).")]
    high: float
    ratio_p: Annotated[float, Meta(description="Below .001 the arms do not fit the shares: `blocked`.")]
    detectable: float | None
    verdict: Annotated[str, Meta(description="`gain`, `loss`, `not_yet` or `blocked`.")]
    margin: Annotated[
        EarnedView | None,
        Meta(
            description="Null while blocked, with too few runs, and where the API recorded no order of them."
        ),
    ]


class MessageView(Struct, frozen=True, kw_only=True):
    """A message of the outbox."""

    message_id: int
    consumer_id: str
    step: str
    channel: str
    state: Annotated[
        str,
        Meta(description="`waiting`, `sent`, `delivered`, `failed`, `withheld` or `would_send` (a control)."),
    ]
    reason: str | None
    body: str
    decided_at: datetime
    sent_at: datetime | None
    told_at: datetime | None
    clicked_at: datetime | None


class MessagePage(Struct, frozen=True, kw_only=True):
    """Messages by number."""

    messages: list[MessageView]
    next_cursor: str | None


@get(
    "/journeys",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Journeys",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_journeys(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> JourneyPage:
    """By id: the version in force, else the newest one."""
    position = read_cursor(cursor, "journeys")
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.page(
            conn,
            principal_of(request).tenant_id,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    shown = [_view(one) for one in found[:limit]]
    return JourneyPage(
        journeys=shown,
        next_cursor=cursor_after(found, limit, "journeys", lambda one: [one.journey.journey_id]),
    )


@get(
    "/journeys/shipped",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Journeys that come with the product",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_shipped(request: Request[Any, Any, Any]) -> ShippedList:
    """Documents to begin with; those with a coupon need a programme of that name."""
    return ShippedList(
        journeys=[ShippedJourney(journey_id=name, document=text) for name, text in shipped().items()]
    )


@post(
    "/journeys",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Keep a version as a draft",
    status_code=201,
    responses=problem_responses(422),
    sync_to_thread=True,
)
def post_journey(request: Request[Any, Any, Any], data: JourneyRequest) -> JourneyView:
    """The same words again are the version that has them. A draft does nothing."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.put_forward(
            conn, principal.tenant_id, data.document, principal.key_id, now_of(request, conn)
        )
        note(
            request,
            conn,
            "journey.draft",
            "journey",
            found.journey.journey_id,
            details={"version": found.version},
        )
    return _view(found)


@post(
    "/journeys/{journey_id:str}/versions/{version:int}/in-force",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Ask for a version to come into force",
    status_code=202,
    responses=two_people_responses(404, 409),
    sync_to_thread=True,
)
def post_in_force(request: Request[Any, Any, Any], journey_id: Identifier, version: _VersionNo) -> Waiting:
    """Another person must approve it. Runs under older versions finish under them."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.find(conn, principal_of(request).tenant_id, journey_id, version)
        return ask_another(request, conn, ask_of(found), now_of(request, conn))


@post(
    "/journeys/{journey_id:str}/pause",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Pause a journey",
    status_code=200,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_pause(request: Request[Any, Any, Any], journey_id: Identifier, data: StopRequest) -> JourneyView:
    """Nobody enters, no run moves, nothing that waits is sent; again changes nothing but the reason."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.pause(conn, principal_of(request).tenant_id, journey_id, data.reason)
        note(request, conn, "journey.pause", "journey", journey_id, details={"version": found.version})
    return _view(found)


@post(
    "/journeys/{journey_id:str}/resume",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Let a journey go on",
    status_code=200,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_resume(request: Request[Any, Any, Any], journey_id: Identifier) -> JourneyView:
    """Whoever came due meanwhile moves with the next tick, past all guards."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = versions.go_on(conn, principal_of(request).tenant_id, journey_id)
        note(request, conn, "journey.resume", "journey", journey_id, details={"version": found.version})
    return _view(found)


@post(
    "/journeys/{journey_id:str}/stop",
    opt={"scope": Scope.JOURNEYS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Stop a journey",
    status_code=200,
    responses=problem_responses(409),
    sync_to_thread=True,
)
def post_stop(request: Request[Any, Any, Any], journey_id: Identifier, data: StopRequest) -> StoppedView:
    """Every run of it ends, and what waits is not sent. A draft may follow."""
    with typed_problems(), tenant_transaction(request) as conn:
        ended = versions.stop(
            conn, principal_of(request).tenant_id, journey_id, data.reason, now_of(request, conn)
        )
        note(request, conn, "journey.stop", "journey", journey_id, details={"ended_runs": ended})
    return StoppedView(journey_id=journey_id, ended_runs=ended)


@get(
    "/journeys/{journey_id:str}/versions/{version:int}/preview",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="What a version would do now",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_preview(request: Request[Any, Any, Any], journey_id: Identifier, version: _VersionNo) -> PreviewView:
    """Who would enter, what the guards would say at once, what effect so many could show."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        found = versions.find(conn, tenant_id, journey_id, version)
        seen = preview(conn, tenant_id, found.journey, now_of(request, conn))
    return PreviewView(
        journey_id=journey_id,
        version=version,
        entering=seen.entering,
        arms=dict(seen.arms),
        first_acts=dict(seen.first_acts),
        baseline=seen.baseline,
        detectable=seen.detectable,
    )


@get(
    "/journeys/{journey_id:str}/verdict",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Whether a journey helps",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_verdict(request: Request[Any, Any, Any], journey_id: Identifier) -> VerdictView:
    """Over all versions, by the goal of the newest; who was assigned too short a time ago does not count."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        newest = versions.newest(conn, tenant_id, journey_id)
        now = now_of(request, conn)
        found = verdict_of(conn, tenant_id, newest.journey, now)
        settings: Settings = request.app.state.settings
        costs = costs_of(settings.message_cents)
        gained = None if found.word == "blocked" else earned(conn, tenant_id, newest.journey, costs, now)
    return VerdictView(
        journey_id=journey_id,
        goal=newest.journey.goal,
        goal_days=newest.journey.goal_days,
        treated=GroupView(**found.treated._asdict()),
        control=GroupView(**found.control._asdict()),
        difference=found.difference,
        low=found.low,
        high=found.high,
        ratio_p=found.ratio_p,
        detectable=found.detectable,
        verdict=found.word,
        margin=None if gained is None else EarnedView(**asdict(gained)),
    )


@get(
    "/journeys/{journey_id:str}/messages",
    opt={"scope": Scope.JOURNEYS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="The outbox of a journey",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_messages(
    request: Request[Any, Any, Any],
    journey_id: Identifier,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> MessagePage:
    """By number: what went out, what was withheld and why, what controls would have got."""
    position = read_cursor(cursor, "journey_messages")
    with typed_problems(), tenant_transaction(request) as conn:
        found = outbox_page.page(
            conn,
            principal_of(request).tenant_id,
            journey_id,
            after=int(position.key[0]) if position else 0,
            limit=limit + 1,
        )
    shown = [MessageView(**asdict(one)) for one in found[:limit]]
    return MessagePage(
        messages=shown,
        next_cursor=cursor_after(found, limit, "journey_messages", lambda one: [one.message_id]),
    )


def _view(found: versions.Version) -> JourneyView:
    return JourneyView(
        journey_id=found.journey.journey_id,
        version=found.version,
        state=found.state,
        digest=found.digest,
        made_by=found.made_by,
        made_at=found.made_at,
        live_at=found.live_at,
        ended_at=found.ended_at,
        reason=found.reason,
        document=found.journey.model_dump(mode="json"),
    )


JOURNEY_ROUTES = (
    list_journeys,
    list_shipped,
    post_journey,
    post_in_force,
    post_pause,
    post_resume,
    post_stop,
    get_preview,
    get_verdict,
    list_messages,
)
