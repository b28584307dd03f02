"""The live loop in Dagster: what it keeps up to date, one tick as a job, an alarm when it falls behind.

The ticks themselves are the resident worker's (`muyun refresh --follow`); it reports each of them here. The
job does one tick by hand, the same work under the same lock.
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.conventions import Group, Owner
from pipelines.live.dagster_events import EQUAL_CHECK, LAG_CHECK, LIVE, MOST_LAG, facts, verdicts
from pipelines.live.log import TickLog
from pipelines.settings import Settings
from pipelines.steps.results import as_metadata

JOB = "profile_refresh_15min"


def definitions() -> dg.Definitions:
    """The asset of the live loop, the job of one tick, the alarm."""
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(LIVE),
        description="One tick of the live loop by hand: what was recorded since the last one goes into "
        "profiles and prices. The worker of `make ui`, or `muyun refresh --follow`, ticks by itself.",
    )
    return dg.Definitions(
        assets=[profiles_and_prices],
        asset_checks=[lag, equality],
        jobs=[job],
        sensors=[live_loop_is_late],
    )


@dg.asset(
    key=LIVE,
    group_name=Group.PUBLISH,
    owners=[Owner.PLATFORM],
    kinds={"duckdb", "postgres"},
    deps=[dg.AssetKey(["warehouse", "published"]), dg.AssetKey(["published", "publication"])],
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=30), warn_window=timedelta(minutes=15)
    ),
)
def profiles_and_prices(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """Profiles and prices as of the last tick, over the last publication.

    Materialised by the resident worker at every tick, or by this step. Read by the storefront. One row per
    profile or price that changed since the publication.
    """
    from pipelines.live.command import loop_of
    from pipelines.live.tick import tick

    done = tick(loop_of(settings))
    TickLog(settings.live_dir).append(done)
    return dg.MaterializeResult(asset_key=LIVE, metadata=facts(done))


@dg.asset_check(
    asset=LIVE,
    name=LAG_CHECK,
    description="From the receipt of the oldest row of the last tick with rows to its publication.",
)
def lag(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """The worker reports this check with each tick; a job looks at the last tick on record."""
    return _last_verdict(settings, LAG_CHECK)


@dg.asset_check(
    asset=LIVE,
    name=EQUAL_CHECK,
    description="At the begin of a generation: facts and tags of the live store beside those of the full "
    "rebuild, at the same moment, over the same rows. No row may differ.",
)
def equality(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """The worker reports this check with each generation; a job looks at the last one on record."""
    return _last_verdict(settings, EQUAL_CHECK)


def _last_verdict(settings: Settings, wanted: str) -> dg.AssetCheckResult:
    """The newest verdict of a check on record; passed where there is none yet, and says so."""
    for done in reversed(TickLog(settings.live_dir).ticks()):
        for name, passed, values in verdicts(done):
            if name == wanted:
                return dg.AssetCheckResult(passed=passed, metadata=as_metadata(values))
    return dg.AssetCheckResult(
        passed=True, metadata={"not_judged": "no tick on record has anything to judge"}
    )


@dg.sensor(
    name="live_loop_is_late",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Appends a line to alerts.jsonl when no tick has ended for 15 minutes, or the last one was "
    "late; once for each time that it happens.",
)
def live_loop_is_late(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason:
    """Write the line that an operator's alerting watches."""
    late = lateness(TickLog(settings.live_dir), datetime.now(UTC))
    if late and context.cursor != "late":
        line = {"at": datetime.now(UTC).isoformat(), "alarm": "live_loop_is_late", "what": late}
        with (settings.home / "alerts.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    context.update_cursor("late" if late else "")
    return dg.SkipReason(late or "the live loop keeps up")


def lateness(log: TickLog, now: datetime) -> str:
    """Why the live loop is late, in words; empty when it is not, or never began."""
    last = log.last()
    if last is None:
        return ""
    ended = last.began_at + timedelta(seconds=last.wall_s)
    if now - ended > MOST_LAG:
        return (
            f"no tick has ended since {ended:%Y-%m-%d %H:%M}Z; start `make ui` or `muyun refresh --follow`, "
            "or look into logs/live.log"
        )
    if last.lag_s is not None and last.lag_s > MOST_LAG.total_seconds():
        return f"the last tick published rows {last.lag_s / 60:.0f} minutes after they came in"
    return ""
