"""How long the rest of a way takes from a scan on: an accelerated failure time model with an empirical tail.

The time from a scan to the arrival is told in units of the time that the promise left at that scan, so that
what the promise knows of the way need not be learned again. Its logarithm is a mean of the status plus shrunk
effects of lane, supplier and hour; what is left has the spread of the past, where parcels that never came
count as later than every other. Given that a parcel has not come for some time, the probability that it takes
longer still is a ratio of two survivals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.supply.watch.config import WatchConfig

Floats = npt.NDArray[np.float64]

SCANS: Mapping[str, pl.DataType] = {
    "shipment_id": pl.String(),
    "supplier_id": pl.String(),
    "lane": pl.String(),
    "status": pl.String(),
    "seen_at": pl.Datetime("us", "UTC"),
    "promised_at": pl.Datetime("us", "UTC"),
    "delivered_at": pl.Datetime("us", "UTC"),
}
"""Columns of scans: one row per scan of a parcel under way; `delivered_at` is null where it has not come."""

_EFFECTS = ("lane", "supplier_id", "part_of_day")
_PASSES = 3
ANY = ""
"""Status of the spread that rare statuses take."""
_SOONEST_HOURS = 0.1


@dataclass(frozen=True, slots=True)
class Spread:
    """What is left of the logarithms: sorted values of parcels that came, and how many never did."""

    came: Floats
    never: int

    def survival(self, values: Floats) -> Floats:
        """Probability of more than a value; one parcel more than was seen is taken to be later than all."""
        above = len(self.came) - np.searchsorted(self.came, values, side="right")
        return np.asarray((above + self.never + 1) / (len(self.came) + self.never + 1), dtype=np.float64)

    def value_at(self, survivals: Floats) -> Floats:
        """The smallest value with at most that survival; infinite beyond what was seen."""
        total = len(self.came) + self.never + 1
        place = np.ceil(total - 1 - survivals * total - 1e-9).astype(np.int64)
        known = np.append(self.came, np.inf)
        return known[np.clip(place, 0, len(self.came))]


@dataclass(frozen=True)
class Ways:
    """What was learned of ways.

    Attributes:
        means: Mean logarithm by status; the one of all statuses under the empty word.
        effects: By column, value to what it adds.
        spreads: By status; the one of all statuses under the empty word.
    """

    means: Mapping[str, float]
    effects: Mapping[str, Mapping[str, float]]
    spreads: Mapping[str, Spread]

    def expected(self, scans: pl.DataFrame) -> Floats:
        """Expected logarithms of scans with `SCANS` and `part_of_day`."""
        value = _mapped(scans["status"], self.means, self.means[ANY])
        for column in _EFFECTS:
            value = value + _mapped(scans[column], self.effects[column], 0.0)
        return value


def learn(scans: pl.DataFrame, config: WatchConfig) -> Ways | None:
    """Learn from scans of parcels that have had the time to arrive.

    Args:
        scans: `SCANS`.
        config: Settings.

    Returns:
        None where fewer than `least_scans` are of parcels that came.
    """
    told = scans.with_columns(part_of_day=part_of_day())
    came = told.filter(pl.col("delivered_at") > pl.col("seen_at"))
    if came.height < config.least_scans:
        return None
    clock = clock_hours(came, config)
    taken = hours(came["delivered_at"], came["seen_at"])
    logs = np.log(np.maximum(taken, _SOONEST_HOURS) / clock)
    frame = came.select("status", *_EFFECTS).with_columns(log=pl.Series(logs))
    means = dict(frame.group_by("status").agg(pl.col("log").mean()).sort("status").iter_rows())
    means[ANY] = float(np.mean(logs))
    left = logs - _mapped(came["status"], means, means[ANY])
    effects: dict[str, dict[str, float]] = {column: {} for column in _EFFECTS}
    for _ in range(_PASSES):
        for column in _EFFECTS:
            # What the others leave, with this one's own part put back.
            partial = left + _mapped(came[column], effects[column], 0.0)
            new = _shrunk(came[column], partial, config.pooled_scans)
            left = partial - _mapped(came[column], new, 0.0)
            effects[column] = new
    lost = told.filter(pl.col("delivered_at").is_null())
    return Ways(means, effects, _spreads(came["status"], left, lost["status"], config))


def part_of_day() -> pl.Expr:
    """Which quarter of the day (UTC) a scan fell into."""
    return (pl.col("seen_at").dt.hour() // 6).cast(pl.String)


def clock_hours(scans: pl.DataFrame, config: WatchConfig) -> Floats:
    """Hours that the promise left at each scan (n,), at least `least_clock_hours`."""
    return np.maximum(hours(scans["promised_at"], scans["seen_at"]), config.least_clock_hours)


def hours(later: pl.Series, earlier: pl.Series) -> Floats:
    """Hours from one moment to another (n,)."""
    micros = (later - earlier).dt.total_microseconds().to_numpy()
    return np.asarray(micros, dtype=np.float64) / 3.6e9


def _spreads(statuses: pl.Series, left: Floats, lost: pl.Series, config: WatchConfig) -> dict[str, Spread]:
    found = {ANY: Spread(np.sort(left), lost.len())}
    words = statuses.to_numpy()
    for status in statuses.unique().sort().to_list():
        of_it = left[words == status]
        if len(of_it) >= config.least_scans:
            found[status] = Spread(np.sort(of_it), int((lost == status).sum()))
    return found


def _shrunk(values: pl.Series, partial: Floats, pooled: float) -> dict[str, float]:
    """The mean of each value, drawn to 0 as by so many scans there."""
    means = (
        pl.DataFrame({"value": values, "partial": partial})
        .group_by("value")
        .agg(effect=pl.col("partial").sum() / (pl.len() + pooled))
        .drop_nulls("value")
        .sort("value")
    )
    return dict(means.iter_rows())


def _mapped(values: pl.Series, by: Mapping[str, float], default: float) -> Floats:
    if not by:
        return np.full(values.len(), default)
    told = values.replace_strict(dict(by), default=default, return_dtype=pl.Float64)
    return np.asarray(told.fill_null(default).to_numpy(), dtype=np.float64)
