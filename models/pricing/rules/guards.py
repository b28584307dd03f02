"""Guard rails: what a target price may become, clamp by clamp, in integer cents.

Order: law and MAP, floor C(1+m_min), ceiling, step limits, dwell, rounding, change budget. An earlier rail
is stronger: each rail narrows the allowed interval of the rails before it and never widens it, so a step
limit cannot push a price below its floor. Law, floor and ceiling are hard: they hold even for prices that are
fixed, dwelling or outside the change budget. No target is chosen here and no text is built (`explanation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.pricing.config import GuardConfig

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NO_LAW_MAX = 2**53
_WHOLE = 10_000


@dataclass(frozen=True)
class GuardInputs:
    """One row a listing; the order of the rows breaks ties of the change budget.

    Attributes:
        target_cents: int64, what the policy asks for.
        current_cents: int64, price in force, at least 1.
        week_low_cents: int64, lowest price in force over the last seven days, at least 1.
        week_high_cents: int64, highest price in force over the last seven days.
        list_price_cents: int64, the listing's list price, at least 1.
        cost_cents: int64, cost of a unit, not negative.
        law_min_cents: int64, minimum advertised price, 0 when there is none.
        law_max_cents: int64, legal maximum, `NO_LAW_MAX` when there is none.
        days_since_change: float64, infinite when not known.
        gain_cents: float64, expected profit of the change; larger is served first by the change budget.
        is_fixed: bool, the merchant keeps the price.
        budget_group: int64, listings of one number share a change budget.
    """

    target_cents: IntArray
    current_cents: IntArray
    week_low_cents: IntArray
    week_high_cents: IntArray
    list_price_cents: IntArray
    cost_cents: IntArray
    law_min_cents: IntArray
    law_max_cents: IntArray
    days_since_change: FloatArray
    gain_cents: FloatArray
    is_fixed: BoolArray
    budget_group: IntArray


@dataclass(frozen=True)
class GuardStep:
    """One rail over all rows: `before_cents` and `after_cents` are int64 (n,), equal where it did nothing."""

    name: str
    before_cents: IntArray
    after_cents: IntArray


@dataclass(frozen=True)
class GuardResult:
    """Prices inside the rails.

    Attributes:
        price_cents: int64 (n,).
        floor_cents: int64 (n,), lowest allowed price after law and floor.
        ceiling_cents: int64 (n,), highest allowed price, never below the floor.
        is_forced: bool (n,), the price in force lies outside law, floor or ceiling: the move is theirs,
            however far it goes.
        is_ceiling_lifted: bool (n,), the floor lies above the ceiling and is the ceiling, too.
        steps: The rails in order.
    """

    price_cents: IntArray
    floor_cents: IntArray
    ceiling_cents: IntArray
    is_forced: BoolArray
    is_ceiling_lifted: BoolArray
    steps: list[GuardStep]


def apply_guards(inputs: GuardInputs, config: GuardConfig) -> GuardResult:
    """Clamp targets to the guard rails.

    Args:
        inputs: Targets and limits.
        config: Settings.

    Returns:
        Prices with the trace of every rail. Applying the rails to their own result changes nothing.

    Note:
        A legal maximum is stronger than MAP and than the floor: where it lies below them it is the floor.
    """
    price = np.where(inputs.is_fixed, inputs.current_cents, inputs.target_cents)
    steps: list[GuardStep] = []

    def take(name: str, after: IntArray) -> None:
        nonlocal price
        steps.append(GuardStep(name, price, after))
        price = after

    low = np.minimum(np.maximum(inputs.law_min_cents, 1), inputs.law_max_cents)
    take("law", np.clip(price, low, inputs.law_max_cents))

    floor = _ceil_rate(inputs.cost_cents, _WHOLE + config.min_margin_bps)
    low = np.minimum(np.maximum(low, floor), inputs.law_max_cents)
    take("floor", np.maximum(price, low))

    ceiling = inputs.list_price_cents * (_WHOLE + config.ceiling_bps) // _WHOLE
    high = np.maximum(np.minimum(inputs.law_max_cents, ceiling), low)
    is_lifted = ceiling < low
    take("ceiling", np.minimum(price, high))
    hard_low, hard_high = low, high

    low, high = _narrow(
        low,
        high,
        _ceil_rate(inputs.current_cents, _WHOLE - config.step_bps),
        inputs.current_cents * (_WHOLE + config.step_bps) // _WHOLE,
    )
    take("step", np.clip(price, low, high))

    week_low = _ceil_rate(inputs.week_high_cents, _WHOLE - config.week_step_bps)
    week_high = inputs.week_low_cents * (_WHOLE + config.week_step_bps) // _WHOLE
    # After a swing wider than the limit no move is allowed until the week has passed.
    stuck = week_low > week_high
    low, high = _narrow(
        low,
        high,
        np.where(stuck, inputs.current_cents, week_low),
        np.where(stuck, inputs.current_cents, week_high),
    )
    take("week_step", np.clip(price, low, high))

    held = np.clip(inputs.current_cents, hard_low, hard_high)
    dwells = inputs.days_since_change < config.dwell_days
    low, high = np.where(dwells, held, low), np.where(dwells, held, high)
    take("dwell", np.where(dwells, held, price))

    # Rounding may not turn a rise into a cut, so it stops at the current price.
    nearest_low = np.where(price > inputs.current_cents, np.maximum(low, inputs.current_cents), low)
    nearest_high = np.where(price < inputs.current_cents, np.minimum(high, inputs.current_cents), high)
    rounded = round_to_endings(price, nearest_low, nearest_high, config)
    take("rounding", np.where(price == inputs.current_cents, price, rounded))

    forced = held != inputs.current_cents
    allowed = _within_budget(
        price != inputs.current_cents, forced, inputs.gain_cents, inputs.budget_group, config
    )
    take("change_budget", np.where(allowed, price, inputs.current_cents))
    return GuardResult(price, hard_low, hard_high, forced, is_lifted, steps)


def round_to_endings(price: IntArray, low: IntArray, high: IntArray, config: GuardConfig) -> IntArray:
    """Nearest price with an allowed ending inside [low, high]; the lower one on a tie.

    Args:
        price: int64 (n,), cents, inside [low, high].
        low: int64 (n,).
        high: int64 (n,).
        config: Endings and their unit.

    Returns:
        int64 (n,); the price itself where no allowed ending lies in the interval.
    """
    unit = config.ending_unit_cents
    best = price
    best_distance = np.full(len(price), NO_LAW_MAX, dtype=np.int64)
    for ending in sorted(config.price_endings):
        below = (price - ending) // unit * unit + ending
        for candidate in (below, below + unit):
            distance = np.abs(candidate - price)
            better = (distance < best_distance) | ((distance == best_distance) & (candidate < best))
            better &= (candidate >= low) & (candidate <= high)
            best = np.where(better, candidate, best)
            best_distance = np.where(better, distance, best_distance)
    return best


def _ceil_rate(cents: IntArray, bps: int) -> IntArray:
    """Amount * bps / 10000, rounded up, in integers."""
    return -(-cents * bps // _WHOLE)


def _narrow(
    low: IntArray, high: IntArray, new_low: IntArray, new_high: IntArray
) -> tuple[IntArray, IntArray]:
    """The part of [new_low, new_high] inside [low, high]; the nearest edge where they do not meet."""
    return np.clip(new_low, low, high), np.clip(new_high, low, high)


def _within_budget(
    changes: BoolArray, is_forced: BoolArray, gain: FloatArray, group: IntArray, config: GuardConfig
) -> BoolArray:
    """Rows whose price may change: forced ones always, the others by gain while their group's budget lasts.

    A budget is rounded up, so that one listing of a small group may change.
    """
    allowed = is_forced.copy()
    if not len(changes):
        return allowed
    _, place = np.unique(group, return_inverse=True)
    size = np.bincount(place)
    budget = -(-size * config.change_budget_bps // _WHOLE)
    left = np.maximum(budget - np.bincount(place, weights=is_forced).astype(np.int64), 0)
    wanted = np.flatnonzero(changes & ~is_forced)
    ranked = wanted[np.lexsort((-gain[wanted], place[wanted]))]
    within = place[ranked]
    first = np.searchsorted(within, within)
    allowed[ranked[np.arange(len(ranked)) - first < left[within]]] = True
    return allowed
