"""Judges a batch by the limits of its boundary: expectations on its newest rows, facts of all its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.limits.comparison import Breach, breaches
from pipelines.limits.document import Limit
from pipelines.limits.profile import Profile, profile_of
from pipelines.limits.suites import Boundary
from pipelines.steps.state import CheckRecord

if TYPE_CHECKING:
    from pipelines.limits.quality import DataDocs


@dataclass(frozen=True)
class Batch:
    """What lies at a boundary; read only when it is judged.

    Attributes:
        newest: Its newest rows, at most `suites.SAMPLE_ROWS`, for Great Expectations.
        whole: All of its rows; a column `day` dates them where the table is kept by day.
        quarantined_share: Refused rows over received ones; None for what did not come in through the door.
    """

    newest: Callable[[], pl.DataFrame]
    whole: Callable[[], pl.LazyFrame]
    quarantined_share: Callable[[], float | None] = lambda: None


@dataclass(frozen=True)
class Judgement:
    """What the limits say of a batch.

    Attributes:
        breaches: Limits that do not hold.
        profile: Facts of the batch.
        expectations: Expectations evaluated.
        rows_judged: Rows that the expectations saw.
        comparisons: Limits on facts.
        has_last_good: Whether there was a last good batch to compare with.
    """

    breaches: list[Breach]
    profile: Profile
    expectations: int
    rows_judged: int
    comparisons: int
    has_last_good: bool

    @property
    def errors(self) -> list[Breach]:
        """Breaches that block."""
        return [breach for breach in self.breaches if breach.is_error]

    @property
    def warnings(self) -> list[Breach]:
        """Breaches that only tell."""
        return [breach for breach in self.breaches if not breach.is_error]

    def as_markdown(self) -> str:
        """The outcome as the UI shows it."""
        if self.breaches:
            return "\n".join(
                f"- {'' if breach.is_error else 'warning: '}{breach}" for breach in self.breaches
            )
        compared = f"{self.comparisons} comparisons with the last good batch hold"
        if not self.has_last_good:
            compared = "there was no good batch before to compare with"
        return f"All {self.expectations} expectations hold on {self.rows_judged:,} rows; {compared}."

    def facts(self) -> dict[str, Any]:
        """The outcome as JSON, for the record of the check and for the UI."""
        return {
            "result_md": self.as_markdown(),
            "errors": [str(breach) for breach in self.errors],
            "warnings": [str(breach) for breach in self.warnings],
            "expectations": self.expectations,
            "rows_judged": self.rows_judged,
            "profile": self.profile.to_json(),
        }


def outcome(boundary: Boundary, facts: dict[str, Any]) -> CheckRecord:
    """The check of a judgement: failed with an error when it blocks, with a warning when it only tells."""
    errors = bool(facts["errors"])
    return CheckRecord(boundary.suite, not errors and not facts["warnings"], facts, is_error=errors)


def judge(
    boundary: Boundary,
    batch: Batch,
    limits: Mapping[str, Limit],
    last_good: Profile | None,
    data_docs: Callable[[], DataDocs],
) -> Judgement:
    """Judge a batch.

    Args:
        boundary: Names the suite and the table.
        batch: What lies there.
        limits: The limits of the boundary, by name.
        last_good: Profile of the last batch that passed.
        data_docs: Great Expectations; asked only when a limit is an expectation.
    """
    facts = [limit.fact for limit in limits.values() if limit.fact is not None]
    profile = profile_of(boundary.table, batch.whole(), facts, quarantined_share=batch.quarantined_share())
    found = breaches(limits, profile, last_good)
    expectations = rows_judged = 0
    if len(facts) < len(limits):
        result = data_docs().validate(boundary.suite, batch.newest().to_pandas(), limits)
        found = result.breaches + found
        expectations, rows_judged = result.expectations, result.rows_seen
    return Judgement(found, profile, expectations, rows_judged, len(facts), last_good is not None)
