"""What the families read at (series, origin, step): lags, levels, known plans and what they did before.

NumPy only, no look-ahead: of a window at origin o nothing observed at or after o is read; known inputs are
read up to the target. Missing stays NaN: a stock-out or a gap is not a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from models.data import Panel
from models.metrics import FloatArray

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

HALF_UNIT = 0.5
"""Added before logarithms, so that a count of 0 has one."""

MIN_SCALE = 0.25
YEAR = 52
LAGS = 8
MEANS = (2, 4, 8, 13, 26)
MEMORY = 78
"""Periods back that a level under like plans looks at."""

HALF_LIFE = 26.0
"""Periods after which a like period counts half."""

NARROW, WIDE = 0.25, 1.0
"""Widths of likeness, in standard deviations of a known input."""

CHUNK = 4096


@dataclass(frozen=True)
class Inputs:
    """Inputs and targets of b (series, origin) pairs over h steps.

    Attributes:
        values: float32 (b, h, f).
        names: The f names.
        log_scale: float64 (b,), logarithm of half a unit plus the mean of the observed window.
        target: float64 (b, h), log(units + half) - log_scale; NaN where not observed.
        units: float64 (b, h); NaN where not observed.
    """

    values: Float32
    names: tuple[str, ...]
    log_scale: FloatArray
    target: FloatArray
    units: FloatArray

    def part(self, chosen: npt.NDArray[np.bool_], target: FloatArray) -> Inputs:
        """Some pairs (bool (b,)) with other targets (b, h)."""
        return Inputs(
            self.values[chosen], self.names, self.log_scale[chosen], target[chosen], self.units[chosen]
        )

    def to_units(self, logs: FloatArray) -> FloatArray:
        """Turn log ratios (b, h) or (b, h, q) back to units, not below 0."""
        scale = self.log_scale.reshape((-1,) + (1,) * (logs.ndim - 1))
        return np.asarray(np.maximum(np.exp(logs + scale) - HALF_UNIT, 0.0))


class Reader:
    """Reads inputs of one panel; what does not depend on the origin is laid out once.

    Args:
        panel: The panel; negative units (returns above sales) are read as 0.
        window: Periods whose mean is a series' scale.
        codes: Numbers of the static words, by name, as fitted; a word that is missing there is NaN.
    """

    def __init__(self, panel: Panel, window: int, codes: dict[str, dict[str, int]]) -> None:
        self.panel, self.window = panel, window
        units = np.maximum(panel.target, 0.0)
        before = np.arange(units.shape[1])[None, :] < panel.start[:, None]
        self.units = np.where(before, np.nan, units)
        self.logs = np.log(self.units + HALF_UNIT)
        self.static = {
            name: np.array([codes[name].get(word, np.nan) for word in words], dtype=np.float64)
            for name, words in panel.static.items()
        }
        self.groups = {name: _numbered(words) for name, words in panel.static.items()}
        self.totals = {name: _group_mean(self.units, code) for name, code in self.groups.items()}
        self.relative = {
            (known, name): values - _group_mean(values, code)
            for known, values in panel.known.items()
            for name, code in self.groups.items()
        }
        self.unevenness = {
            (known, name): np.sqrt(_group_mean(self.relative[known, name] ** 2, code))
            for known in panel.known
            for name, code in self.groups.items()
        }
        self.spread = {name: max(_std(values), 1e-6) for name, values in panel.known.items()}
        self.season, self.month_day = _calendar(panel)

    def read(
        self, series: Int64, origins: Int64, steps: Sequence[int], hidden: npt.NDArray[np.bool_] | None = None
    ) -> Inputs:
        """Inputs of (series, origin) pairs.

        Args:
            series: int64 (b,), rows of the panel.
            origins: int64 (b,), index of the first period to forecast.
            steps: Steps ahead, 1 is the origin itself; the panel's times reach as far.
            hidden: bool (b,), pretend that no plan is known.

        Returns:
            The inputs.
        """
        hidden = np.zeros(len(series), dtype=np.bool_) if hidden is None else hidden
        parts = [
            self._read(series[at : at + CHUNK], origins[at : at + CHUNK], steps, hidden[at : at + CHUNK])
            for at in range(0, max(len(series), 1), CHUNK)
        ]
        return Inputs(
            values=np.concatenate([part.values for part in parts]),
            names=parts[0].names,
            log_scale=np.concatenate([part.log_scale for part in parts]),
            target=np.concatenate([part.target for part in parts]),
            units=np.concatenate([part.units for part in parts]),
        )

    def _read(
        self, series: Int64, origins: Int64, steps: Sequence[int], hidden: npt.NDArray[np.bool_]
    ) -> Inputs:
        row = series[:, None]
        ahead = origins[:, None] + np.asarray(steps)[None, :] - 1
        past = _window(self.units, row, origins, self.window)
        log_scale = np.log(np.maximum(_mean(past), MIN_SCALE) + HALF_UNIT)
        log_scale = np.where(np.isnan(log_scale), np.log(MIN_SCALE + HALF_UNIT), log_scale)
        base = log_scale[:, None]
        # Periods before the panel are not looked at: they would only cost time.
        memory = int(np.clip(origins.max(initial=1), max(self.window, LAGS), max(self.window, MEMORY)))
        logs = _window(self.logs, row, origins, memory) - base
        fixed: dict[str, FloatArray] = {name: code[series] for name, code in self.static.items()}
        fixed["log_scale"] = log_scale
        # Beyond a year age tells nothing, and at use it is always above what was learnt from.
        fixed["age"] = np.minimum(origins - self.panel.start[series], YEAR).astype(np.float64)
        fixed |= {f"lag_{k}": logs[:, -k] for k in range(1, LAGS + 1)}
        fixed |= {f"mean_{k}": _mean(logs[:, -k:]) for k in MEANS}
        fixed["spread"] = _deviation(logs[:, -self.window :])
        fixed["observed_share"] = np.isfinite(logs[:, -self.window :]).mean(axis=1)
        fixed["zero_share"] = _mean(np.where(np.isnan(past), np.nan, past == 0))
        for name, totals in self.totals.items():
            group = _window(totals, row, origins, self.window)
            usual = np.log(_mean(group) + HALF_UNIT)
            fixed |= {f"{name}_{k}": np.log(_mean(group[:, -k:]) + HALF_UNIT) - usual for k in (1, 4)}
        stepped: dict[str, FloatArray] = {"step": np.broadcast_to(np.asarray(steps, np.float64), ahead.shape)}
        for shift in (-1, 0, 1):
            stepped[f"year_ago_{shift:+d}"] = self._before(row, origins, ahead - YEAR + shift) - base
        year = self._before(row, origins, ahead - YEAR) - base
        stepped["year_change"] = year - _mean(_window(self.logs, row, origins - YEAR, 8) - base)[:, None]
        # A training origin near the end looks beyond the panel: its target is missing, and it is not used.
        within = np.minimum(ahead, len(self.panel.times) - 1)
        stepped["season_sin"], stepped["season_cos"] = self.season[0][within], self.season[1][within]
        stepped["month_day"] = self.month_day[within]
        plans: list[tuple[str, FloatArray]] = []
        for name, values in self.panel.known.items():
            plan = np.where(hidden[:, None], np.nan, self._at(values, row, ahead))
            before = _window(values, row, origins, self.window)
            stepped[name] = plan
            stepped[f"{name}_change"] = plan - _mean(before)[:, None]
            stepped[f"{name}_since_last"] = plan - before[:, -1:]
            stepped[f"{name}_step_before"] = np.where(
                hidden[:, None] & (ahead > origins[:, None]), np.nan, self._at(values, row, ahead - 1)
            )
            for among in self.groups:
                key = name, among
                for label, told in (("in", self.relative[key]), ("uneven_in", self.unevenness[key])):
                    there = self._at(told, row, ahead)
                    stepped[f"{name}_{label}_{among}"] = np.where(hidden[:, None], np.nan, there)
            plans.append((name, plan))
        for label, width in (("near", NARROW), ("wide", WIDE)):
            level, weight = self._like(row, origins, ahead.shape[1], plans, logs[:, -MEMORY:], width)
            stepped[f"like_{label}"], stepped[f"like_{label}_weight"] = level, weight
        shape = ahead.shape
        columns = [np.broadcast_to(value[:, None], shape) for value in fixed.values()] + list(
            stepped.values()
        )
        target = self._at(self.logs, row, ahead) - base
        return Inputs(
            values=np.stack(columns, axis=2).astype(np.float32),
            names=(*fixed, *stepped),
            log_scale=log_scale,
            target=target,
            units=self._at(self.units, row, ahead),
        )

    def _before(self, row: Int64, origins: Int64, columns: Int64) -> FloatArray:
        """Logarithms of units at columns; NaN from the origin on, where a step lies a year ahead or more."""
        return np.where(columns < origins[:, None], self._at(self.logs, row, columns), np.nan)

    @staticmethod
    def _at(values: FloatArray, row: Int64, columns: Int64) -> FloatArray:
        """Values at columns; NaN outside."""
        inside = (columns >= 0) & (columns < values.shape[1])
        return np.where(inside, values[row, np.clip(columns, 0, values.shape[1] - 1)], np.nan)

    def _like(
        self,
        row: Int64,
        origins: Int64,
        steps: int,
        plans: list[tuple[str, FloatArray]],
        logs: FloatArray,
        width: float,
    ) -> tuple[FloatArray, FloatArray]:
        """Mean of past log ratios, weighted by likeness of the plans then and now and by recency.

        Returns:
            The level (b, h), NaN without history, and the logarithm of the weights' sum (b, h).
        """
        age = np.arange(logs.shape[1], 0, -1) - 1
        recency = np.where(np.isnan(logs), 0.0, 0.5 ** (age / HALF_LIFE)[None, :])
        filled = np.nan_to_num(logs)
        levels, weights = [], []
        for step in range(steps):
            distance = np.zeros(logs.shape, dtype=np.float32)
            for name, plan in plans:
                then = _window(self.panel.known[name], row, origins, logs.shape[1])
                gap = (then - plan[:, step : step + 1]) / (width * self.spread[name])
                distance += np.nan_to_num(gap) ** 2
            weight = recency * np.exp(-0.5 * np.minimum(distance, 60.0))
            total = weight.sum(axis=1)
            levels.append(
                np.where(total > 1e-9, (weight * filled).sum(axis=1) / np.maximum(total, 1e-9), np.nan)
            )
            weights.append(np.log(total + 1e-3))
        return np.stack(levels, axis=1), np.stack(weights, axis=1)


def _window(values: FloatArray, row: Int64, origins: Int64, length: int) -> FloatArray:
    """Values of the `length` periods before each origin, (b, length); NaN before the first period."""
    columns = origins[:, None] + np.arange(-length, 0)[None, :]
    return np.where(columns >= 0, values[row, np.maximum(columns, 0)], np.nan)


def _mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    present = np.isfinite(values)
    count = present.sum(axis=-1)
    return np.where(count > 0, np.where(present, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _deviation(values: FloatArray) -> FloatArray:
    """Standard deviation over the last axis of what is not NaN; NaN where nothing is."""
    return np.sqrt(_mean((values - _mean(values)[..., None]) ** 2))


def _std(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.std()) if len(known) else 0.0


def _numbered(words: tuple[str, ...]) -> Int64:
    _, code = np.unique(np.array(words), return_inverse=True)
    return code.astype(np.int64)


def _group_mean(values: FloatArray, code: Int64) -> FloatArray:
    """Mean over the known members of each row's group, float64 (n, t); NaN where none is known."""
    total = np.zeros((int(code.max()) + 1, values.shape[1]))
    count = np.zeros_like(total)
    np.add.at(total, code, np.nan_to_num(values))
    np.add.at(count, code, np.isfinite(values))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[code]


def _calendar(panel: Panel) -> tuple[FloatArray, FloatArray]:
    """Time of year as sine and cosine (2, t), and day of the month (t,); NaN where steps are no days."""
    days = [step if isinstance(step, date) else None for step in panel.times]
    of_year = np.array([np.nan if day is None else day.timetuple().tm_yday for day in days], dtype=np.float64)
    of_month = np.array([np.nan if day is None else day.day for day in days], dtype=np.float64)
    angle = 2 * np.pi * of_year / 365.25
    return np.stack([np.sin(angle), np.cos(angle)]), of_month
