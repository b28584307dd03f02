"""Materialise the graph in this process and say what it did."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.console.progress import START, forget
from pipelines.conventions import FORCE_TAG, JOB_TIME_TAG
from pipelines.home.source import remember_source
from pipelines.run.failures import innermost, problems_of
from pipelines.run.problems import Problem
from pipelines.settings import Settings


@dataclass(frozen=True)
class GraphRun:
    """What the graph did.

    Attributes:
        run_id: Dagster's run.
        failed: Steps that failed, with the error's first line.
        failed_checks: Blocking checks that did not pass, as `asset: check`.
        problems: The same for a person: what, where, details, remedy.
    """

    run_id: str
    failed: dict[str, str]
    failed_checks: list[str]
    problems: tuple[Problem, ...] = ()


def run_graph(settings: Settings, force: str = "", tables: Sequence[str] | None = None) -> GraphRun:
    """Materialise the graph in this process.

    Args:
        settings: The installation's settings.
        force: Steps that are done whatever their records say: `true` for all, or asset keys with commas.
        tables: Only these raw tables; None for the whole graph.
    """
    warnings.filterwarnings("ignore")
    import dagster as dg

    from pipelines.graph import build_defs, resources
    from pipelines.overlap.threads import execute, threads_executor

    parts = resources(settings)
    sources, clock = parts["sources"], parts["clock"]
    sources.source.tables()  # a folder that cannot be read at all is one clear line, before any step starts
    remember_source(settings)
    # Before business time is taken: what the API recorded moves it on where the source stands still.
    for extraction in (sources.recorded_feeds, sources.recorded_observations):
        extraction.extract(parts["database"].url())
    job = build_defs(settings, parts).resolve_job_def("platform_build")
    selection = None if tables is None else [dg.AssetKey(["raw", table]) for table in tables]
    tags = {JOB_TIME_TAG: clock.now().isoformat(), "muyun/started_by": "make run"}
    if force:
        tags[FORCE_TAG] = force
    with dg.DagsterInstance.get() as instance:
        # One held connection instead of one an event; the method's name tells where Dagster uses it.
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
        forget(START)
        executor = threads_executor if settings.executor == "threads" else dg.in_process_executor
        result = execute(job, executor, instance=instance, selection=selection, tags=tags)
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
    return GraphRun(result.run_id, failed, checks, problems_of(settings, result, failed))


def _short_error(event: Any) -> str:
    """The error that a step raised, without Dagster's wrapping and without its inner causes."""
    error = innermost(event)
    lines = error.message.strip().splitlines() if error is not None else []
    return " ".join(line.strip() for line in lines[:4]) or "unknown"
