"""Settings of reviews."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReviewConfig:
    """How months are compared.

    Attributes:
        fewest_peers: Parties, the own one included, that a ranking needs; and that must have a figure before
            anything is told of it.
        fewest_leaders: Parties over which a mean of the best is shown, at least; the reader may be one of
            them, and of fewer others one could tell whose it is.
        confidence: Of the interval of a rank.
        months: Months that are published, the newest ones.
        fewest_customers: Customers of an agent in whose lists a sku stands, at least.
        list_depth: Places of a list that are looked at.
        longest_list: Skus that are suggested to an agent at a shop, at most.
        prior: Party-months by which a rate of silence is drawn to that of all.
    """

    fewest_peers: int = 5
    fewest_leaders: int = 4
    confidence: float = 0.95
    months: int = 13
    fewest_customers: int = 5
    list_depth: int = 10
    longest_list: int = 20
    prior: float = 10.0
