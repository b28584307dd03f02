"""From a family's candidates to the registry: log, decide, promote, and report what happened.

The gate's decision is made by the family's backtest; here it is only carried out. No Dagster here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.contracts import Candidate, GateDecision
from models.errors import InsufficientDataError, ModelError
from models.store.cards import Provenance
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.closure import closure_of
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.trainings import due
from pipelines.trainings.task import Task, train

if TYPE_CHECKING:
    from models.store.tracking import Evidence, RegisteredVersion, Tracker
    from pipelines.stores.models import ModelStore


log = logging.getLogger(__name__)

Reads = Callable[[str, Path, Mapping[str, Any]], object]
"""Reads a champion (name, bundle, settings) as scoring and backtest will, or raises."""


def train_and_register(
    family: str,
    names: Sequence[str],
    work: Callable[[Task], list[Candidate]],
    reads: Reads,
    *,
    step: str,
    settings: Settings,
    warehouse: Path,
    models: ModelStore,
    lake: Lake,
    data_version: str,
    as_of: datetime,
    facts: Mapping[str, object],
) -> Outcome:
    """Train a family from the published warehouse and register what it returns.

    Args:
        family: Family name; the summary is kept as `reports/models/<family>`.
        names: Registered model names that the family may return.
        work: The family's function in `pipelines.trainings`.
        reads: Reads a champion's bundle and settings, or raises.
        step: Name of the step, for signs of life.
        settings: Seed and local time.
        warehouse: The published file.
        models: Registry, work folders, and whether a training has a process of its own.
        lake: Where the summary goes.
        data_version: Hash of the inputs.
        as_of: Business time of the training.
        facts: What the record of the training keeps of its data.

    Returns:
        As `register` does.
    """

    def candidates(champions: Mapping[str, dict[str, Any]]) -> list[Candidate]:
        folder = models.work_dir(family)
        task = Task(
            warehouse=warehouse,
            as_of=as_of,
            work=folder,
            seed=settings.seed,
            utc_offset_hours=settings.offset_hours,
            time_zone=settings.zone,
            holidays=settings.holidays_of,
            champions=champions,
            checkpoints=models.checkpoints_dir(family),
        )
        return train(work, task, apart=models.trains_apart, step=step)

    outcome = register(
        family,
        names,
        candidates,
        reads,
        tracker=models.tracker,
        lake=lake,
        provenance=Provenance(data_version, closure_of(work.__module__).version, as_of.isoformat()),
    )
    models.forget_checkpoints(family)
    return replace(outcome, metadata={**outcome.metadata, **facts})


def register(
    family: str,
    names: Sequence[str],
    train: Callable[[Mapping[str, dict[str, Any]]], Sequence[Candidate]],
    reads: Reads,
    *,
    tracker: Tracker,
    lake: Lake,
    provenance: Provenance,
) -> Outcome:
    """Train a family, log every candidate, promote those that pass the gate.

    Args:
        family: Family name; the summary is kept as `reports/models/<family>`.
        names: Registered model names that the family may return.
        train: Takes the standing champions' settings by model name and returns candidates.
        reads: Reads a champion's bundle and settings, or raises. One that an earlier release wrote and this
            one cannot read is demoted before anything else: nobody could serve or backtest it.
        tracker: The MLflow store.
        lake: Where the summary goes.
        provenance: Data, code and moment of the training.

    Returns:
        Rows of the input, the leaderboard, and one warning check a model that says whether it may serve. A
        champion that is behind the best rule is demoted, and the rule serves. With too little data there is
        no candidate and the simple rule serves; the checks say so.
    """
    standing = {name: champion for name in names if (champion := tracker.champion(name)) is not None}
    unread = _unreadable(standing, reads)
    for name in unread:
        tracker.demote(name)
    champions = {name: champion for name, champion in standing.items() if name not in unread}
    try:
        candidates = list(train({name: champion.config for name, champion in champions.items()}))
    except InsufficientDataError as error:
        note = f"{error}; the simple rule serves"
        lake.write_report(f"models/{family}", {"models": [], "note": note})
        return Outcome(
            rows=0,
            metadata={"note": note},
            checks=[
                _check(name, passed=False, facts={"reason": note} | _lost(name, unread)) for name in names
            ],
        )
    rows, checks = [], []
    for candidate in candidates:
        candidate.decision = decision = _without_retrying(candidate, tracker.last_refused(candidate.name))
        version = tracker.log(candidate, provenance)
        if decision.promoted:
            tracker.promote(version)
        elif decision.demotes and candidate.name in champions:
            tracker.demote(candidate.name)
        rows.append(_summary(candidate, version.version))
        facts = {
            "reason": decision.reason,
            decision.metric: decision.value,
            f"best rule: {decision.baseline}": decision.baseline_value,
            "lift_low": decision.lift.low,
            "lift_high": decision.lift.high,
            "version": version.version,
            **{f"also: {one.metric}": one.words for one in decision.judged},
        }
        if decision.demotes and candidate.name in champions:
            facts["demoted"] = f"version {champions[candidate.name].version}, which is behind the simple rule"
        facts |= _lost(candidate.name, unread)
        checks.append(_check(candidate.name, passed=decision.promoted, facts=facts))
    missing = set(names) - {candidate.name for candidate in candidates}
    checks += [
        _check(name, passed=False, facts={"reason": "not trained on these data"} | _lost(name, unread))
        for name in sorted(missing)
    ]
    lake.write_report(f"models/{family}", {"models": rows})
    return Outcome(
        rows=max(candidate.input_rows for candidate in candidates),
        metadata={"leaderboard_md": _leaderboard(candidates), "gates_md": _gates(candidates)},
        checks=checks,
    )


def _lost(name: str, unread: Mapping[str, str]) -> dict[str, Any]:
    """The fact that a champion was demoted because it cannot be read, where it was."""
    return {"demoted": unread[name]} if name in unread else {}


def _unreadable(standing: Mapping[str, RegisteredVersion], reads: Reads) -> dict[str, str]:
    """By name, why a champion cannot be read by this release."""
    found = {}
    for name, champion in standing.items():
        try:
            reads(name, champion.bundle_dir, champion.config)
        except (ModelError, TypeError, ValueError, KeyError) as error:
            found[name] = f"version {champion.version} of an earlier release cannot be read: {error}"
            log.warning("%s: %s; the simple rule serves until a version passes", name, found[name])
    return found


def _without_retrying(candidate: Candidate, refused: Evidence | None) -> GateDecision:
    """The decision, or that the candidate waits: no model is tried on the same data until one passes.

    New data are what `due.reason` takes for them: a share more order lines, or a week of newer orders.
    """
    decision = candidate.decision
    if not decision.promoted or refused is None:
        return decision
    then = due.Data(refused.input_rows, refused.data_to)
    newest = candidate.data_to
    now = due.Data(candidate.input_rows, newest.date() if isinstance(newest, datetime) else newest)
    if due.reason(then, now):
        return decision
    newest_on, lines = due.next_due(then)
    words = (
        f"waits: version {refused.version} was refused on these data; "
        f"tried again with orders until {newest_on}, or {lines:,} rows"
    )
    return replace(decision, promoted=False, reason=words)


def gate_check_name(model: str) -> str:
    """Name of the asset check that says whether a model may serve."""
    return f"{model}_may_serve"


def champion_bundle(tracker: Tracker, name: str) -> tuple[Path | None, str]:
    """The folder that scoring loads and its version, or None and `simple rule` when none passed the gate."""
    champion = tracker.champion(name)
    return (champion.bundle_dir, f"version {champion.version}") if champion else (None, "simple rule")


def _check(name: str, *, passed: bool, facts: dict[str, Any]) -> CheckRecord:
    return CheckRecord(gate_check_name(name), passed, facts, is_error=False)


def _summary(candidate: Candidate, version: str) -> dict[str, Any]:
    decision = candidate.decision
    return {
        "name": candidate.name,
        "version": version,
        "metric": decision.metric,
        "value": decision.value,
        "baseline": decision.baseline,
        "baseline_value": decision.baseline_value,
        "lift": [decision.lift.low, decision.lift.mean, decision.lift.high],
        "promoted": decision.promoted,
        "reason": decision.reason,
        "judged": [one.words for one in decision.judged],
        "leaderboard": candidate.leaderboard,
        "metrics": candidate.metrics,
    }


def _leaderboard(candidates: Sequence[Candidate]) -> str:
    lines = ["| system | metric | value | level |", "|---|---|---|---|"]
    lines += [
        f"| {row['system']} | {row['metric']} | {row['value']:.4f} | {row.get('level', '')} |"
        for candidate in candidates
        for row in candidate.leaderboard
    ]
    return "\n".join(lines)


def _gates(candidates: Sequence[Candidate]) -> str:
    return "\n".join(f"- **{candidate.name}**: {candidate.decision.reason}" for candidate in candidates)
