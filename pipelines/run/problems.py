"""What went wrong in a run, in words: the step, the row or the dbt node, and what to do.

Reads what Dagster and dbt left behind; `screen` prints it.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.settings import REPOSITORY, Settings

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STEPS: tuple[tuple[str, str], ...] = (
    ("raw", "loading the table {name}"),
    ("dbt_build", "building the warehouse (dbt)"),
    ("warehouse", "handing the warehouse to its readers"),
    ("features", "computing the features {name}"),
    ("models", "training {name}"),
    ("operations", "the operational step {name}"),
    ("published", "making the published table {name}"),
)
"""First part of a step's name, and what the step does."""

_CHECKS: Mapping[str, str] = {
    "feed_is_plausible": "{asset} was stopped: it is not plausible as a whole",
    "received_rows_are_accepted_or_quarantined": "{asset} was stopped: its account does not close",
    "features_are_whole": "{asset} was stopped: the features are not whole",
}
"""Checks in words; every other check is told by its name."""

_ACCEPT = (
    "repair the source and run again; if this is the shop's new level: muyun limits accept {table}; "
    "to change a limit: {file}"
)
_REMEDIES: Mapping[str, str] = {
    "feed_is_plausible": _ACCEPT,
    "features_are_whole": _ACCEPT,
    "received_rows_are_accepted_or_quarantined": "run again; if it stays, report it as a defect",
}


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong.

    Attributes:
        what: The step in words.
        where: Dagster's name of the step or check.
        details: What exactly: limits, rows, failing dbt nodes, the error.
        remedy: What to do.
    """

    what: str
    where: str
    details: tuple[str, ...]
    remedy: str


def step_in_words(step: str) -> str:
    """What a step does, from its Dagster name (`raw__orders`, `dbt_build`) or its asset key."""
    layer, _, rest = step.replace("/", "__").partition("__")
    name = rest.replace("__", " ").replace("_", " ")
    for prefix, words in _STEPS:
        if layer == prefix:
            return words.format(name=name)
    return f"the step {step}"


def failed_check(settings: Settings, asset: str, check: str, facts: Mapping[str, Any]) -> Problem:
    """A blocking check that did not pass.

    Args:
        settings: For the file that holds the user's limits.
        asset: Asset key with slashes.
        check: Its name.
        facts: Its metadata.
    """
    table = asset.rsplit("/", 1)[-1]
    details = [str(line) for line in facts.get("errors", [])]
    if not details:
        shown = {name: value for name, value in facts.items() if isinstance(value, int | float | str)}
        details = [", ".join(f"{name} {value}" for name, value in sorted(shown.items()))]
    what = _CHECKS.get(check, "{asset} was stopped: " + check.replace("_", " "))
    remedy = _REMEDIES.get(
        check, _ACCEPT if "errors" in facts else "repair what the check names and run again"
    )
    return Problem(
        what.format(asset=asset),
        f"{asset}: {check}",
        tuple(line for line in details if line),
        remedy.format(table=table, file=settings.home / "limits.yaml"),
    )


def refused_intake(settings: Settings, shares: Mapping[str, str], causes: Sequence[str]) -> Problem:
    """Tables of which too many rows were refused: one problem, however many tables its causes reach.

    Args:
        settings: For the file that holds the user's limits.
        shares: What was refused, by table.
        causes: Lines on the root causes, most rows first.
    """
    tables = ", ".join(f"quarantined_share.tables.{table}" for table in shares)
    return Problem(
        "nothing was built: too many rows were refused",
        ", ".join(f"raw/{table}: quarantined_share" for table in shares),
        (*shares.values(), *causes),
        "mend the causes, most rows first, then: muyun quarantine replay (or make run). To admit more: "
        f"MUYUN_MAX_QUARANTINED_SHARE, or {tables} in {settings.home / 'limits.yaml'}",
    )


def failed_step(settings: Settings, step: str, error: str, errors_file: Path | None) -> Problem:
    """A step that raised.

    Args:
        settings: For the run folder.
        step: Dagster's name of the step.
        error: Class and message of the innermost error.
        errors_file: Where the whole traceback lies.
    """
    text = _ANSI.sub("", error).strip()
    if any(os.strerror(code) in text for code in (errno.ENOSPC, errno.EDQUOT)):
        remedy = (
            f"the disk is full: free space, or set MUYUN_HOME to a larger disk than that of {settings.home}, "
            "then run it again; finished steps are kept"
        )
    elif "PostgreSQL" in text:
        remedy = (
            "start PostgreSQL again (MUYUN_DATABASE_URL names it), then run it again; finished steps are kept"
        )
    elif text.startswith("not checked"):
        remedy = "what the check found stands with the check; repair it and run again"
    else:
        remedy = "run it again, finished steps are kept; if it stays, report it with the traceback"
        if errors_file is not None:
            remedy += f" in {errors_file}"
    return Problem(f"{step_in_words(step)} failed", step, tuple(text.splitlines()[:6]), remedy)


def failed_dbt(results: Mapping[str, Any], manifest: Mapping[str, Any], step: str, log: Path) -> Problem:
    """A dbt build with nodes that failed.

    Args:
        results: dbt's `run_results.json`.
        manifest: dbt's `manifest.json`.
        step: Dagster's name of the step.
        log: Where dbt's own output lies.
    """
    details: list[str] = []
    files = []
    for result in results.get("results", []):
        if result["status"] not in ("fail", "error", "runtime error"):
            continue
        node = manifest.get("nodes", {}).get(result["unique_id"], {})
        kind, name = result["unique_id"].split(".")[0], node.get("name", result["unique_id"])
        file = REPOSITORY / "dbt_project" / str(node.get("original_file_path", ""))
        files.append(str(file))
        message = " ".join(_ANSI.sub("", str(result.get("message") or "")).split())
        details.append(f"{kind} {name}: {message}")
        if kind == "test" and result.get("failures"):
            details.append(f"  {result['failures']:,} rows break it")
        details.append(f"  {file}")
    remedy = (
        "a test that fails shows tables that contradict each other: repair the source; a model that cannot "
        f"be built is a fault of its SQL. dbt's own words: {log}"
    )
    return Problem(f"{step_in_words(step)} failed", step, tuple(details), remedy)


def dbt_problem(settings: Settings, run_id: str, step: str) -> Problem | None:
    """What failed in the dbt build of a run; None when dbt left no failing node."""
    for folder in (settings.dbt_target_dir / run_id, settings.dbt_target_dir):
        try:
            results = json.loads((folder / "run_results.json").read_bytes())
            manifest = json.loads((folder / "manifest.json").read_bytes())
        except (OSError, ValueError):
            continue
        problem = failed_dbt(results, manifest, step, settings.dbt_target_dir / "build.log")
        return problem if problem.details else None
    return None


def first_seen(problems: Iterable[Problem]) -> list[Problem]:
    """Problems without those that repeat another step's details."""
    seen: dict[tuple[str, ...], Problem] = {}
    for problem in problems:
        seen.setdefault(problem.details, problem)
    return list(seen.values())
