"""Who gets a seat in a training: by churn risk times margin times measured lift, and by lot. Pure.

As long as no gain is measured half of the seats, rounded up, go by lot: only a lot tells what a seat brings.
Once a gain is measured every seat goes by the score; a level in which the training brings a loss gets none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.experiments.assignment import draw
from models.reviews.lift import Lift

Way = Literal["score", "lot", "not_drawn"]


@dataclass(frozen=True)
class Candidate:
    """A party that could get a seat.

    Attributes:
        party_id: The party.
        level: Its level.
        churn_risk: Chance that it sells nothing in a month; 0 to 1.
        worth_cents: What it brings in a month.
    """

    party_id: str
    level: str
    churn_risk: float
    worth_cents: int


@dataclass(frozen=True)
class Place:
    """What came of a candidate.

    Attributes:
        party_id: The party.
        level: Its level.
        churn_risk: As of the candidate.
        worth_cents: As of the candidate.
        lift: Share that a seat adds, as measured; 1 as long as nothing is.
        score: churn_risk x worth_cents x lift.
        drawn: Its number in [0, 1) in the lot; None for a seat by score.
        way: By score, by lot, or in the lot and not drawn.
    """

    party_id: str
    level: str
    churn_risk: float
    worth_cents: int
    lift: float
    score: float
    drawn: float | None
    way: Way


def allot(
    candidates: Sequence[Candidate],
    seats: int,
    of_all: Lift,
    by_level: Mapping[str, Lift],
    seed: str,
) -> list[Place]:
    """Give the seats.

    Args:
        candidates: Parties, each once.
        seats: How many seats there are.
        of_all: What the course brought so far.
        by_level: The same by level.
        seed: Salt of the lot: number of a party is the hash of seed and party.

    Returns:
        Every candidate: seats by score first, then by lot, then who was not drawn; but those of a level with
        a measured loss, who get no seat and take part in no lot.
    """
    is_measured = of_all.word == "gain" and of_all.share is not None
    scored = [
        (one, share, one.churn_risk * one.worth_cents * share)
        for one in candidates
        for share in (_share(of_all, by_level.get(one.level)) if is_measured else 1.0,)
    ]
    scored.sort(key=lambda row: (-row[2], row[0].party_id))
    wanted = seats if is_measured else seats // 2
    by_score = [row for row in scored[:wanted] if row[2] > 0]
    rest = scored[len(by_score) :]
    harmed = {level for level, lift in by_level.items() if is_measured and lift.word == "loss"}
    numbered = sorted(
        ((draw("training", seed, row[0].party_id), row) for row in rest if row[0].level not in harmed),
        key=lambda pair: (pair[0], pair[1][0].party_id),
    )
    left = seats - len(by_score)
    return [
        *(_place(row, None, "score") for row in by_score),
        *(
            _place(row, number, "lot" if place < left else "not_drawn")
            for place, (number, row) in enumerate(numbered)
        ),
    ]


def _share(of_all: Lift, of_level: Lift | None) -> float:
    """The share that a seat adds: of the level where that is measured, else of all."""
    found = of_all if of_level is None or of_level.word in {"too_few", "not_shown"} else of_level
    return max(found.share or 0.0, 0.0)


def _place(row: tuple[Candidate, float, float], number: float | None, way: Way) -> Place:
    one, share, score = row
    return Place(one.party_id, one.level, one.churn_risk, one.worth_cents, share, score, number, way)
