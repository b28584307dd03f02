"""The ladder of supervision: how signs make a score, which response a score asks for, how a case goes on.

Standard library only, so that whoever keeps the cases may import it. Weights, lines and days are assumptions
of ours, and settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from math import prod
from typing import Any, Literal

WEIGHTS: Mapping[str, float] = {
    "price": 0.4,
    "authorisation": 0.5,
    "title": 0.45,
    "image": 0.6,
    "complaints": 0.7,
    "batch_unknown": 0.6,
    "batch_oversold": 0.6,
    "invoice_shared": 0.6,
    "invoice_oversold": 0.6,
}
"""Sign to the score that it alone gives at full strength; a price alone asks for nothing."""

STANDING_SIGNS = frozenset({"price", "authorisation", "title", "image"})
"""Signs of how a listing is, not of what happened: once cleared they are quiet for a while. Of what happens,
only what happened before the decision is answered."""


class Level(IntEnum):
    """What is done about a listing of a merchant or an offer of a supplier."""

    FREE = 0
    ASK = 1
    """Papers are asked for; it goes on selling."""
    HOLD = 2
    """Nothing of it is sold."""
    DELIST = 3
    """Nor may it be put on sale again; a deposit may be asked for."""


Cause = Literal["signs", "papers_overdue", "unanswered", "clean_days", "cleared"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign against a listing.

    Attributes:
        name: A key of `WEIGHTS`.
        strength: From 0 to 1.
        facts: The numbers and names behind it.
    """

    name: str
    strength: float
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """Lines and days; a line must be exceeded, a count or a moment reached.

    Attributes:
        weights: Sign to its weight, each in [0, 1).
        ask: Score above which papers are asked for.
        hold: Score above which it is held.
        delist: Score above which it is taken off.
        hold_signs: Different signs that a hold needs: no single one stops a sale.
        delist_signs: Different signs that taking off needs.
        papers_days: Days to send papers; without them it is held.
        answer_days: Days to answer a hold; without an answer it is taken off.
        clean_days: Days without a score above `ask` after which a request for papers lapses.
        quiet_days: Days for which a standing sign that a person cleared counts no more against the listing.
        decide_days: Days in which the platform decides about what was sent.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    ask: float = 0.4
    hold: float = 0.65
    delist: float = 0.9
    hold_signs: int = 2
    delist_signs: int = 3
    papers_days: int = 7
    answer_days: int = 14
    clean_days: int = 14
    quiet_days: int = 180
    decide_days: int = 3

    def __post_init__(self) -> None:
        """Check the rules.

        Raises:
            ValueError: A weight is unknown or out of range, the lines do not rise, or days are below 1.
        """
        if self.weights.keys() != WEIGHTS.keys():
            raise ValueError(f"supervision: the weights name each of {', '.join(sorted(WEIGHTS))} once")
        if not all(0 <= weight < 1 for weight in self.weights.values()):
            raise ValueError("supervision: every weight must lie in [0, 1)")
        if not 0 < self.ask <= self.hold <= self.delist < 1:
            raise ValueError("supervision: 0 < ask <= hold <= delist < 1 must hold")
        if not 1 <= self.hold_signs <= self.delist_signs:
            raise ValueError("supervision: 1 <= hold_signs <= delist_signs must hold")
        if min(self.papers_days, self.answer_days, self.clean_days, self.quiet_days, self.decide_days) < 1:
            raise ValueError("supervision: days must be at least 1")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands.

    Attributes:
        level: What is done.
        due_at: Until when the party must answer; None while its word waits for a decision, and of what was
            taken off.
        clean_since: Since when the newest score asks for nothing.
        has_word: Whether the party's word waits for a decision: then only new signs move anything.
    """

    level: Level
    due_at: datetime | None = None
    clean_since: datetime | None = None
    has_word: bool = False


def score_of(signs: Iterable[Sign], rules: Rules) -> float:
    """That not every sign is a coincidence, were they independent: 1 - prod(1 - weight x strength).

    >>> round(score_of([Sign("price", 1.0, {}), Sign("authorisation", 1.0, {})], Rules()), 4)
    0.7
    """
    return 1 - prod(1 - rules.weights[sign.name] * sign.strength for sign in signs)


def level_of(signs: Iterable[Sign], rules: Rules) -> Level:
    """What the signs ask for.

    Args:
        signs: At most one of a name.
        rules: Weights and lines.
    """
    found = [sign for sign in signs if sign.strength > 0]
    score = score_of(found, rules)
    if score > rules.delist and len(found) >= rules.delist_signs:
        return Level.DELIST
    if score > rules.hold and len(found) >= rules.hold_signs:
        return Level.HOLD
    return Level.ASK if score > rules.ask else Level.FREE


def due_after(level: Level, now: datetime, rules: Rules) -> datetime | None:
    """Until when the party must answer what was just done."""
    if level == Level.ASK:
        return now + timedelta(days=rules.papers_days)
    return now + timedelta(days=rules.answer_days) if level == Level.HOLD else None


def next_standing(
    standing: Standing, found: Level, now: datetime, rules: Rules
) -> tuple[Standing, Cause | None]:
    """How a case goes on: up at once; up by one when the party stays silent; a request for papers lapses.

    What is held or taken off stays so until a person decides, whatever the newest signs are: a price that was
    put up after a hold proves nothing. The same finding at the same moment again changes nothing.

    Args:
        standing: Where it stands.
        found: What the newest signs ask for.
        now: When they were found, aware UTC.
        rules: Days.

    Returns:
        Where it stands then, and why its level moved; None where it did not.
    """
    clean_since = None if found > Level.FREE else standing.clean_since or now
    if found > standing.level:
        due = None if standing.has_word else due_after(found, now, rules)
        return replace(standing, level=found, due_at=due, clean_since=None), "signs"
    kept = replace(standing, clean_since=clean_since)
    if standing.has_word or standing.level in (Level.FREE, Level.DELIST):
        return kept, None
    if clean_since is not None:
        lapses = standing.level == Level.ASK and now - clean_since >= timedelta(days=rules.clean_days)
        return (replace(kept, level=Level.FREE, due_at=None), "clean_days") if lapses else (kept, None)
    if standing.due_at is not None and standing.due_at <= now:
        level = Level(standing.level + 1)
        cause: Cause = "papers_overdue" if level == Level.HOLD else "unanswered"
        return replace(kept, level=level, due_at=due_after(level, now, rules)), cause
    return kept, None
