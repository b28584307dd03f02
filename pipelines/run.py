"""The main job from one command: database, graph, API, questions, report.

`make run` calls this. Every step says what it does on standard error; the closing table goes to standard out.
"""

from __future__ import annotations

import errno
import json
import os
import time
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipelines.conventions import JOB_TIME_TAG, SINGLE_RUN_END_TAG, SINGLE_RUN_START_TAG
from pipelines.questions import Answer, ask
from pipelines.resources import dagster_storage_url, environment, prepare_dagster_home
from pipelines.settings import Settings
from pipelines.state import measured

if TYPE_CHECKING:
    from serving.db.embedded import EmbeddedPostgres


class RunError(Exception):
    """The main job did not finish; the message says which step failed, why, and what to do."""


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


def prepare(settings: Settings) -> None:
    """Set the environment, start the database, make the Dagster home. Call before Dagster is imported.

    Raises:
        RunError: A folder cannot be written or PostgreSQL cannot be started.
    """
    from serving.db.urls import ensure_database, with_database
    from serving.errors import ServingError
    from serving.settings import Settings as ServingSettings

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        os.environ["MUYUN_HOME"] = str(settings.home)
        from serving.db.connect import ready_database

        url = ready_database(ServingSettings())
        ensure_database(url, "dagster")
        os.environ.update(environment(settings, dagster_storage_url(with_database(url, "dagster"))))
        prepare_dagster_home(settings)
    except OSError as error:
        raise RunError(
            f"{error.filename or settings.home} cannot be written ({error.strerror}); "
            "set MUYUN_HOME to a folder that this user may write, on a disk with room"
        ) from error
    except ServingError as error:
        raise RunError(str(error)) from error


def main(settings: Settings) -> int:
    """Run the main job once.

    Returns:
        0 when everything passed, 1 otherwise.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    with measured() as cost:
        prepare(settings)
        graph = run_graph(settings)
        answers = [] if graph.failed else ask(settings)
    from pipelines.report import write_report

    summary = summarize(settings, graph, answers, started, time.monotonic() - clock, cost.peak_rss_mb)
    # First of all, so that a full disk cannot hide what failed.
    _print_summary(settings, summary, graph)
    settings.summary_file.write_text(json.dumps(summary, indent=1, default=str))
    if not graph.failed:
        write_report(settings, summary | {"api": [vars(answer) for answer in answers]})
    return 1 if graph.failed or graph.failed_checks or any(a.status >= 400 for a in answers) else 0


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


def summarize(
    settings: Settings,
    graph: GraphRun,
    answers: list[Answer],
    started: datetime,
    wall_s: float,
    peak_rss_mb: float,
) -> dict[str, Any]:
    """The machine-readable account of a run, the twin of the report."""
    from pipelines.lake import Lake
    from pipelines.sources.contract import INGEST_ORDER
    from pipelines.sources.ingest import read_report
    from serving.scores import loader

    lake = Lake(settings.lake_dir)
    journal = settings.home / "runs" / f"{graph.run_id}.jsonl"
    steps = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    tables = [report for name in INGEST_ORDER if (report := read_report(lake, name)) is not None]
    models = [
        row
        for family in ("recommendation", "demand", "pricing", "lifecycle")
        for row in (lake.read_report(f"models/{family}") or {"models": []})["models"]
    ]
    published: list[dict[str, Any]] = []
    if not graph.failed:
        from serving.db.connect import ready_database
        from serving.settings import Settings as ServingSettings

        current = loader.current(ready_database(ServingSettings()))
        if current is not None:
            published = [
                {"name": name, "rows": rows, "version": current.version}
                for name, rows in sorted(current.row_counts.items())
            ]
    return {
        "run_id": graph.run_id,
        "started_at": started.isoformat(),
        "wall_s": round(wall_s, 1),
        "peak_rss_mb": round(peak_rss_mb, 1),
        "failed": graph.failed,
        "failed_checks": graph.failed_checks,
        "steps": [{k: step[k] for k in ("name", "wall_s", "peak_rss_mb")} for step in steps],
        "tables": [
            {
                "name": report.table,
                "origin": report.origin,
                "received": report.received,
                "accepted": report.accepted,
                "quarantined": report.quarantined,
            }
            for report in tables
        ],
        "settlement": {
            name: lake.read_report(f"operations/{name}") or {} for name in ("replay", "settlement_day")
        },
        "models": [
            {k: row[k] for k in ("name", "metric", "value", "baseline", "baseline_value", "promoted")}
            for row in models
        ],
        "published": published,
        "api": [{"request": a.request, "status": a.status, "ms": a.ms} for a in answers],
    }


def _print_summary(settings: Settings, summary: dict[str, Any], graph: GraphRun) -> None:
    print()
    for error in dict.fromkeys(graph.failed.values()):
        steps = ", ".join(step for step, other in graph.failed.items() if other == error)
        print(f"FAILED {steps}: {error}")
    if any(os.strerror(errno.ENOSPC) in error for error in graph.failed.values()):
        print("the disk is full: free space or set MUYUN_HOME to a larger disk, then run it again")
    for check in graph.failed_checks:
        print(f"CHECK NOT PASSED {check}")
    received = sum(table["received"] for table in summary["tables"])
    quarantined = sum(table["quarantined"] for table in summary["tables"])
    print(f"rows received {received:,}, quarantined {quarantined:,}")
    replayed, day = summary["settlement"]["replay"], summary["settlement"]["settlement_day"]
    if replayed:
        print(
            f"replayed {replayed['orders']:,} orders, {replayed['legs']:,} shares, "
            f"{replayed['refunds']:,} refunds, {replayed['payouts']:,} transfers; "
            f"invariants broken: {len(day.get('violations', []))}"
        )
    for model in summary["models"]:
        verdict = "serves" if model["promoted"] else "refused, the simple rule serves"
        print(
            f"{model['name']:<28} {model['metric']} {model['value']:.4f} "
            f"(best rule {model['baseline']} {model['baseline_value']:.4f}): {verdict}"
        )
    for table in summary["published"]:
        print(f"published {table['name']:<24} {table['rows']:>9,} rows  {table['version']}")
    for answer in summary["api"]:
        print(f"{answer['status']} {answer['ms']:6.1f} ms  {answer['request']}")
    print(f"\n{summary['wall_s']:.0f} s, peak memory {summary['peak_rss_mb'] / 1024:.1f} GB")
    if not graph.failed:
        print(f"report      {settings.report_file}")
    print(f"summary     {settings.summary_file}")
    print(f"warehouse   {settings.warehouse_file}")
    print("all of it   make ui   (Dagster, MLflow, API and dbt docs)")


class Embedded(AbstractContextManager["Embedded"]):
    """Stops the embedded PostgreSQL when the command ends, also on Ctrl-C, unless it ran before."""

    def __enter__(self) -> Embedded:
        """Look whether somebody else's command uses the server already."""
        cluster = self._cluster()
        self._ran_before = cluster is not None and cluster.status().running
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server if this command started it."""
        cluster = self._cluster()
        if cluster is not None and not self._ran_before:
            cluster.stop()

    @staticmethod
    def _cluster() -> EmbeddedPostgres | None:
        from serving.db.embedded import embedded_postgres
        from serving.settings import Settings as ServingSettings

        settings = ServingSettings()
        return embedded_postgres(settings) if settings.database_url is None else None
