"""The main job from one command: database, graph, API, questions, report.

`make run` calls `main`. Steps speak on standard error; the closing table goes to
standard out.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from pipelines.home.lock import home_lock
from pipelines.limits.document import load_limits
from pipelines.progress import ASK, START, SignsOfLife, announce, forget
from pipelines.questions import ask
from pipelines.run.environment import prepare
from pipelines.run.graph import run_graph
from pipelines.run.plan import announce_plan
from pipelines.run.screen import print_summary
from pipelines.run.served import told_with_what_serves
from pipelines.run.summary import summarize
from pipelines.settings import Settings
from pipelines.state import measured


def main(settings: Settings, *, wait: bool = True) -> int:
    """Run the main job once; one run works in a home at a time.

    Args:
        settings: The installation's settings.
        wait: Whether to wait for a run that is at work in this home; else that is an error.

    Returns:
        0 when everything passed, 1 otherwise.

    Raises:
        RunError: What the run needs around it is not there.
        LimitsError: The user's limits cannot be meant as they are written.
        HomeBusyError: Another run is at work, and we do not wait.
    """
    load_limits(settings.home)  # limits that cannot be meant are one clear line, before any step starts
    announce_plan(settings)
    with SignsOfLife():
        return _prepared(settings, wait=wait)


def _prepared(settings: Settings, *, wait: bool) -> int:
    announce(START)
    prepare(settings)
    with home_lock(settings.home, "muyun run", wait=wait):
        return told_with_what_serves(settings, lambda: _run(settings))


def _run(settings: Settings) -> int:
    started = datetime.now(UTC)
    clock = time.monotonic()
    with measured() as cost:
        graph = run_graph(settings)
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
    return 1 if graph.failed or graph.failed_checks or any(a.status >= 400 for a in answers) else 0
