"""A panel: many series on one regular grid of time, with inputs that are known beforehand.

What is not observed is NaN and never 0: a stock-out, a gap, the time before a series begins. No model lives
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from models.data import reading
from models.errors import FrameError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Time = int | date | datetime


@dataclass(frozen=True)
class Panel:
    """N series in rows, T steps in columns.

    Attributes:
        ids: One text a series, sorted; parts of a key of several columns are joined by `|`.
        times: The T steps: whole numbers, dates, or UTC times.
        target: float64 (N, T); NaN where nothing was observed, and in steps that are still to come.
        known: Name to float64 (N, T): inputs that are known before their step (price, promotion, holiday);
            NaN where the plan is not known.
        static: Name to N texts.
        start: int64 (N,), first observed step of each series; T where there is none.
    """

    ids: tuple[str, ...]
    times: tuple[Time, ...]
    target: Float64
    known: dict[str, Float64]
    static: dict[str, tuple[str, ...]]
    start: Int64

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        id: str | Sequence[str],
        time: str,
        target: str,
        known: Sequence[str] = (),
        static: Sequence[str] = (),
        observed: str | None = None,
        every: str = "1w",
        zone: str = "UTC",
        gaps: Literal["missing", "zero"] = "missing",
        duplicates: Literal["refuse", "sum"] = "refuse",
        negative: Literal["refuse", "zero"] = "refuse",
    ) -> Panel:
        """Arrange anybody's long frame.

        Args:
            frame: Polars (lazy or not), pandas or Arrow, one row a series and step.
            id: Column, or columns, that name the series; text or whole numbers.
            time: Dates, times (any zone, or none), ISO text, or whole numbers that count the steps.
            target: What is to be forecast. A null row is a step to come, or one that nobody saw.
            known: Numeric columns that are known beforehand; they may reach beyond the last target.
            static: Columns that are constant in a series.
            observed: Column of booleans; where it is false the target is missing (a stock-out).
            every: Length of a step as Polars writes it (`1d`, `1w`, `1mo`); whole numbers count by 1.
            zone: IANA zone of times that name none, and of the calendar that months and days follow.
            gaps: What a step without a row is, between the first and the last observed one of its series:
                `missing`, or `zero` where a row is only written when something sold.
            duplicates: `sum` adds up the targets of equal series and step; known inputs are averaged.
            negative: `zero` sets targets below 0 (a week with more returns than sales) to 0.

        Returns:
            The panel.

        Raises:
            FrameError: A column is missing, times do not lie on the grid, a key comes twice, a target is
                below 0, a static column changes inside a series; each says where and what to do.

        >>> weeks = pl.DataFrame({"shop": [2, 2, 1], "week": [10, 12, 12], "units": [5, 7, 3]})
        >>> panel = Panel.from_frame(weeks, id="shop", time="week", target="units")
        >>> panel.ids, panel.times, panel.start.tolist()
        (('1', '2'), (10, 11, 12), [2, 0])
        >>> panel.target.tolist()
        [[nan, nan, 3.0], [5.0, nan, 7.0]]
        """
        given = reading.as_polars(frame)
        keys = [id] if isinstance(id, str) else list(id)
        reading.require(given, [*keys, time, target, *known, *static, *([observed] if observed else [])])
        name = pl.concat_str([reading.ids(given, key) for key in keys], separator="|", ignore_nulls=False)
        rows = given.select(
            name.alias("id"),
            _steps(given, time, zone).alias("time"),
            reading.numbers(given, target, may_be_null=True).alias("target"),
            *(reading.numbers(given, one, may_be_null=True).alias(f"known {one}") for one in known),
            *(reading.ids(given, one).alias(f"static {one}") for one in static),
        )
        if observed is not None:
            seen = reading.numbers(given, observed) > 0
            rows = rows.with_columns(target=pl.when(seen).then("target"))
        rows = _not_negative(rows, target, negative)
        rows = _one_a_step(rows, duplicates)
        return _arranged(rows, list(known), list(static), every, gaps)

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.ids)

    @property
    def n_times(self) -> int:
        """Number of steps, those to come included."""
        return len(self.times)

    def index(self, time: Time) -> int:
        """Place of a step on the grid.

        Raises:
            FrameError: The grid has no such step.
        """
        try:
            return self.times.index(time)
        except ValueError:
            raise FrameError(
                f"{time} is no step of the panel, which runs from {self.times[0]} to {self.times[-1]}"
            ) from None

    def seen_at(self, origin: int) -> Panel:
        """The panel as it is known before step `origin`: later targets are missing, known inputs stay."""
        target = self.target.copy()
        target[:, origin:] = np.nan
        return Panel(self.ids, self.times, target, self.known, self.static, _starts(target))


def _steps(frame: pl.DataFrame, column: str, zone: str) -> pl.Series:
    """The time column as whole numbers, dates, or UTC instants; midnights of a zone are its dates."""
    values = frame[column]
    if values.dtype.is_integer() or values.dtype == pl.Date:
        reading.no_nulls(values, column)
        return values if values.dtype == pl.Date else values.cast(pl.Int64)
    moments = reading.times(frame, column, zone).dt.convert_time_zone(zone)
    days = moments.dt.date()
    return days if (moments == moments.dt.truncate("1d")).all() else moments.dt.convert_time_zone("UTC")


def _not_negative(rows: pl.DataFrame, target: str, negative: str) -> pl.DataFrame:
    below = rows.filter(pl.col("target") < 0)
    if not below.height:
        return rows
    if negative == "zero":
        return rows.with_columns(pl.col("target").clip(lower_bound=0.0))
    first = below.row(0, named=True)
    raise FrameError(
        f"{target!r} is below 0 in {below.height} rows, first in series {first['id']} at {first['time']} "
        f'({first["target"]}); net returns beforehand, or pass negative="zero"'
    )


def _one_a_step(rows: pl.DataFrame, duplicates: str) -> pl.DataFrame:
    key = ["id", "time"]
    twice = rows.filter(pl.struct(key).is_duplicated())
    if not twice.height:
        return rows
    if duplicates == "refuse":
        first = twice.row(0, named=True)
        raise FrameError(
            f"{twice.height} rows share their series and step, first {first['id']} at {first['time']}; "
            'pass duplicates="sum", or name every column of the key in id'
        )
    total = pl.when(pl.col("target").is_not_null().any()).then(pl.col("target").sum()).alias("target")
    names = [name for name in rows.columns if name.startswith("known ")]
    fixed = [name for name in rows.columns if name.startswith("static ")]
    return rows.group_by(key, maintain_order=True).agg(total, pl.col(names).mean(), pl.col(fixed).first())


def _arranged(rows: pl.DataFrame, known: list[str], static: list[str], every: str, gaps: str) -> Panel:
    if not rows.height:
        raise FrameError("the frame has no row")
    names = tuple(rows["id"].unique().sort().to_list())
    grid = _grid(rows["time"], every)
    row = rows["id"].cast(pl.Enum(list(names))).to_physical().to_numpy().astype(np.int64)
    column = grid.search_sorted(rows["time"]).to_numpy().astype(np.int64)
    shape = (len(names), len(grid))

    def laid_out(name: str) -> Float64:
        out = np.full(shape, np.nan)
        out[row, column] = rows[name].fill_null(float("nan")).to_numpy()
        return out

    target = laid_out("target")
    if gaps == "zero":
        has_row = np.zeros(shape, dtype=np.bool_)
        has_row[row, column] = True
        observed = np.isfinite(target)
        after = np.maximum.accumulate(observed, axis=1)
        before = np.maximum.accumulate(observed[:, ::-1], axis=1)[:, ::-1]
        target[~has_row & after & before] = 0.0
    return Panel(
        names,
        tuple(grid.to_list()),
        target,
        {one: laid_out(f"known {one}") for one in known},
        {one: _constant(rows, one) for one in static},
        _starts(target),
    )


def _grid(times: pl.Series, every: str) -> pl.Series:
    """Every step from the first to the last; refuses times between two steps."""
    first, last = times.min(), times.max()
    if isinstance(first, int) and isinstance(last, int):
        return pl.Series(range(first, last + 1), dtype=pl.Int64)
    bounds = pl.DataFrame(
        {"first": [first], "last": [last]}, schema=dict.fromkeys(("first", "last"), times.dtype)
    )
    span = pl.date_ranges if times.dtype == pl.Date else pl.datetime_ranges
    grid = bounds.select(step=span("first", "last", every).explode())["step"].cast(times.dtype)
    off = times.filter(~times.is_in(grid.implode())).sort()
    if len(off):
        raise FrameError(
            f"{len(off)} times do not lie on a grid of {every} from {first!s}, first {off[0]}; "
            "truncate them to their step, or pass another every"
        )
    return grid


def _constant(rows: pl.DataFrame, name: str) -> tuple[str, ...]:
    per_series = rows.group_by("id").agg(
        value=pl.col(f"static {name}").first(), n=pl.col(f"static {name}").n_unique()
    )
    changing = per_series.filter(pl.col("n") > 1).sort("id")
    if changing.height:
        raise FrameError(
            f"static column {name!r} changes inside {changing.height} series, first {changing['id'][0]}; "
            "pass it as known, or split the series"
        )
    return tuple(per_series.sort("id")["value"].to_list())


def _starts(target: Float64) -> Int64:
    observed = np.isfinite(target)
    return np.where(observed.any(axis=1), observed.argmax(axis=1), target.shape[1]).astype(np.int64)
