"""`/v1/experiments`: what is tried on whom: drafts, four eyes, arms of units, exposures, results, stop."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct, to_builtins

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, two_people, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.experiments import exposures, records
from serving.experiments.asking import ask_of
from serving.experiments.judging import Results
from serving.experiments.preview import preview
from serving.experiments.results import results_of
from serving.experiments.stopping import stop_now
from serving.orders.contracts import Id
from serving.orders.coupons.trials import give
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_WATCHERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_Bps = Annotated[int, Meta(ge=1, le=10_000)]
_Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$")]


class ArmRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An arm; what is not said is as it is without an experiment."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$", examples=["control"])]
    share_bps: Annotated[_Bps, Meta(description="Of the experiment's units; all arms: 10,000.")]
    list: Annotated[
        Literal["own", "popular"] | None,
        Meta(description="Recommendations: the consumer's own list, or what sells well at the merchant."),
    ] = None
    session: Annotated[
        bool | None, Meta(description="Recommendations: whether what was just done orders the list.")
    ] = None
    version: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="Recommendations: the published version whose list is shown.",
            ),
        ]
        | None
    ) = None
    price: Annotated[
        Literal["let_go", "hold"] | None,
        Meta(description="Prices: `hold` keeps the price in force whatever is published."),
    ] = None
    programme_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="Coupons: its consumers get a code of this programme.",
            ),
        ]
        | None
    ) = None


class ExperimentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An experiment to be kept as a draft. Prices are never tested by consumer."""

    experiment_id: Annotated[_Word, Meta(examples=["list_test"])]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    surface: Literal["recommendations", "prices", "coupons"]
    unit: Annotated[
        Literal["consumer", "sku", "merchant"],
        Meta(description="Recommendations and coupons: consumer; prices: sku or merchant."),
    ]
    layer: Annotated[_Word, Meta(description="Experiments of one layer share its units.", examples=["lists"])]
    arms: Annotated[
        list[ArmRequest],
        Meta(min_length=2, max_length=5, description="The others are compared with the first."),
    ]
    metric: Annotated[
        Literal["ordered", "returned", "spend_cents", "margin_cents", "units"],
        Meta(description="`ordered`, `returned`: of consumers; `units`: of skus and merchants."),
    ]
    guardrail: Annotated[
        Literal["ordered", "returned", "spend_cents", "margin_cents", "units"] | None,
        Meta(description="What must not get worse; the experiment then stops by itself."),
    ] = None
    traffic_bps: Annotated[_Bps, Meta(description="Part of the layer's units that it takes.")] = 10_000
    metric_days: Annotated[int, Meta(ge=1, le=90)] = 14
    runs_days: Annotated[int, Meta(ge=1, le=365)] = 28


class ExperimentStopRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an experiment stops."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, examples=["decided"])]


class GiveRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Consumers on whom the arms of an experiment on coupons act."""

    consumer_ids: Annotated[list[Id], Meta(min_length=1, max_length=1_000)]


class GivenCoupon(Struct, frozen=True, kw_only=True):
    """A new code, for this consumer alone."""

    consumer_id: str
    code: str


class GivenView(Struct, frozen=True, kw_only=True):
    """What the arms did."""

    coupons: list[GivenCoupon]
    new_by_arm: Annotated[dict[str, int], Meta(description="Consumers on whom an arm acted first now.")]
    known: Annotated[int, Meta(description="Consumers on whom their arm had acted before.")]
    outside: Annotated[int, Meta(description="Not of this experiment, of the universal hold-out, or erased.")]


class ExperimentView(Struct, frozen=True, kw_only=True):
    """An experiment."""

    experiment_id: str
    state: Annotated[str, Meta(description="`draft`, `running` or `stopped`.")]
    first_bps: Annotated[int | None, Meta(description="First of its places in the layer; null in a draft.")]
    end_bps: int | None
    digest: str
    made_by: str
    made_at: datetime
    started_at: datetime | None
    ends_at: datetime | None
    stopped_at: datetime | None
    reason: str | None
    document: dict[str, Any]


class ExperimentPage(Struct, frozen=True, kw_only=True):
    """Experiments by id."""

    experiments: list[ExperimentView]
    next_cursor: str | None


class ArmPowerView(Struct, frozen=True, kw_only=True):
    """An arm against the first one, before anything happened."""

    arm: str
    units: Annotated[int, Meta(description="Units that it would have.")]
    detectable: Annotated[
        float | None, Meta(description="Smallest difference shown with power .8; null where nothing varies.")
    ]
    power: Annotated[float | None, Meta(description="With which `difference` is shown; null: none asked.")]
    units_needed: Annotated[
        int | None, Meta(description="Of both arms together, to show `difference` with power .8.")
    ]


class ExperimentPreview(Struct, frozen=True, kw_only=True):
    """What an experiment could show; the past is not taken off, so means may show less."""

    experiment_id: str
    units: Annotated[int, Meta(description="Units that the arms could act on.")]
    baseline: Annotated[float, Meta(description="Mean or share of the metric over `metric_days` until now.")]
    deviation: float
    arms: list[ArmPowerView]


class AssignmentView(Struct, frozen=True, kw_only=True):
    """The arm of a unit."""

    experiment_id: str
    unit_id: str
    arm: Annotated[
        str | None, Meta(description="Null in a draft, and where another experiment has the unit.")
    ]
    exposed_at: Annotated[datetime | None, Meta(description="When its arm acted first; null: never.")]


class ExposureView(Struct, frozen=True, kw_only=True):
    """A unit on which an arm acted."""

    unit_id: str
    arm: str
    exposed_at: datetime


class ExposurePage(Struct, frozen=True, kw_only=True):
    """Exposures by unit."""

    exposures: list[ExposureView]
    next_cursor: str | None


class ArmResultView(Struct, frozen=True, kw_only=True):
    """An arm: units exposed, those of them exposed long enough ago, and their mean or share."""

    name: str
    exposed: int
    measured: int
    mean: Annotated[float | None, Meta(description="Null while blocked.")]


class ComparedView(Struct, frozen=True, kw_only=True):
    """An arm against the first one."""

    arm: str
    difference: Annotated[
        float, Meta(description="Shares as they are; means less what the arms differed by before (CUPED).")
    ]
    low: Annotated[float, Meta(description="95% interval of one look: Newcombe or Welch.")]
    high: float
    always_low: Annotated[float, Meta(description="95% interval that holds at every look.")]
    always_high: float
    detectable: Annotated[float, Meta(description="Smallest difference shown with power .8.")]
    verdict: Annotated[
        str,
        Meta(description="`better`, `worse`, `not_yet`; at every look while it runs, of one look after."),
    ]


class MetricResultView(Struct, frozen=True, kw_only=True):
    """What an experiment says of one metric."""

    metric: str
    ratio_p: Annotated[float, Meta(description="Below .001 exposed units do not fit the shares: blocked.")]
    is_blocked: bool
    arms: list[ArmResultView]
    compared: list[ComparedView]


class ResultsView(Struct, frozen=True, kw_only=True):
    """What an experiment says, of exposed units as they were assigned."""

    experiment_id: str
    state: str
    metric_days: int
    metric: MetricResultView
    guardrail: MetricResultView | None


@get(
    "/experiments",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="Experiments",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_experiments(
    request: Request[Any, Any, Any], limit: PageSize = 100, cursor: CursorText = None
) -> ExperimentPage:
    """By id."""
    position = read_cursor(cursor, "experiments")
    with typed_problems(), tenant_transaction(request) as conn:
        found = records.page(
            conn,
            principal_of(request).tenant_id,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    return ExperimentPage(
        experiments=[_view(one) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "experiments", lambda one: [one.experiment.experiment_id]),
    )


@post(
    "/experiments",
    opt={"scope": Scope.EXPERIMENTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Keep an experiment as a draft",
    status_code=201,
    responses=problem_responses(409, 422),
    sync_to_thread=True,
)
def post_experiment(request: Request[Any, Any, Any], data: ExperimentRequest) -> ExperimentView:
    """The same words again are the experiment that has them; other words under its id are refused."""
    principal = principal_of(request)
    with typed_problems(), tenant_transaction(request) as conn:
        found = records.put_forward(
            conn, principal.tenant_id, to_builtins(data), principal.key_id, now_of(request, conn)
        )
        note(request, conn, "experiment.draft", "experiment", data.experiment_id)
    return _view(found)


@get(
    "/experiments/{experiment_id:str}",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="An experiment",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_experiment(request: Request[Any, Any, Any], experiment_id: Identifier) -> ExperimentView:
    """What it says and where it stands."""
    with typed_problems(), tenant_transaction(request) as conn:
        return _view(records.find(conn, principal_of(request).tenant_id, experiment_id))


@get(
    "/experiments/{experiment_id:str}/preview",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="What an experiment could show",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_experiment_preview(
    request: Request[Any, Any, Any],
    experiment_id: Identifier,
    difference: Annotated[
        float | None,
        Parameter(
            ge=0.0001,
            le=1e12,
            description="A difference of the metric: with which power is it shown?",
        ),
    ] = None,
) -> ExperimentPreview:
    """By what is published and was sold: how many units, how they did, what so many could show."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        experiment = records.find(conn, tenant_id, experiment_id).experiment
        seen = preview(conn, tenant_id, experiment, difference, now_of(request, conn))
    return ExperimentPreview(
        experiment_id=experiment_id,
        units=seen.units,
        baseline=seen.baseline,
        deviation=seen.deviation,
        arms=[ArmPowerView(**asdict(arm)) for arm in seen.arms],
    )


@post(
    "/experiments/{experiment_id:str}/start",
    opt={"scope": Scope.EXPERIMENTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Ask for an experiment to start",
    status_code=202,
    responses=two_people_responses(404, 409, 422),
    sync_to_thread=True,
)
def post_start(request: Request[Any, Any, Any], experiment_id: Identifier) -> Waiting:
    """Another person must approve it. What would be refused then is refused now."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id, now = principal_of(request).tenant_id, now_of(request, conn)
        found = records.find(conn, tenant_id, experiment_id)
        asked = two_people(
            request,
            conn,
            ask_of(found),
            now,
            lambda: records.start(conn, tenant_id, experiment_id, now),
        )
    assert isinstance(asked, Waiting)
    return asked


@post(
    "/experiments/{experiment_id:str}/stop",
    opt={"scope": Scope.EXPERIMENTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Stop an experiment",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_experiment_stop(
    request: Request[Any, Any, Any], experiment_id: Identifier, data: ExperimentStopRequest
) -> ExperimentView:
    """Nobody is assigned any more; prices that were held are let go."""
    with typed_problems(), tenant_transaction(request) as conn:
        found = stop_now(
            conn, principal_of(request).tenant_id, experiment_id, data.reason, now_of(request, conn)
        )
        note(request, conn, "experiment.stop", "experiment", experiment_id)
    return _view(found)


@post(
    "/experiments/{experiment_id:str}/coupons",
    opt={"scope": Scope.EXPERIMENTS_WRITE, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Give coupons by arm",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_coupons(request: Request[Any, Any, Any], experiment_id: Identifier, data: GiveRequest) -> GivenView:
    """A code of the arm's programme for each; those of an arm without one are noted and get none.

    Each consumer once: again changes nothing.
    """
    with typed_problems(), tenant_transaction(request) as conn:
        given = give(
            conn, principal_of(request).tenant_id, experiment_id, data.consumer_ids, now_of(request, conn)
        )
        details = {"codes": len(given.codes), "new": given.arms.total()}
        note(request, conn, "experiment.give", "experiment", experiment_id, details=details)
    return GivenView(
        coupons=[GivenCoupon(consumer_id=who, code=code) for who, code in sorted(given.codes.items())],
        new_by_arm=dict(given.arms),
        known=given.known,
        outside=given.outside,
    )


@get(
    "/experiments/{experiment_id:str}/assignments/{unit_id:str}",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="The arm of a unit",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_assignment(
    request: Request[Any, Any, Any],
    experiment_id: Identifier,
    unit_id: Annotated[
        str, Parameter(min_length=1, max_length=128, description="Consumer, sku or merchant.")
    ],
) -> AssignmentView:
    """By its hash: the same for ever; whether its arm acted already."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        found = records.find(conn, tenant_id, experiment_id)
        exposure = exposures.of_unit(conn, tenant_id, experiment_id, unit_id)
    return AssignmentView(
        experiment_id=experiment_id,
        unit_id=unit_id,
        arm=found.arm_of(tenant_id, unit_id),
        exposed_at=None if exposure is None else exposure.exposed_at,
    )


@get(
    "/experiments/{experiment_id:str}/exposures",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _OPERATOR, "owner": None},
    tags=["Growth"],
    summary="Units on which an experiment acted",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def list_exposures(
    request: Request[Any, Any, Any],
    experiment_id: Identifier,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> ExposurePage:
    """By unit, with the first moment."""
    position = read_cursor(cursor, "exposures")
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id = principal_of(request).tenant_id
        records.find(conn, tenant_id, experiment_id)
        found = exposures.page(
            conn, tenant_id, experiment_id, after=str(position.key[0]) if position else "", limit=limit + 1
        )
    return ExposurePage(
        exposures=[ExposureView(**asdict(one)) for one in found[:limit]],
        next_cursor=cursor_after(found, limit, "exposures", lambda one: [one.unit_id]),
    )


@get(
    "/experiments/{experiment_id:str}/results",
    opt={"scope": Scope.EXPERIMENTS_READ, "roles": _WATCHERS, "owner": None},
    tags=["Growth"],
    summary="What came of an experiment",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_results(request: Request[Any, Any, Any], experiment_id: Identifier) -> ResultsView:
    """Of units exposed at least `metric_days` ago, as assigned. May be looked at every day."""
    with typed_problems(), tenant_transaction(request) as conn:
        tenant_id, now = principal_of(request).tenant_id, now_of(request, conn)
        found = records.find(conn, tenant_id, experiment_id)
        experiment = found.experiment
        metric = results_of(conn, tenant_id, found, experiment.metric, now)
        guardrail = (
            None
            if experiment.guardrail is None
            else results_of(conn, tenant_id, found, experiment.guardrail, now)
        )
    return ResultsView(
        experiment_id=experiment_id,
        state=found.state,
        metric_days=experiment.metric_days,
        metric=_result(metric),
        guardrail=None if guardrail is None else _result(guardrail),
    )


def _view(found: records.Kept) -> ExperimentView:
    return ExperimentView(
        experiment_id=found.experiment.experiment_id,
        state=found.state,
        first_bps=None if found.places is None else found.places.first,
        end_bps=None if found.places is None else found.places.end,
        digest=found.digest,
        made_by=found.made_by,
        made_at=found.made_at,
        started_at=found.started_at,
        ends_at=found.ends_at,
        stopped_at=found.stopped_at,
        reason=found.reason,
        document=found.experiment.model_dump(mode="json"),
    )


def _result(found: Results) -> MetricResultView:
    return MetricResultView(
        metric=found.metric,
        ratio_p=found.ratio_p,
        is_blocked=found.is_blocked,
        arms=[ArmResultView(**asdict(arm)) for arm in found.arms],
        compared=[
            ComparedView(
                arm=one.arm,
                difference=one.difference,
                low=one.low,
                high=one.high,
                always_low=one.always_low,
                always_high=one.always_high,
                detectable=one.detectable,
                verdict=one.word,
            )
            for one in found.compared
        ],
    )


EXPERIMENT_ROUTES = (
    list_experiments,
    post_experiment,
    get_experiment,
    get_experiment_preview,
    post_start,
    post_experiment_stop,
    post_coupons,
    get_assignment,
    list_exposures,
    get_results,
)
