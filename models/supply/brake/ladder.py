"""The ladder of the quality brake: which level an estimate asks for, and how a held level moves.

Standard library only, so that whoever keeps the levels may import it. Source: a published case of a
community seller, where a complaint rate of 30 days above the alarm value of the category starts an
improvement by five departments; the four levels, their thresholds and days are ours, and settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal

QUALITY_REASONS = frozenset({"quality", "damaged", "defective", "spoiled", "质量问题", "破损", "变质"})
"""Reason codes of after-sales that blame the goods, unless a setting says otherwise."""
SAFETY_REASONS = frozenset({"safety", "injury", "allergy", "food_poisoning", "安全问题", "过敏", "食物中毒"})
"""Reason codes that tell of harm."""


class Level(IntEnum):
    """How hard the brake holds a sku."""

    FREE = 0
    WATCH = 1
    """It is looked at; nothing is held back."""
    LIMIT = 2
    """No promotion, half the exposure, samples are inspected."""
    STOP = 3
    """No new sale and no reorder."""
    RECALL = 4
    """Delisted, its buyers are to be told, its supplier is frozen."""


Reason = Literal[
    "safety_complaint",
    "above_recall_line",
    "above_stop_line",
    "above_limit_line",
    "surely_above_line",
    "likely_above_line",
    "below_line",
]


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds of the ladder; a threshold must be exceeded, a count reached.

    Attributes:
        watch_probability: Level 1 above this probability that the rate lies above the line.
        limit_probability: Level 2 above this one.
        limit_lines: Or where the expected rate exceeds so many lines.
        stop_lines: Level 3 above so many.
        recall_lines: Level 4 above so many.
        least_orders: Orders in the window that levels 3 and 4 need, but for a complaint about safety.
        least_complaints: Complaints that level 2 and more need: one alone is watched at most.
        clean_days: Days without the held level's cause after which it falls by one.
    """

    watch_probability: float = 0.8
    limit_probability: float = 0.95
    limit_lines: float = 1.5
    stop_lines: float = 2.0
    recall_lines: float = 3.0
    least_orders: int = 30
    least_complaints: int = 2
    clean_days: int = 14

    def __post_init__(self) -> None:
        """Check the thresholds.

        Raises:
            ValueError: They do not rise from level to level, or a count is below 1.
        """
        if not 0 < self.watch_probability <= self.limit_probability < 1:
            raise ValueError("brake: 0 < watch_probability <= limit_probability < 1 must hold")
        if not 0 < self.limit_lines <= self.stop_lines <= self.recall_lines:
            raise ValueError("brake: 0 < limit_lines <= stop_lines <= recall_lines must hold")
        if min(self.least_orders, self.least_complaints, self.clean_days) < 1:
            raise ValueError("brake: least_orders, least_complaints and clean_days must be at least 1")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of the complaint rate of a sku.

    Attributes:
        mean: Expected rate, complaints of quality a delivered unit.
        above: Probability that the rate lies above the line.
        line: Alarm line of the category.
        orders: Orders delivered in the window.
        complaints: Complaints of quality about them.
        safety: Complaints about safety in the window.
    """

    mean: float
    above: float
    line: float
    orders: int
    complaints: int
    safety: int


@dataclass(frozen=True, slots=True)
class Held:
    """A level as it is held; `clean_since` is when its cause was first gone, None while it lasts."""

    level: Level
    clean_since: datetime | None = None


def level_of(found: Estimate, rules: Rules) -> tuple[Level, Reason]:
    """The level that an estimate asks for, and the rule that says so.

    Args:
        found: The estimate.
        rules: Thresholds.
    """
    if found.safety > 0:
        return Level.RECALL, "safety_complaint"
    lines = found.mean / found.line
    if found.complaints >= rules.least_complaints:
        if found.orders >= rules.least_orders:
            if lines > rules.recall_lines:
                return Level.RECALL, "above_recall_line"
            if lines > rules.stop_lines:
                return Level.STOP, "above_stop_line"
        if lines > rules.limit_lines:
            return Level.LIMIT, "above_limit_line"
        if found.above > rules.limit_probability:
            return Level.LIMIT, "surely_above_line"
    if found.above > rules.watch_probability:
        return Level.WATCH, "likely_above_line"
    return Level.FREE, "below_line"


def next_held(held: Held, found: Level, now: datetime, rules: Rules) -> Held:
    """How a held level goes on: up at once, down by one after the clean days.

    The same finding at the same moment again changes nothing.

    Args:
        held: The level as it is held.
        found: The level that the newest estimate asks for.
        now: When that estimate was made, aware UTC.
        rules: How many days are clean.
    """
    if found >= held.level:
        return Held(found)
    since = held.clean_since or now
    if now - since < timedelta(days=rules.clean_days):
        return Held(held.level, since)
    below = Level(held.level - 1)
    return Held(below, now if found < below else None)


def released(held: Held) -> Held:
    """The level after a closed improvement case: one lower."""
    return Held(Level(max(held.level - 1, 0)))
