"""Settings of matching. No logic beyond checking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class AssortmentConfig:
    """Settings of matching.

    Attributes:
        window_days: A start is judged by what sells within so many days; what is recent is as old at most.
        popular_days: What is popular was sold within so many days.
        list_length: Suggestions a merchant at most.
        least_skus: A merchant that sold fewer skus within the window gets no list.
        neighbours: Similar merchants that count.
        factors: Length of the vectors.
        half_life_days: Age at which a purchase counts half in a demand vector.
        popular: Candidates a merchant from what is popular in its scene.
        similar: Candidates from what similar merchants sell.
        near: Candidates from the vectors.
        unsold: Candidates among what nobody has sold yet.
        test_cuts: Windows on which the ranking is judged.
        train_cuts: Windows from which it learns.
        rounds: Trees.
        leaves: Leaves of a tree.
        learning_rate: Step of a tree.
        least_rows: Pairs in a leaf at least.
        new_slots: Places of a list for products that nobody has sold yet.
        new_choices: Products among which such a place is drawn, evenly.
        most_of_category: Share of a list that one category may take.
        planned: Pairs a merchant that enter the assignment.
        backups: Further suppliers that are named at most.
        least_units: Units that a suggestion must be expected to bring within the window.
        least_margin_cents: Margin that it must be expected to bring.
        acceptance_prior: Decisions that the usual share of taken suggestions weighs.
        seed: Seed of every draw.

    Raises:
        ValueError: A setting is out of range; the message names it.
    """

    window_days: int = 56
    popular_days: int = 28
    list_length: int = 50
    least_skus: int = 20
    neighbours: int = 100
    factors: int = 64
    half_life_days: float = 60.0
    popular: int = 300
    similar: int = 300
    near: int = 300
    unsold: int = 20
    test_cuts: int = 2
    train_cuts: int = 2
    rounds: int = 120
    leaves: int = 15
    learning_rate: float = 0.08
    least_rows: int = 300
    new_slots: int = 5
    new_choices: int = 4
    most_of_category: float = 0.3
    planned: int = 150
    backups: int = 2
    least_units: float = 0.05
    least_margin_cents: int = 1
    acceptance_prior: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            may_be_zero = ("seed", "new_slots", "unsold", "backups", "least_units", "least_margin_cents")
            if one.name not in may_be_zero and getattr(self, one.name) <= 0:
                raise ValueError(f"{one.name} must be above 0, got {getattr(self, one.name)}")
        if self.least_units < 0 or self.least_margin_cents < 0:
            raise ValueError("least_units and least_margin_cents must be 0 or more")
        if self.most_of_category > 1:
            raise ValueError(f"most_of_category must be at most 1, got {self.most_of_category}")
        if self.new_slots > self.list_length:
            raise ValueError(f"new_slots must be at most list_length, got {self.new_slots}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as a document."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Settings from a document.

        Raises:
            ValueError: A setting is unknown or out of range.
        """
        unknown = set(document) - {one.name for one in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings of matching: {', '.join(sorted(unknown))}")
        return cls(**document)
