"""What the benchmark of own data finds out about one folder."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness import OURS, Row


@dataclass(frozen=True)
class Result:
    """One folder, tried.

    Attributes:
        folder: Its name.
        seconds: To the first report, or to the end of the load where no report is asked for.
        rows_lost: Rows that are neither accepted nor quarantined.
        revenue_error: Distance from the right net revenue, in minor units.
        orders_error: Distance from the right number of orders.
        silent_skips: Files that were not read and not named.
        untyped_errors: Tracebacks.
        remark: What is right here, or what went wrong.
    """

    folder: str
    seconds: float
    rows_lost: int
    revenue_error: int
    orders_error: int
    silent_skips: int
    untyped_errors: int
    remark: str

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not any(
            (self.rows_lost, self.revenue_error, self.orders_error, self.silent_skips, self.untyped_errors)
        )


def rows_of(results: list[Result]) -> list[Row]:
    """Seconds of each folder, then the sums that have to be 0."""
    rows = [Row(OURS, f"{one.folder}_seconds_to_first_report", one.seconds, "s") for one in results]
    for metric, unit in (
        ("rows_lost", "rows"),
        ("revenue_error", "fen"),
        ("orders_error", "orders"),
        ("silent_skips", "files"),
        ("untyped_errors", "errors"),
    ):
        name = f"{metric}_fen" if metric == "revenue_error" else metric
        rows.append(Row(OURS, name, sum(getattr(one, metric) for one in results), unit))
    return rows
