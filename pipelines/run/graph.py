"""Materialise the graph in this process and say what it did."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from pipelines.conventions import JOB_TIME_TAG, SINGLE_RUN_END_TAG, SINGLE_RUN_START_TAG
from pipelines.home.source import remember_source
from pipelines.settings import Settings


@dataclass(frozen=True)
class GraphRun:
    """What the graph did.

    Attributes:
        run_id: Dagster's run.
        failed: Steps that failed, with the error's first line.
        failed_checks: Blocking checks that did not pass, as `asset: check`.
    """

    run_id: str
    failed: dict[str, str]
    failed_checks: list[str]


def run_graph(settings: Settings) -> GraphRun:
    """Materialise the graph in this process; raw tables only when the source changed."""
    warnings.filterwarnings("ignore")
    import dagster as dg

    from pipelines.dbt_translator import project
    from pipelines.definitions import defs
    from pipelines.platform import Platform
    from pipelines.sources.contract import TABLES

    platform = Platform(settings)
    platform.source.tables()  # a folder that cannot be read at all is one clear line, before any step starts
    remember_source(settings)
    # Before business time is taken: what the API recorded moves it on where the source stands still.
    platform.recorded_feeds.extract(platform.database_url())
    project(settings)  # here, because an error inside the loading of the graph comes wrapped
    graph = defs()
    job = graph.resolve_job_def("platform_build")
    selection = None
    if _source_is_loaded(platform):
        keys = job.asset_layer.executable_asset_keys
        selection = [key for key in keys if key.path[0] != "raw" or TABLES[key.path[1]].is_book]
    days = job.partitions_def
    tags = {JOB_TIME_TAG: platform.now().isoformat(), "muyun/started_by": "make run"}
    if selection is None and days is not None:
        tags |= {
            SINGLE_RUN_START_TAG: str(days.get_first_partition_key()),
            SINGLE_RUN_END_TAG: str(days.get_last_partition_key()),
        }
    with dg.DagsterInstance.get() as instance:
        # One held connection instead of one an event; the method's name tells where Dagster uses it.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
        result = job.execute_in_process(
            instance=instance,
            asset_selection=selection,
            tags=tags,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    failed = {
        event.step_key or "": _short_error(event) for event in result.all_events if event.is_step_failure
    }
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    wanted = set(selection or job.asset_layer.executable_asset_keys)
    if not failed and wanted - made:
        # Dagster calls a run with skipped steps a success; a step that was skipped did not do its work.
        failed = {key.to_user_string(): "was skipped" for key in sorted(wanted - made)}
    checks = [
        f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if result.success and not failed:
        _remember_source(platform)
    return GraphRun(result.run_id, failed, checks)


def _source_is_loaded(platform: Any) -> bool:
    """Whether the lake already holds this very source, loaded by this very code, at this business time."""
    record = platform.lake.read_report("source")
    return record is not None and record == _source_mark(platform)


def _source_mark(platform: Any) -> dict[str, str]:
    from pipelines.defs.ingest import CODE
    from pipelines.state import code_version

    return {
        "fingerprint": platform.source.fingerprint(),
        "recorded": " ".join(file.name for file in platform.recorded_feeds.files()),
        "code": code_version(CODE),
        "as_of": platform.now().isoformat(),
        "seed": str(platform.settings.seed),
        "utc_offset_hours": str(platform.settings.offset_hours),
        "first_day": platform.settings.first_day.isoformat(),
    }


def _remember_source(platform: Any) -> None:
    platform.lake.write_report("source", _source_mark(platform))


def _short_error(event: Any) -> str:
    """The error that a step raised, without Dagster's wrapping and without its inner causes."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    lines = error.message.strip().splitlines() if error is not None else []
    return " ".join(line.strip() for line in lines[:4]) or "unknown"
