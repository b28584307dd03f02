"""Settings of the grades: what is measured, how it weighs, where the lines lie. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FAULT_REASONS = frozenset(
    {
        "quality", "damaged", "defective", "spoiled", "wrong_item", "not_as_described",
        "质量问题", "破损", "变质", "发错货", "与描述不符",
    }
)  # fmt: skip
"""Reason codes of after-sales that are the supplier's fault; a complaint always is."""

GRADES = ("A", "B", "C", "D")
"""Best first."""


@dataclass(frozen=True)
class Signal:
    """One thing that is measured of a channel.

    Attributes:
        name: Its name in evidence and explanations.
        part: The part of the score that it belongs to.
        kind: `rate`: hits among trials, Beta-Binomial; `log`: mean of logs, normal.
        weight: Share of its part.
        best: Value at which it gives everything.
        worst: Value at which it gives nothing; in between it is linear.
        is_relative: The value is taken as its distance from the category's mean.
        default_mean: Mean of the prior where nobody has any evidence to learn one from.
    """

    name: str
    part: Literal["quality", "fulfilment", "price"]
    kind: Literal["rate", "log"]
    weight: float
    best: float
    worst: float
    is_relative: bool = False
    default_mean: float = 0.0


SIGNALS = (
    Signal("fault", "quality", "rate", 0.85, 0.0, 0.10, default_mean=0.03),
    Signal("held", "quality", "rate", 0.15, 0.0, 0.10, default_mean=0.01),
    Signal("late", "fulfilment", "rate", 0.60, 0.0, 0.30, default_mean=0.10),
    Signal("days_late", "fulfilment", "log", 0.20, 0.0, 2.0, default_mean=0.9),
    Signal("short", "fulfilment", "rate", 0.10, 0.0, 0.30, default_mean=0.05),
    Signal("declined", "fulfilment", "rate", 0.10, 0.0, 0.30, default_mean=0.05),
    Signal("offers", "price", "log", 0.60, -0.20, 0.20),
    Signal("market", "price", "log", 0.25, -0.20, 0.20, is_relative=True),
    Signal("moves", "price", "rate", 0.15, 0.0, 0.50, default_mean=0.10),
)
"""Faulty lines of those sold; held skus of those sold; parcels and purchase lines late of those due, and
log(1 + days late) of the late ones; lines of purchase orders and of customers' orders short, and declined;
log of the price over the others' offers and over the market; changes of price beyond 3% of all versions."""


@dataclass(frozen=True)
class GradingConfig:
    """Settings of a grading.

    Attributes:
        weights: Weight of each part of the score; parts without any evidence at all leave theirs to the rest.
        half_life_days: After so many days a piece of evidence counts half.
        interval: Content of the two-sided intervals; the lower bound is their lower end.
        lines: Least lower bound of each grade but the last, best first.
        periods_below: Periods in a row below its line before a channel goes down, by one grade.
        quality_floor: A channel whose fault rate lies above it, even at the lower end, is gated.
        least_channels: A category learns a prior of its own from so many channels with evidence.
        least_trials: ... and so many pieces of evidence.
        price_days: Days of offers and of rivals' prices that are looked at.
        move: Least change of a price, as a share, that counts as a move.
        fault_reasons: Reason codes of after-sales that are the supplier's fault.

    Raises:
        ValueError: Weights, lines or counts contradict each other; the message says which.
    """

    weights: dict[str, float] = field(
        default_factory=lambda: {"quality": 0.40, "fulfilment": 0.35, "price": 0.25}
    )
    half_life_days: float = 60.0
    interval: float = 0.90
    lines: tuple[float, float, float] = (0.75, 0.60, 0.45)
    periods_below: int = 2
    quality_floor: float = 0.30
    least_channels: int = 5
    least_trials: float = 50.0
    price_days: int = 180
    move: float = 0.03
    fault_reasons: frozenset[str] = FAULT_REASONS

    def __post_init__(self) -> None:
        if (
            set(self.weights) != {"quality", "fulfilment", "price"}
            or abs(sum(self.weights.values()) - 1) > 1e-9
        ):
            raise ValueError(f"weights of quality, fulfilment and price must sum to 1, got {self.weights}")
        if not 1 > self.lines[0] > self.lines[1] > self.lines[2] > 0:
            raise ValueError(f"the lines of A, B and C must fall between 1 and 0, got {self.lines}")
        if not 0 < self.interval < 1 or self.half_life_days <= 0 or self.periods_below < 1:
            raise ValueError("interval must lie in 0..1, half_life_days above 0, periods_below at 1 or more")
