"""Global temporal splits: rolling cuts for evaluation and purged origins for supervised training.

One rule for every family: what is known at an origin is everything at or before it, the window that is
predicted is everything after it up to its end, `(origin, end]`. Sampling, metrics and models live elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from models.errors import InsufficientDataError


@dataclass(frozen=True)
class Cut:
    """One evaluation cut.

    Attributes:
        origin: The moment of knowledge, UTC; rows at or before it may be used.
        end: Last moment of the window that is predicted, UTC, inclusive.
    """

    origin: datetime
    end: datetime

    @property
    def horizon(self) -> timedelta:
        """Length of the window that is predicted."""
        return self.end - self.origin

    def known(self, time_column: str) -> pl.Expr:
        """The filter of what is known at the origin."""
        return pl.col(time_column) <= self.origin

    def window(self, time_column: str) -> pl.Expr:
        """The filter of the window that is predicted."""
        return (pl.col(time_column) > self.origin) & (pl.col(time_column) <= self.end)


@dataclass(frozen=True)
class Steps:
    """One evaluation cut of a panel: steps before `origin` are known, `origin` to `end - 1` are predicted.

    Attributes:
        origin: First step that is predicted.
        end: The step after the last one that is predicted.
    """

    origin: int
    end: int


def rolling_steps(n_steps: int, horizon: int, count: int, *, stride: int | None = None) -> list[Steps]:
    """Cuts of a panel whose last window ends with its last step, oldest first.

    Args:
        n_steps: Steps with a target.
        horizon: Steps a window.
        count: Number of cuts.
        stride: Steps between neighbouring origins; the horizon by default, so that windows do not overlap.

    Raises:
        ValueError: A number is not positive.
        InsufficientDataError: The oldest origin would have nothing before it.

    >>> rolling_steps(10, 2, 3)
    [Steps(origin=4, end=6), Steps(origin=6, end=8), Steps(origin=8, end=10)]
    """
    stride = horizon if stride is None else stride
    if count < 1 or horizon < 1 or stride < 1:
        raise ValueError("rolling_steps: count, horizon and stride must be positive")
    first = n_steps - horizon - stride * (count - 1)
    if first < 1:
        raise InsufficientDataError(
            f"{n_steps} steps are too few for {count} cuts of {horizon} steps, {stride} apart; "
            "the simple rule should serve until more has come in"
        )
    return [Steps(origin, origin + horizon) for origin in range(first, n_steps - horizon + 1, stride)]


def rolling_cuts(
    as_of: datetime,
    horizon: timedelta,
    count: int,
    *,
    step: timedelta | None = None,
    earliest: datetime | None = None,
    min_history: timedelta = timedelta(0),
) -> list[Cut]:
    """Cuts whose last window ends at `as_of`, oldest first.

    Args:
        as_of: End of the newest window, tz-aware UTC.
        horizon: Length of each window.
        count: Number of cuts.
        step: Distance of neighbouring origins; the horizon by default, so that windows do not overlap.
        earliest: Time of the first row. With it, each origin must have `min_history` before it.
        min_history: Shortest history that an origin needs.

    Returns:
        `count` cuts, oldest first.

    Raises:
        ValueError: A length or count is not positive, or a time has no zone.
        InsufficientDataError: The data starts too late for the oldest cut.
    """
    step = horizon if step is None else step
    if count < 1 or horizon <= timedelta(0) or step <= timedelta(0):
        raise ValueError("rolling_cuts: count, horizon and step must be positive")
    _require_zone(as_of)
    ends = [as_of - step * back for back in range(count - 1, -1, -1)]
    cuts = [Cut(end - horizon, end) for end in ends]
    if earliest is not None:
        _require_zone(earliest)
        if cuts[0].origin - earliest < min_history or cuts[0].origin < earliest:
            raise InsufficientDataError(
                f"the data starts at {earliest:%Y-%m-%d}, the oldest of {count} cuts has its origin at "
                f"{cuts[0].origin:%Y-%m-%d} and needs {min_history.days} days of history before it; "
                "the simple rule should serve until more has come in"
            )
    return cuts


def training_origins(
    origin: datetime,
    horizon: timedelta,
    count: int,
    *,
    step: timedelta | None = None,
    purge: timedelta = timedelta(0),
    earliest: datetime | None = None,
) -> list[datetime]:
    """Origins of labelled training examples for a model that is used at `origin`, newest first.

    The label window of every returned origin has ended by `origin - purge`, so that no label reaches into
    the window that is predicted.

    Args:
        origin: Where the model is used.
        horizon: Length of the label window.
        count: At most this many.
        step: Distance of neighbouring origins; the horizon by default.
        purge: Extra distance between the last label and `origin`.
        earliest: Origins before it are left out.

    Returns:
        Up to `count` origins, newest first; fewer where `earliest` cuts them off.

    Raises:
        ValueError: A length or count is not positive, or the purge is negative.
    """
    step = horizon if step is None else step
    if count < 1 or horizon <= timedelta(0) or step <= timedelta(0) or purge < timedelta(0):
        raise ValueError("training_origins: count, horizon and step must be positive, purge not negative")
    origins = [origin - purge - horizon - step * back for back in range(count)]
    return [one for one in origins if earliest is None or one >= earliest]


def _require_zone(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; times are UTC here")
