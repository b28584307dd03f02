"""The memo of steps: unchanged work is reported again, changed work is done, measured and recorded.

`Steps.run` is the one way an asset does its work. The record is written after the outputs: a step that was
killed has none and runs again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg

from pipelines.clock import Clock
from pipelines.progress import announce, report
from pipelines.settings import Settings
from pipelines.state import Outcome, StateStore, StepRecord, code_version, fingerprint, measured
from pipelines.steps.results import materialize_result


class Steps:
    """What each step last did, and whether it must do it again.

    Args:
        settings: Seed and run folder.
        records: The step records.
        clock: Business time.
    """

    def __init__(self, settings: Settings, records: StateStore, clock: Clock) -> None:
        self._settings = settings
        self.records = records
        self._clock = clock

    def run(
        self,
        context: dg.AssetExecutionContext,
        body: Callable[[], Outcome],
        *,
        code: Sequence[str],
        settings: Mapping[str, object] | None = None,
        outputs: Iterable[Path] = (),
        uses_clock: bool = True,
    ) -> dg.MaterializeResult:
        """Do a step's work, or report the last outcome when nothing it depends on has changed.

        Args:
            context: The asset's context; its key and upstream keys name the step and its inputs.
            body: The work; called at most once.
            code: Repository paths whose content decides the result.
            settings: Further settings that decide the result.
            outputs: Files that must still exist for the last outcome to count.
            uses_clock: Whether business time decides the result.

        Returns:
            The materialisation with its checks.
        """
        key = context.asset_key.to_user_string()
        mark = self.mark(context, code=code, settings=settings, uses_clock=uses_clock)
        record = self.records.get(key)
        if record is not None and record.fingerprint == mark and all(path.exists() for path in outputs):
            report(key, record.metadata.get("rows"), "unchanged")
            return materialize_result(record, reused=True)
        self.records.forget(key)
        announce(key)
        with measured() as cost:
            outcome = body()
        as_of = self._clock.as_of(context).isoformat()
        record = StepRecord(
            key=key,
            fingerprint=mark,
            version=outcome.version or mark,
            metadata={"rows": outcome.rows, "as_of": as_of, **outcome.metadata},
            checks=outcome.checks,
            wall_s=round(cost.wall_s, 2),
            peak_rss_mb=round(cost.peak_rss_mb, 1),
        )
        if all(check.passed or not check.is_error for check in outcome.checks):
            self.records.put(record)
        report(key, outcome.rows, f"{cost.wall_s:.1f} s, {cost.peak_rss_mb:.0f} MB")
        self.journal(context.run.run_id, record)
        return materialize_result(record)

    def mark(
        self,
        context: dg.AssetExecutionContext,
        *,
        code: Sequence[str],
        settings: Mapping[str, object] | None,
        uses_clock: bool,
    ) -> str:
        """The fingerprint of a step: what it reads, the code that decides, the settings, the clock."""
        definition = context.assets_def
        upstream = sorted(
            {
                key.to_user_string()
                for selected in definition.keys
                for key in definition.asset_deps[selected]
                if key not in definition.keys
            }
        )
        parts = {
            "inputs": {key: self.records.version(key) for key in upstream},
            "code": code_version(code),
            "settings": dict(settings or {}),
            "seed": self._settings.seed,
            "as_of": self._clock.as_of(context).isoformat() if uses_clock else None,
        }
        return fingerprint(parts)

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
