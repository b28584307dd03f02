"""The main job from one command: database, graph, API, questions, report.

`make run` calls `main`. Steps speak on standard error; the closing table goes to standard out.
"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from datetime import UTC, datetime

from pipelines.console.progress import ASK, START, SignsOfLife, announce, forget
from pipelines.home.lock import home_lock
from pipelines.home.source import require_same_source
from pipelines.limits.document import load_limits
from pipelines.run.environment import prepare, told_as_run_errors
from pipelines.run.plan import announce_plan
from pipelines.run.screen import print_standing, print_summary
from pipelines.run.served import told_with_what_serves
from pipelines.run.standing import remember_whole_run, standing_run
from pipelines.run.summary import summarize
from pipelines.run.whole_run import forget_whole_run, has_whole_run, is_at_rest
from pipelines.settings import Settings
from pipelines.steps.state import measured
from pipelines.stores.database import Database
from pipelines.warehouse.parse import parsing_beside


def main(settings: Settings, *, wait: bool = True, force: str = "") -> int:
    """Run the main job once; one run works in a home at a time.

    Args:
        settings: The installation's settings.
        wait: Whether to wait for a run that is at work in this home; else that is an error.
        force: Steps that are done whatever their records say; see `run_graph`.

    Returns:
        0 when everything passed, 1 otherwise.

    Raises:
        RunError: What the run needs around it is not there.
        LimitsError: The user's limits cannot be meant as they are written.
        HomeBusyError: Another run is at work, and we do not wait.
    """
    load_limits(settings.home)  # limits that cannot be meant are one clear line, before any step starts
    if has_whole_run(settings) and not force and _said_that_all_stands(settings, wait=wait):
        return 0
    announce_plan(settings)
    with SignsOfLife():
        return _prepared(settings, wait=wait, force=force)


def _said_that_all_stands(settings: Settings, *, wait: bool) -> bool:
    """Whether a run would change nothing; then the account of the last one is printed again."""
    with told_as_run_errors(settings):
        require_same_source(settings)
        rests = is_at_rest(settings)
    if not rests:
        prepare(settings)
    with home_lock(settings.home, "muyun run", wait=wait):
        if rests and not is_at_rest(settings):
            return False  # another run worked while we waited
        whole = standing_run(settings, None if rests else Database(settings.serving).url())
    if whole is not None:
        print_standing(settings, whole)
    return whole is not None


def _prepared(settings: Settings, *, wait: bool, force: str) -> int:
    announce(START)
    # On a new home dbt reads its project while PostgreSQL is made; elsewhere another run may be at work.
    with nullcontext() if settings.dbt_target_dir.exists() else parsing_beside(settings):
        prepare(settings)
    with home_lock(settings.home, "muyun run", wait=wait):
        forget_whole_run(settings)
        url = Database(settings.serving).url()
        return told_with_what_serves(settings, lambda: _run(settings, force, url))


def _run(settings: Settings, force: str, url: str) -> int:
    from pipelines.report.questions import ask
    from pipelines.run.graph import run_graph

    started = datetime.now(UTC)
    clock = time.monotonic()
    with measured() as cost:
        graph = run_graph(settings, force)
        announce(ASK)
        answers = [] if graph.failed else ask(settings)
        forget(ASK)
    from pipelines.report import write_report

    summary = summarize(settings, graph, answers, started, time.monotonic() - clock, cost.peak_rss_mb)
    # First of all, so that a full disk cannot hide what failed.
    print_summary(settings, summary, graph)
    settings.summary_file.write_text(json.dumps(summary, indent=1, default=str))
    if not graph.failed:
        write_report(settings, summary | {"api": [vars(answer) for answer in answers]})
    if graph.failed or graph.failed_checks or any(answer.status >= 400 for answer in answers):
        return 1
    remember_whole_run(settings, summary, url)
    return 0
