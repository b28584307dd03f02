"""Boundaries: an asset's content judged by its plausibility limits, and the refusal to work behind one.

A pass is remembered by the asset's data version, with the profile that later batches are compared with; a
failure never is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.console.progress import announce, forget, report
from pipelines.intake.share import require_intake
from pipelines.lake.tables import Lake
from pipelines.limits import judging, last_good
from pipelines.limits.document import Limits, load_limits
from pipelines.limits.suites import Boundary
from pipelines.settings import Settings
from pipelines.steps.state import CheckRecord, StateStore, StepRecord, fingerprint, measured

if TYPE_CHECKING:
    from pipelines.limits.quality import DataDocs


class Boundaries:
    """Judges of content between steps.

    Args:
        settings: Where the Great Expectations project and the user's limits lie.
        records: The step records, among them the passes.
        lake: Keeps the profiles of the last good batches.
    """

    def __init__(self, settings: Settings, records: StateStore, lake: Lake) -> None:
        self._settings = settings
        self._records = records
        self._lake = lake
        self._data_docs: DataDocs | None = None
        self._opening = threading.Lock()  # steps run in threads

    @property
    def limits(self) -> Limits:
        """The plausibility limits of this installation.

        Raises:
            LimitsError: The user's limits cannot be meant as they are written.
        """
        return load_limits(self._settings.home)

    @property
    def data_docs(self) -> DataDocs:
        """The Great Expectations project of this installation; importing the library takes seconds."""
        with self._opening:
            if self._data_docs is None:
                from pipelines.limits.quality import DataDocs

                self._data_docs = DataDocs(self._settings.quality_dir)
            return self._data_docs

    def judge(self, boundary: Boundary, batch: judging.Batch) -> CheckRecord:
        """Judge an asset's content by the limits of its boundary, unless this very content passed before.

        Args:
            boundary: Names the limits, and the asset whose data version names the content.
            batch: The rows to judge.

        Returns:
            The outcome; only content that nothing blocks is remembered, with its profile.
        """
        key = f"checks/{boundary.suite}"
        mark = self._mark(boundary)
        record = self._records.get(key)
        if record is not None and record.fingerprint == mark:
            return judging.outcome(boundary, {**record.metadata, "reused": True})
        announce(key)
        with measured() as cost:
            judgement = judging.judge(
                boundary,
                batch,
                self.limits.at(boundary.suite),
                last_good.read(self._lake, boundary.suite),
                lambda: self.data_docs,
            )
        forget(key)
        page = self._settings.data_docs_dir.relative_to(self._settings.home) / "index.html"
        facts = judgement.facts() | {"data_docs": str(page)}
        if judgement.errors:
            report(key, None, "FAILED: " + "; ".join(map(str, judgement.errors)))
        else:
            last_good.remember(self._lake, boundary.suite, judgement.profile)
            self._records.put(
                StepRecord(key, mark, mark, facts, [], round(cost.wall_s, 2), round(cost.peak_rss_mb, 1))
            )
        return judging.outcome(boundary, facts)

    def require_intake(self) -> None:
        """Refuse to build on a lake of which too much was refused at the door.

        Raises:
            IntakeRefusedError: Names the tables and the remedy.
        """
        require_intake(self._settings, self._lake)

    def require_passed(self, boundaries: Iterable[Boundary]) -> None:
        """Refuse to work behind a boundary that the present content has not passed.

        Within one run a failed check already blocks; a job that starts behind the boundary only finds the
        content that an earlier run left.

        Raises:
            dg.Failure: Names each asset that must be checked, or repaired, first.
        """
        held = [
            boundary
            for boundary in boundaries
            if (record := self._records.get(f"checks/{boundary.suite}")) is None
            or record.fingerprint != self._mark(boundary)
        ]
        if held:
            names = ", ".join(f"{boundary.asset} (suite {boundary.suite})" for boundary in held)
            raise dg.Failure(
                f"not checked, or stopped by its check, as it is now: {names}; "
                "repair the data and materialise the asset with its checks first",
                allow_retries=False,
            )

    def _mark(self, boundary: Boundary) -> str:
        limits = {name: limit.model_dump() for name, limit in self.limits.at(boundary.suite).items()}
        return fingerprint({"version": self._records.version(boundary.asset), "limits": limits})
