"""What a training brought: those drawn for a seat against those in the same lot who were not.

Trainings of one course are taken together: within each lot what a party sold afterwards is regressed on
whether it was drawn and on what it sold before (least squares with a constant a lot, errors by HC1). A lot
makes both groups alike, so the difference is caused by the seat. Pure; standard library only.

Source: Lin (2013), Annals of Applied Statistics 7(1); MacKinnon, White (1985), Journal of Econometrics 29.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from models.experiments.comparison import FEWEST, t_quantile

Word = Literal["too_few", "gain", "loss", "not_shown"]


@dataclass(frozen=True)
class Unit:
    """A party in a lot.

    Attributes:
        lot: Which lot.
        level: Level of the party.
        is_drawn: Whether it got a seat.
        after_cents: Net sales after the training.
        before_cents: Net sales of as many months before it.
    """

    lot: str
    level: str
    is_drawn: bool
    after_cents: int
    before_cents: int


@dataclass(frozen=True)
class Lift:
    """What a seat brought.

    Attributes:
        drawn: Parties with a seat.
        not_drawn: Parties without.
        cents: Net sales of a party with a seat more than without; None while there are too few.
        low: Lower end of its 95% interval.
        high: Upper end.
        share: `cents` as a share of what parties without a seat sold; None where they sold nothing.
        word: `too_few`; `gain` or `loss` where the interval leaves out 0; else `not_shown`.
    """

    drawn: int
    not_drawn: int
    cents: float | None
    low: float | None
    high: float | None
    share: float | None
    word: Word


def lift_of(units: Iterable[Unit]) -> Lift:
    """What a seat brought over all lots; `too_few` with fewer than ten parties on either side."""
    listed = list(units)
    drawn = sum(unit.is_drawn for unit in listed)
    lots = len({unit.lot for unit in listed})
    freedom = len(listed) - lots - 2
    if min(drawn, len(listed) - drawn) < FEWEST or freedom < FEWEST:
        return _nothing(drawn, len(listed))
    after = _within([(unit.lot, unit.after_cents) for unit in listed])
    before = _within([(unit.lot, unit.before_cents) for unit in listed])
    seat = _within([(unit.lot, float(unit.is_drawn)) for unit in listed])
    slope = _slope(before, seat)
    # The effect is the slope on what is left of the seat beyond what was sold before (Frisch, Waugh, Lovell).
    alone = [s - slope * b for s, b in zip(seat, before, strict=True)]
    weight = sum(one * one for one in alone)
    if weight <= 0:
        return _nothing(drawn, len(listed))
    cents = sum(a * s for a, s in zip(after, alone, strict=True)) / weight
    rest = [y - cents * s for y, s in zip(after, seat, strict=True)]
    theta = _slope(before, rest)
    left = [r - theta * b for r, b in zip(rest, before, strict=True)]
    spread = sum((e * s) ** 2 for e, s in zip(left, alone, strict=True)) * len(listed) / freedom
    reach = t_quantile(0.975, freedom) * sqrt(spread) / weight
    low, high = cents - reach, cents + reach
    without = [unit.after_cents for unit in listed if not unit.is_drawn]
    sold = sum(without) / len(without)
    word: Word = "gain" if low > 0 else "loss" if high < 0 else "not_shown"
    return Lift(drawn, len(without), cents, low, high, cents / sold if sold > 0 else None, word)


def _nothing(drawn: int, parties: int) -> Lift:
    return Lift(drawn, parties - drawn, None, None, None, None, "too_few")


def _within(values: Sequence[tuple[str, float]]) -> list[float]:
    """Values less the mean of their lot."""
    by_lot: dict[str, list[float]] = defaultdict(list)
    for lot, value in values:
        by_lot[lot].append(value)
    means = {lot: sum(found) / len(found) for lot, found in by_lot.items()}
    return [value - means[lot] for lot, value in values]


def _slope(on: Sequence[float], of: Sequence[float]) -> float:
    """Slope of the second on the first; 0 where the first does not vary."""
    weight = sum(one * one for one in on)
    return sum(a * b for a, b in zip(on, of, strict=True)) / weight if weight > 0 else 0.0
