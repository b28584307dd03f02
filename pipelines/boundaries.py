"""Boundaries: an asset's content judged by a Great Expectations suite, and the refusal to work behind one.

A pass is remembered by the asset's data version; a failure never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.progress import announce, report
from pipelines.settings import Settings
from pipelines.state import CheckRecord, StateStore, StepRecord, fingerprint, measured
from pipelines.suites import Boundary

if TYPE_CHECKING:
    import polars as pl

    from pipelines.quality import DataDocs


class Boundaries:
    """Judges of content between steps.

    Args:
        settings: Where the Great Expectations project lies.
        records: The step records, among them the passes.
    """

    def __init__(self, settings: Settings, records: StateStore) -> None:
        self._settings = settings
        self._records = records

    @cached_property
    def data_docs(self) -> DataDocs:
        """The Great Expectations project of this installation; importing the library takes seconds."""
        from pipelines.quality import DataDocs

        return DataDocs(self._settings.quality_dir)

    def judge(self, boundary: Boundary, read: Callable[[], pl.DataFrame]) -> CheckRecord:
        """Judge an asset's content by a Great Expectations suite, unless this very content passed before.

        Args:
            boundary: The suite and the asset whose data version names the content.
            read: The rows to judge.

        Returns:
            The outcome; only a pass is remembered.
        """
        key = f"checks/{boundary.suite}"
        mark = self._mark(boundary)
        record = self._records.get(key)
        if record is not None and record.fingerprint == mark:
            return CheckRecord(boundary.suite, True, {**record.metadata, "reused": True})
        announce(key)
        with measured() as cost:
            outcome = self.data_docs.validate(boundary.suite, read().to_pandas(), boundary.expectations)
        facts = {
            "result_md": outcome.as_markdown(),
            "expectations": outcome.expectations,
            "rows_judged": outcome.rows_seen,
            "data_docs": str(self._settings.data_docs_dir / "index.html"),
        }
        if outcome.passed:
            self._records.put(
                StepRecord(key, mark, mark, facts, [], round(cost.wall_s, 2), round(cost.peak_rss_mb, 1))
            )
        else:
            report(key, None, "FAILED: " + "; ".join(outcome.failures))
        return CheckRecord(boundary.suite, outcome.passed, facts)

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
        suite = [[expectation.type, dict(expectation.arguments)] for expectation in boundary.expectations]
        return fingerprint({"version": self._records.version(boundary.asset), "suite": suite})
