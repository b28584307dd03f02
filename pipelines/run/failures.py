"""Reads the problems of a run out of Dagster's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.intake.share import CAUSES_SHOWN, SHARE_CHECK, IntakeRefusedError, cause_lines, causes_of
from pipelines.lake.tables import Lake
from pipelines.run.problems import (
    Problem,
    dbt_problem,
    failed_check,
    failed_step,
    first_seen,
    refused_intake,
)
from pipelines.settings import Settings

DBT_STEP = "dbt_build"
_BLOCKED = "DagsterAssetCheckFailedError"
"""What Dagster raises in the step of a blocking check; the check itself is the problem."""


def innermost(event: Any) -> Any:
    """The error that a step raised, without Dagster's wrapping."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    return error


def problems_of(settings: Settings, result: Any, failed: Mapping[str, str]) -> tuple[Problem, ...]:
    """What went wrong in a run, checks before steps.

    Args:
        settings: The installation's settings.
        result: Dagster's result of the run.
        failed: Steps that failed or were skipped, with one line each.
    """
    failures = {
        event.step_key: error
        for event in result.all_events
        if event.is_step_failure and (error := innermost(event)) is not None
    }
    checks = [
        check for step, check in _blocking_checks(result) if step != DBT_STEP or DBT_STEP not in failures
    ]
    shares = {
        check.asset.split("/")[1]: check.facts["share"] for check in checks if check.name == SHARE_CHECK
    }
    problems = [
        failed_check(settings, check.asset, check.name, check.facts)
        for check in checks
        if check.name != SHARE_CHECK
    ]
    if shares:
        causes = cause_lines(causes_of(Lake(settings.lake_dir)), CAUSES_SHOWN)
        problems.insert(0, refused_intake(settings, shares, causes))
    errors_file = _keep_errors(settings, result.run_id, failures)
    for step, error in failures.items():
        if error.cls_name == _BLOCKED or (shares and error.cls_name == IntakeRefusedError.__name__):
            continue
        found = dbt_problem(settings, result.run_id, step) if step == DBT_STEP else None
        text = _without_module(error.message, error.cls_name)
        problems.append(found or failed_step(settings, step, text, errors_file))
    if not problems:
        problems = [failed_step(settings, step, line, errors_file) for step, line in failed.items()]
    return tuple(first_seen(problems))


@dataclass(frozen=True)
class _Check:
    asset: str
    name: str
    facts: dict[str, Any]


def _blocking_checks(result: Any) -> list[tuple[str, _Check]]:
    """Every check that did not pass and is an error, with the step that made it."""
    found = []
    for event in result.all_events:
        if event.event_type_value != "ASSET_CHECK_EVALUATION":
            continue
        data = event.event_specific_data
        if data.passed or data.severity.value != "ERROR":
            continue
        facts = {name: getattr(value, "value", value) for name, value in data.metadata.items()}
        found.append((event.step_key or "", _Check(data.asset_key.to_user_string(), data.check_name, facts)))
    return found


def _without_module(message: str, class_name: str | None) -> str:
    """An error as `Class: message`, however Dagster wrote its class."""
    first, _, rest = message.strip().partition(": ")
    return f"{class_name}: {rest}" if class_name and first.endswith(class_name) else message.strip()


def _keep_errors(settings: Settings, run_id: str, failures: Mapping[str, Any]) -> Path | None:
    """Write the whole tracebacks beside the run's journal; None when there are none or they do not fit."""
    if not failures:
        return None
    file = settings.home / "runs" / f"{run_id}.errors.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n\n".join(f"{step}\n{error.to_string()}" for step, error in failures.items()))
    except OSError:
        return None
    return file
