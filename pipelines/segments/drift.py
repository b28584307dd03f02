"""How far published segments moved since the day before: their size, and who is in them.

The members of the day before are told by the days of entry and exit, so that a second run of a day judges the
same movement again. A segment that had nobody the day before is new and is not judged. No Dagster here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from pipelines.limits.document import SegmentLimits


@dataclass(frozen=True)
class Movement:
    """A segment today and the day before.

    Attributes:
        segment: Its name.
        before: Members the day before.
        now: Members today.
        left: Who were in it and are no more.
    """

    segment: str
    before: int
    now: int
    left: int

    @property
    def change(self) -> float:
        """Change of the size, as a share of the size before; below 0 when it shrank."""
        return (self.now - self.before) / self.before

    @property
    def turnover(self) -> float:
        """Share of those who were in it that left, 0 to 1."""
        return self.left / self.before

    def drifted(self, limits: SegmentLimits) -> list[str]:
        """What is beyond the limits, in words; empty when nothing is or it is not judged."""
        if not self.before or max(self.before, self.now) < limits.least_members:
            return []
        found = []
        if abs(self.change) > limits.most_change:
            found.append(
                f"{self.segment}: {self.before:,} members became {self.now:,} ({self.change:+.0%}; admitted: "
                f"{limits.most_change:.0%} more or fewer)"
            )
        if self.turnover > limits.most_turnover:
            found.append(
                f"{self.segment}: {self.left:,} of {self.before:,} members left ({self.turnover:.0%}; "
                f"admitted: {limits.most_turnover:.0%})"
            )
        return found


def movements(edges: pl.DataFrame, today: date) -> list[Movement]:
    """The movement of each segment, by name.

    Args:
        edges: `segment`, `entered_on`, `left_on` of members and of those who left, as
            `feature_store.segments.members.with_edges` gives them.
        today: The local day of `edges`.
    """
    was_in = (pl.col("entered_on") < today) & (pl.col("left_on").is_null() | (pl.col("left_on") == today))
    counted = (
        edges.group_by("segment")
        .agg(
            before=was_in.sum(),
            now=pl.col("left_on").is_null().sum(),
            left=(was_in & pl.col("left_on").is_not_null()).sum(),
        )
        .sort("segment")
    )
    return [Movement(*row) for row in counted.select("segment", "before", "now", "left").rows()]
