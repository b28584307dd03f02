"""Journeys: what they know of the shop's orders, a round of every tenant, what came of it. With checks."""

import json
from datetime import UTC, datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import FORCE_TAG, Group, Owner
from pipelines.defs.schedules import running_schedule
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version, fingerprint
from pipelines.stores.database import Database
from pipelines.stores.warehouse import Warehouse

_REACTIONS = ["operations", "journey_reactions"]
_REPLAYED = ["operations", "replayed_journeys"]
_DAY = ["operations", "journeys_day"]
_EFFECT = ["operations", "journey_effect"]
_KEPT = "no_message_broke_a_rule"
_MOVES = "no_run_is_left_behind"
_DONE = "no_tenant_is_stopped"
_DRAWN = "arms_fit_the_shares_drawn"
_FOUND = "planted_effects_are_found"


def definitions() -> dg.Definitions:
    """The assets, the job of a round with its schedule, and the alarm when nobody moves what is due."""
    daily = dg.define_asset_job(
        "journeys_daily",
        selection=dg.AssetSelection.assets(_REACTIONS, _DAY, _EFFECT),
        tags={FORCE_TAG: ",".join("/".join(key) for key in (_REACTIONS, _DAY, _EFFECT))},
        description="Orders of the feeds reach journeys; a round of every tenant; what came of each journey. "
        "Between two of them the worker of `make ui` makes a round every few seconds.",
    )
    return dg.Definitions(
        assets=[journey_reactions, replayed_journeys, journeys_day, journey_effect],
        jobs=[daily],
        schedules=[running_schedule(daily, "30 1 * * *")],
        sensors=[journeys_are_late],
    )


@dg.asset(
    key=_REACTIONS,
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["raw", "orders"]), dg.AssetKey(["raw", "events"])],
)
def journey_reactions(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Orders and visits of the feeds as reactions of journeys: of consumers who entered one lately.

    A shop whose orders come by files only has no others; what was cancelled or refunded since does not stand
    any more. Read by the rounds of journeys and by their verdicts. One row per order or day with a visit.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _react(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


@dg.asset(
    key=_REPLAYED,
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["published", "publication"]), dg.AssetKey(["operations", "replayed_orders"])],
    check_specs=[
        dg.AssetCheckSpec(
            _FOUND,
            asset=_REPLAYED,
            description="The verdict page says gain and loss of the journeys of which the simulation has it.",
        ),
    ],
)
def replayed_journeys(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Shipped journeys that have lived through the panel's last weeks: simulated, with planted effects.

    Only on the embedded panel, once, and off where MUYUN_REPLAY_DAYS is 0. Read by the rounds that follow.
    One row per simulated run.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _replay(settings, clock.as_of(context), lake, url),
        settings={"days": settings.days_to_replay, "database": database.number(url)},
        clock="none",
    )


@dg.asset(
    key=_DAY,
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(_REACTIONS), dg.AssetKey(_REPLAYED), dg.AssetKey(["published", "publication"])],
    check_specs=[
        dg.AssetCheckSpec(
            _KEPT,
            asset=_DAY,
            description="Of the messages of 30 days none broke the cap, the quiet hours, a consent or an "
            "opt-out, and none was sent twice: counted over what went out, not by the guards.",
        ),
        dg.AssetCheckSpec(
            _MOVES, asset=_DAY, description="No run of a journey that is not paused is due for over an hour."
        ),
        dg.AssetCheckSpec(_DONE, asset=_DAY, description="The round of every tenant came to its end."),
    ],
)
def journeys_day(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """A round of all journeys of all tenants, and what was decided in 24 hours.

    Who entered and in which arm, what moved, what went out, was put off or withheld and why, what channels
    told, what lost and was stopped. The same round as the worker's, under the same lock. Read by the table of
    effects. One row per move.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _live(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


@dg.asset(
    key=_EFFECT,
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_SCIENCE],
    kinds={"postgres", "parquet"},
    pool="ledger",
    deps=[dg.AssetKey(_DAY), dg.AssetKey(["warehouse", "published"])],
    check_specs=[
        dg.AssetCheckSpec(
            _DRAWN,
            asset=_EFFECT,
            description="No journey has arms of sizes that the shares drawn hardly ever give (p < .001).",
        ),
    ],
)
def journey_effect(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What came of each journey by arm: assigned, sent, converted, margin net of messages, with verdicts.

    The verdict is the one of the API: treated against control as assigned. Read by analysts and by the
    report. One row per journey and arm.
    """
    from pipelines.stores.journeys import EFFECT, STEPS, WAYS
    from serving.journeys.effects import costs_of
    from serving.settings import Settings as ServingSettings

    url = database.url()
    costs = costs_of(ServingSettings().message_cents)
    return steps.run(
        context,
        lambda: _judge(settings, clock.as_of(context), warehouse, lake, url, costs),
        settings={"database": database.number(url), "message_cents": costs},
        outputs=[lake.derived_path(EFFECT), lake.derived_path(WAYS), lake.report_path(STEPS)],
        clock="day",
    )


def _react(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.journeys_day import take_reactions

    told = take_reactions(lake, url, settings.tenant, as_of)
    return Outcome(rows=told["orders"] + told["visits"], metadata=told, version=fingerprint(told))


def _replay(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    if not (settings.embedded and settings.days_to_replay):
        off = "off: journeys are simulated on the embedded panel alone, and where MUYUN_REPLAY_DAYS is not 0"
        return Outcome(rows=0, metadata={"note": off}, checks=[CheckRecord(_FOUND, True, {"note": off})])
    from pipelines.replay.journeys import replay_journeys

    done = replay_journeys(url, tenant_id=settings.tenant, as_of=as_of)
    told = done.to_json()
    lake.write_report("operations/replayed_journeys", told)
    return Outcome(
        rows=done.runs,
        metadata=told,
        checks=[CheckRecord(_FOUND, not done.missed, {"missed": list(done.missed)})],
        version=fingerprint(told),
    )


def _live(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.journeys_day import live_day
    from serving.journeys.channels.installed import gateways_of
    from serving.settings import Settings as ServingSettings

    done = live_day(url, as_of, gateways_of(ServingSettings()))
    told = done.to_json()
    lake.write_report("operations/journeys_day", told)
    return Outcome(
        rows=done.moved,
        metadata=told,
        checks=[
            CheckRecord(_KEPT, not done.violations, {"violations": done.violations}),
            CheckRecord(_MOVES, not done.late, {"late": done.late}, is_error=False),
            CheckRecord(_DONE, not done.stopped, {"stopped": list(done.stopped)}),
        ],
        version=fingerprint(told),
    )


def _judge(
    settings: Settings, as_of: datetime, warehouse: Warehouse, lake: Lake, url: str, costs: dict[str, int]
) -> Outcome:
    from pipelines.journeys_day import effects_of
    from pipelines.stores.journeys import EFFECT, STEPS, WAYS

    with warehouse.open() as connection:
        found = effects_of(connection, url, settings.tenant, costs, as_of)
    lake.put(EFFECT, found.effect)
    lake.put(WAYS, found.ways)
    lake.write_report(STEPS, dict(found.steps))
    return Outcome(
        rows=found.effect.height,
        metadata={
            "verdicts": {name: one.word for name, one in found.verdicts.items()},
            "runs": int(found.effect["run_count"].sum()),
        },
        checks=[CheckRecord(_DRAWN, not found.unfit, {"journeys": found.unfit}, is_error=False)],
        version=content_version([lake.derived_path(EFFECT), lake.derived_path(WAYS)]),
    )


@dg.sensor(
    name="journeys_are_late",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Appends a line to alerts.jsonl when runs of journeys are due for over an hour and nobody "
    "moves them; once for each time that it happens.",
)
def journeys_are_late(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    database: dg.ResourceParam[Database],
) -> dg.SkipReason:
    """Write the line that an operator's alerting watches."""
    from pipelines.journeys_day import late_runs
    from serving.settings import Settings as ServingSettings

    late = late_runs(database.url(), ServingSettings())
    if late and context.cursor != "late":
        line = {"at": datetime.now(UTC).isoformat(), "alarm": "journeys_are_late", "runs": late}
        with (settings.home / "alerts.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    context.update_cursor("late" if late else "")
    return dg.SkipReason(
        f"{sum(late.values())} runs are left behind; start `make ui` or `python -m serving.jobs run-journeys`"
        if late
        else "no run is left behind"
    )
