"""Observed or overlay: which contract tables a figure rests on, and so where its rows come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.sources.loading.ingest import IngestReport

Kind = Literal["observed", "overlay", "both", "none"]

MEANING: dict[str, str] = {
    "observed": "observed: rows that a feed delivered",
    "overlay": "overlay: rows generated where the data have no such feed",
    "both": "both: computed from observed and overlay rows together",
    "none": "no rows came in",
}


@dataclass(frozen=True)
class Origin:
    """Where rows come from.

    Attributes:
        kind: `observed`, `overlay`, `both`, or `none` when no row came in.
        tables: Tables with rows, as `name (origin)` grouped in one phrase.
    """

    kind: Kind
    tables: str = ""


class Origins:
    """Answers where the rows of tables come from.

    Args:
        reports: Accounts of the loaded tables.
    """

    def __init__(self, reports: Iterable[IngestReport]) -> None:
        self._by_table = {report.table: report.origin for report in reports if report.accepted}

    def of(self, *tables: str) -> Origin:
        """The origin of something computed from tables; tables without rows count for nothing."""
        return self._origin({name: self._by_table[name] for name in tables if name in self._by_table})

    def of_all(self) -> Origin:
        """The origin of something computed from everything that came in."""
        found = self._origin(self._by_table)
        return Origin(found.kind, "every table that came in" if self._by_table else "")

    @staticmethod
    def _origin(by_table: dict[str, str]) -> Origin:
        # A table may itself hold rows of both kinds.
        kinds = sorted(set(by_table.values()))
        if not kinds:
            return Origin("none")
        phrase = "; ".join(
            f"{kind}: {', '.join(name for name, own in by_table.items() if own == kind)}" for kind in kinds
        )
        if kinds == ["observed"]:
            return Origin("observed", phrase)
        return Origin("overlay" if kinds == ["overlay"] else "both", phrase)
