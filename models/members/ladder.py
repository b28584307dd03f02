"""The ladder of members' levels: up at once, down after a period, with notice. Pure, standard library only.

A level is held for a period. Who has the growth of a higher level goes up on the day itself. Who has less
than the level asks keeps it until the period is over; towards its end the member is at risk, and is to be
told. Down goes who is still below when the period and the days of grace are over, and who was told long
enough before; whoever was not told stays.

Source: levels and periods as the design names them; the numbers of a programme are data of the tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum
from typing import Literal


class Level(IntEnum):
    """Levels, from below."""

    ORDINARY = 0
    SILVER = 1
    GOLD = 2
    DIAMOND = 3

    @property
    def word(self) -> str:
        """As documents and answers name it."""
        return self.name.lower()


Cause = Literal["joined", "up", "down", "growth", "at_risk", "safe", "renewed"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How members move.

    Attributes:
        thresholds: Growth value from which on a level is reached; `ORDINARY` at 0, rising with the level.
        period_days: How long a level is held at least.
        notice_days: So many days before the end of a period a member below it is at risk; and so long after
            being told the level stays.
        grace_days: Days after the end of the period in which the growth may still be made up for.
    """

    thresholds: Mapping[Level, int]
    period_days: int
    notice_days: int
    grace_days: int

    def reached(self, growth: int) -> Level:
        """The highest level that so much growth reaches."""
        return max(level for level, least in self.thresholds.items() if growth >= least)

    def to_next(self, level: Level, growth: int) -> int | None:
        """Growth that is missing to the next level above; None: there is none."""
        above = [least for other, least in self.thresholds.items() if other > level]
        return max(min(above) - growth, 0) if above else None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member stands.

    Attributes:
        level: The level held.
        growth: Growth value of the last day that was closed.
        spell: Number of the stay on this level, from 1.
        since: Local day on which it began.
        period_ends_on: Local day on which its period is over.
        at_risk_since: Local day since which the growth is below the level and the end of the period near;
            None: not at risk.
    """

    level: Level
    growth: int
    spell: int
    since: date
    period_ends_on: date
    at_risk_since: date | None


def move(held: Standing | None, growth: int, rules: Rules, today: date, told_on: date | None) -> Standing:
    """Where a member stands after a day; the same day with the same growth again changes nothing.

    Args:
        held: Where the member stood; None: not a member yet.
        growth: Growth value of the day.
        rules: Of the programme in force.
        today: Local day that is closed.
        told_on: Local day on which the member was told since being at risk; None: nobody told.
    """
    reached = rules.reached(growth)
    period = timedelta(days=rules.period_days)
    if held is None:
        return Standing(reached, growth, 1, today, today + period, None)
    if reached > held.level:
        return Standing(reached, growth, held.spell + 1, today, today + period, None)
    if reached == held.level:
        ends = held.period_ends_on
        while ends <= today:
            ends += period
        return replace(held, growth=growth, period_ends_on=ends, at_risk_since=None)
    if today < held.period_ends_on - timedelta(days=rules.notice_days):
        return replace(held, growth=growth, at_risk_since=None)
    since = held.at_risk_since or today
    is_over = today >= held.period_ends_on + timedelta(days=rules.grace_days)
    is_told = told_on is not None and today >= told_on + timedelta(days=rules.notice_days)
    if is_over and is_told:
        return Standing(reached, growth, held.spell + 1, today, today + period, None)
    return replace(held, growth=growth, at_risk_since=since)


def cause_of(before: Standing | None, after: Standing) -> Cause | None:
    """What a move was; None: nothing moved."""
    if before is None:
        return "joined"
    if after.level != before.level:
        return "up" if after.level > before.level else "down"
    if (after.at_risk_since is None) != (before.at_risk_since is None):
        return "safe" if after.at_risk_since is None else "at_risk"
    if after.period_ends_on != before.period_ends_on:
        return "renewed"
    return "growth" if after.growth != before.growth else None
