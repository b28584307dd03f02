"""Jobs, schedules and sensors: what runs by itself, when, and what happens when it fails.

Plain jobs and schedules: an operator can read when something runs. `pipelines.trainings.retraining` says when
models are trained before their week is over; new feed files start the ingest.
"""

import json
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from pipelines.conventions import PUBLICATION_TAG
from pipelines.defs.schedules import running_schedule
from pipelines.live.dagster_events import LIVE
from pipelines.live.log import TickLog
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.stores.sources import Sources
from pipelines.trainings import retraining
from pipelines.trainings.due import TRAIN_TAG

_ALL = dg.AssetSelection.all() - dg.AssetSelection.assets(LIVE)
"""Everything but what the live loop keeps up to date between two runs."""
_RAW = dg.AssetSelection.key_prefixes("raw")
_MODELS = dg.AssetSelection.key_prefixes("models")
_WAREHOUSE = dg.AssetSelection.groups("warehouse")
_FEATURES = dg.AssetSelection.key_prefixes("features")
_CONSUMER_TAGS = dg.AssetSelection.assets(["features", "consumer_tags"])
_PUBLISHED = dg.AssetSelection.key_prefixes("published")
_QUALITY = dg.AssetSelection.key_prefixes("quality")
_GROWTH = dg.AssetSelection.key_prefixes("growth")
_SWITCH = dg.AssetSelection.assets(["published", "publication"])
_PROFILES = dg.AssetSelection.assets(["published", "profiles"], ["published", "segments"])
_GATES = dg.AssetSelection.assets(["operations", "supplier_gates"], ["operations", "grade_history"])
_MEMBERS = dg.AssetSelection.assets(["operations", "member_levels"])
_COMMUNITIES = dg.AssetSelection.assets(["operations", "community_weeks"])
_PRICES = dg.AssetSelection.assets(["published", "prices"])
_OBEDIENT = _PRICES | dg.AssetSelection.assets(
    ["published", "recommendations"], ["published", "reorder_suggestions"]
)
"""What obeys the quality brake."""


def definitions() -> dg.Definitions:
    """Everything that runs without a person."""
    build = dg.define_asset_job(
        "platform_build",
        selection=_ALL,
        tags={PUBLICATION_TAG: "full"},
        description="Everything, from feeds to the publication: what `make run` does.",
    )
    ingest = dg.define_asset_job(
        "feeds_ingest",
        selection=_RAW,
        description="Load the feeds into the lake, or the days that the tag muyun/days names; "
        "started by new files.",
    )
    profiles = dg.define_asset_job(
        "profiles_publish",
        selection=_CONSUMER_TAGS | _PROFILES | _SWITCH,
        description="By hand: all tags from the last warehouse, and their publication.",
    )
    prices = dg.define_asset_job(
        "prices_publish",
        selection=_PRICES | _SWITCH,
        description="By hand: all prices from the last warehouse, and their publication.",
    )
    quality = dg.define_asset_job(
        "quality_publish",
        selection=_QUALITY | _OBEDIENT | _SWITCH,
        description="By hand, as after an override: the quality brake, and the lists, prices and reorders "
        "that obey it.",
    )
    nightly = dg.define_asset_job(
        "publish_nightly",
        selection=_WAREHOUSE | _FEATURES | _QUALITY | _GROWTH | _PUBLISHED | _GATES | _MEMBERS | _COMMUNITIES,
        tags={PUBLICATION_TAG: "full"},
        description="Rebuild warehouse and features, judge quality, score with the serving models, publish; "
        "close the day of members.",
    )
    retrain = dg.define_asset_job(
        "models_retrain_weekly",
        selection=_MODELS | _PUBLISHED,
        tags={PUBLICATION_TAG: "full", TRAIN_TAG: "true"},
        description="Train every family that has anything new, pass the gates, score, publish.",
    )
    return dg.Definitions(
        jobs=[build, ingest, profiles, prices, quality, nightly, retrain],
        schedules=[
            running_schedule(nightly, "30 2 * * *"),
            running_schedule(retrain, "0 4 * * 1"),
        ],
        sensors=[new_feed_files(ingest), full_run_wanted(build), retraining_wanted(retrain), run_failed],
    )


def new_feed_files(ingest: Job) -> dg.SensorDefinition:
    """Start the ingest when the content of the user's folder changed."""

    @dg.sensor(
        name="new_feed_files",
        job=ingest,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches MUYUN_DATA and loads it again when a file was added or changed.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        sources: dg.ResourceParam[Sources],
    ) -> dg.SensorResult | dg.SkipReason:
        if settings.embedded:
            return dg.SkipReason("the embedded panel does not change; set MUYUN_DATA to watch a folder")
        seen = sources.open().fingerprint()
        if seen == context.cursor:
            return dg.SkipReason("no file was added or changed")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=seen)], cursor=seen)

    return sense


def full_run_wanted(build: Job) -> dg.SensorDefinition:
    """Start a full run when the live loop cannot take changed files in."""

    @dg.sensor(
        name="full_run_wanted",
        job=build,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A tick takes in files that only add rows. For files that changed or went it asks for a "
        "full run here, once for each state of the folder.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        sources: dg.ResourceParam[Sources],
    ) -> dg.SensorResult | dg.SkipReason:
        last = TickLog(settings.live_dir).last()
        if settings.embedded or last is None or not last.wants_full_run:
            return dg.SkipReason("the live loop has taken in every file")
        seen = f"{last.generation}:{sources.open().fingerprint()}"
        if seen == context.cursor:
            return dg.SkipReason(f"a full run was asked for: {last.wants_full_run}")
        request = dg.RunRequest(run_key=seen, tags={"muyun/reason": last.wants_full_run[:200]})
        return dg.SensorResult(run_requests=[request], cursor=seen)

    return sense


def retraining_wanted(retrain: Job) -> dg.SensorDefinition:
    """Ask for retraining when the tags drifted, or when a refused gate has something new to judge."""

    @dg.sensor(
        name="retraining_wanted",
        job=retrain,
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Drift of the tags that champions read, and promised probabilities that did not come "
        "true, ask for retraining at most once a day; a refused gate when a tenth of the order lines is "
        "other than at the refused training.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        steps: dg.ResourceParam[Steps],
    ) -> dg.RunRequest | dg.SkipReason:
        now = datetime.now(UTC)
        reasons, memory = retraining.wanted(steps.records, retraining.Memory.read(context.cursor), now)
        context.update_cursor(memory.write())
        if not reasons:
            return dg.SkipReason("no drift that was not asked about, and nothing new for a gate that refused")
        return dg.RunRequest(
            run_key=f"retrain-{now:%Y%m%dT%H%M%S}", tags={"muyun/reason": "; ".join(reasons)[:200]}
        )

    return sense


@dg.run_failure_sensor(
    name="run_failed",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Appends each failed run, with its error, to alerts.jsonl in the run folder.",
)
def run_failed(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Write a line an operator's alerting can watch."""
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    line = {
        "at": datetime.now(UTC).isoformat(),
        "run_id": context.dagster_run.run_id,
        "job": context.dagster_run.job_name,
        "error": context.failure_event.message,
    }
    with (home / "alerts.jsonl").open("a") as handle:
        handle.write(json.dumps(line) + "\n")
