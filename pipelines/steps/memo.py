"""The memo of steps: unchanged work is reported again, changed work is done, measured and recorded.

`Steps.run` is the one way an asset does its work. A record stands for as long as all of these are as they
were: the data versions of what the step reads, the code behind it (`pipelines.steps.closure`), its settings,
its outputs (`pipelines.steps.evidence`), and business time as far as the step says that it matters. The
record is written after the outputs: a step that was killed has none and runs again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import dagster as dg

from pipelines.clock import Clock, Sensitivity
from pipelines.console.progress import announce, report
from pipelines.conventions import FORCE_TAG
from pipelines.settings import Settings
from pipelines.steps.closure import code_version_of
from pipelines.steps.evidence import evidence_of, still_holds
from pipelines.steps.results import materialize_result
from pipelines.steps.state import Outcome, StateStore, StepRecord, fingerprint, measured

Outputs = Iterable[Path] | Callable[[], Iterable[Path]]
"""Files and folders, or what names them: asked after the work and whenever the record is looked at."""


class Steps:
    """What each step last did, and whether it must do it again.

    Args:
        settings: Seed and run folder.
        records: The step records.
        clock: Business time.
        code_of: Version of the code behind an asset.
    """

    def __init__(
        self,
        settings: Settings,
        records: StateStore,
        clock: Clock,
        code_of: Callable[[dg.AssetsDefinition], str] = code_version_of,
    ) -> None:
        self._settings = settings
        self.records = records
        self._clock = clock
        self._code_of = code_of

    def run(
        self,
        context: dg.AssetExecutionContext,
        body: Callable[[], Outcome],
        *,
        settings: Mapping[str, object] | None = None,
        outputs: Outputs = (),
        clock: Sensitivity = "instant",
        holds: Callable[[StepRecord], bool] | None = None,
        waits: Callable[[StepRecord], str] | None = None,
    ) -> dg.MaterializeResult:
        """Do a step's work, or report the last outcome when nothing it depends on has changed.

        Args:
            context: The asset's context; its key and upstream keys name the step and its inputs.
            body: The work; called at most once.
            settings: Further settings that decide the result, the champions that score among them.
            outputs: What must still be as the step left it for the last outcome to count.
            clock: How far business time decides the result.
            holds: Whether what the step did outside the home, as recorded, is still there.
            waits: Says in a line why the last outcome is good enough although its inputs changed; empty when
                it is not. Other code or settings, lost outputs and a forced run do the work in any case.

        Returns:
            The materialisation with its checks.
        """
        key = context.asset_key.to_user_string()
        mark, deciding = self.mark(context, settings), self._deciding(context, settings)
        record, note = self.standing(context, key, mark, outputs), "unchanged"
        if record is None and waits is not None:
            record, note = self._waiting(context, key, deciding, outputs, waits)
        if record is not None and (holds is None or holds(record)):
            report(key, record.metadata.get("rows"), note)
            return materialize_result(record, reused=True)
        self.records.forget(key)
        announce(key)
        with measured() as cost:
            outcome = body()
        as_of = self._clock.as_of(context)
        evidence = evidence_of(_named(outputs), self._settings.home)
        record = StepRecord(
            key=key,
            fingerprint=mark,
            version=outcome.version or evidence.get("content") or fingerprint({"of": mark, "at": as_of}),
            metadata={"rows": outcome.rows, "as_of": as_of.isoformat(), **outcome.metadata},
            checks=outcome.checks,
            wall_s=round(cost.wall_s, 2),
            peak_rss_mb=round(cost.peak_rss_mb, 1),
            as_of=as_of.isoformat(),
            clock=outcome.clock or clock,
            until=outcome.until.isoformat() if outcome.until else "",
            evidence=evidence,
            deciding=deciding,
        )
        if all(check.passed or not check.is_error for check in outcome.checks):
            self.records.put(record)
        report(key, outcome.rows, f"{cost.wall_s:.1f} s, {cost.peak_rss_mb:.0f} MB")
        self.journal(context.run.run_id, record)
        return materialize_result(record)

    def standing(
        self, context: dg.AssetExecutionContext, key: str, mark: str, outputs: Outputs
    ) -> StepRecord | None:
        """The last record of a step if it still stands; None when the step must work."""
        record = self.records.get(key)
        if record is None or _is_told(context, key):
            return None
        stands = (
            record.fingerprint == mark
            and self._clock.stands(record, self._clock.as_of(context))
            and still_holds(record.evidence, _named(outputs), self._settings.home)
        )
        return record if stands else None

    def mark(self, context: dg.AssetExecutionContext, settings: Mapping[str, object] | None) -> str:
        """The fingerprint of a step: what it reads, the code that decides, the settings."""
        definition = context.assets_def
        upstream = {
            _text(key)
            for selected in definition.keys
            for key in definition.asset_deps[selected]
            if key not in definition.keys
        }
        return fingerprint(
            {
                "inputs": {key: self.records.version(key) for key in sorted(upstream)},
                "code": self._code_of(definition),
                "settings": dict(settings or {}),
                "seed": self._settings.seed,
            }
        )

    def _deciding(self, context: dg.AssetExecutionContext, settings: Mapping[str, object] | None) -> str:
        """What decides a step besides what it reads."""
        code = self._code_of(context.assets_def)
        return fingerprint({"code": code, "settings": dict(settings or {}), "seed": self._settings.seed})

    def _waiting(
        self,
        context: dg.AssetExecutionContext,
        key: str,
        deciding: str,
        outputs: Outputs,
        waits: Callable[[StepRecord], str],
    ) -> tuple[StepRecord | None, str]:
        """The last record of a step that may outlive its inputs, and why; None when the step must work."""
        record = self.records.get(key)
        if record is None or record.deciding != deciding or _is_told(context, key):
            return None, ""
        note = waits(record)
        holds = bool(note) and still_holds(record.evidence, _named(outputs), self._settings.home)
        return (record, note) if holds else (None, "")

    def journal(self, run_id: str, record: StepRecord) -> None:
        """Append a step's cost to the run's journal, the source of the report's time and memory table."""
        folder = self._settings.home / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        line = {
            "run_id": run_id,
            "name": record.key,
            "wall_s": record.wall_s,
            "peak_rss_mb": record.peak_rss_mb,
        }
        with (folder / f"{run_id}.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")


def is_forced(tags: Mapping[str, str], names: Iterable[str]) -> bool:
    """Whether a run is told to do a step whatever its record says; see `conventions.FORCE_TAG`."""
    wanted = {part.strip() for part in tags.get(FORCE_TAG, "").split(",")}
    return "true" in wanted or not wanted.isdisjoint(names)


def _is_told(context: dg.AssetExecutionContext, key: str) -> bool:
    """Whether the run is told to do this step, by the names of what it makes."""
    return is_forced(context.run.tags, {key, *map(_text, context.selected_asset_keys)})


def _named(outputs: Outputs) -> Iterable[Path]:
    return outputs() if callable(outputs) else outputs


def _text(key: dg.AssetKey) -> str:
    return key.to_user_string()
