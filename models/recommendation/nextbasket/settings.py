"""Settings of the next-basket ranker: one frozen object a part, readable from JSON. No logic else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.recommendation.config import TifuParams


@dataclass(frozen=True)
class UpcfParams:
    """User-wise popularity of neighbours (UP-CF).

    Attributes:
        recency: r, baskets of a neighbour that count, newest first.
        asymmetry: a of |I_u & I_w| / (|I_u|^a |I_w|^(1-a)).
        locality: q, exponent of the similarity.
        neighbours: Most similar consumers that count.
    """

    recency: int = 25
    asymmetry: float = 0.25
    locality: float = 3.0
    neighbours: int = 600


@dataclass(frozen=True)
class BoosterParams:
    """LightGBM over the candidates of every consumer.

    Attributes:
        rounds: Boosting rounds.
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        min_rows_a_leaf: Least rows in a leaf.
        column_share: Share of the features that a tree sees.
    """

    rounds: int = 150
    leaves: int = 31
    learning_rate: float = 0.05
    min_rows_a_leaf: int = 100
    column_share: float = 0.6


def _tifu_grid() -> tuple[TifuParams, ...]:
    shapes = [(groups, 0.9, decay) for groups in (3, 7, 15, 30) for decay in (0.7, 0.9)]
    inside = [TifuParams(m, b, g, decay_in_group=True, min_buyers=1) for m, b, g in shapes]
    whole = [
        TifuParams(7, b, g, decay_in_group=False, min_buyers=1)
        for b, g in ((0.9, 0.9), (0.95, 1.0), (0.97, 0.9))
    ]
    return (*inside, *whole)


@dataclass(frozen=True)
class NextBasketSettings:
    """Everything that fixes a fit.

    Attributes:
        horizon_days: Predict what is bought within so many days; None: the next basket, whenever it comes.
        label_windows: With a horizon, windows before the moment that give labels.
        label_consumers: Consumers whose last basket or windows give labels, at most (a seeded sample).
        tuning_consumers: Sizes of the growing samples of the successive halving of the TIFU grid; each
            round keeps a quarter.
        tifu_grid: Vectors of TIFU-KNN that validation chooses from; `neighbours` and `own_weight` of these
            are replaced by every pair of the next two.
        neighbours: k of TIFU-KNN.
        own_weights: a of TIFU-KNN.
        upcf_grid: Settings of UP-CF that validation chooses from.
        booster: The ranker.
        candidates: Items a consumer that the ranker sees, from TIFU-KNN; a quarter as many from UP-CF.
        seed: Seed of every draw.
    """

    horizon_days: float | None = None
    label_windows: int = 2
    label_consumers: int = 6000
    tuning_consumers: tuple[int, ...] = (400, 1600)
    tifu_grid: tuple[TifuParams, ...] = _tifu_grid()
    neighbours: tuple[int, ...] = (100, 300)
    own_weights: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
    upcf_grid: tuple[UpcfParams, ...] = (UpcfParams(5), UpcfParams(25), UpcfParams(25, 0.5))
    booster: BoosterParams = BoosterParams()
    candidates: int = 80
    seed: int = 7

    def __post_init__(self) -> None:
        grids = (self.tifu_grid, self.neighbours, self.own_weights, self.upcf_grid, self.tuning_consumers)
        if not all(grids):
            raise ValueError("NextBasketSettings: a grid is empty; give at least one setting each")
        if self.horizon_days is not None and self.horizon_days <= 0:
            raise ValueError("NextBasketSettings: horizon_days is above 0, or None for the next basket")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> NextBasketSettings:
        """Read what `to_dict` wrote.

        Raises:
            TypeError: A key is unknown.
        """
        values = dict(document)
        values["tifu_grid"] = tuple(TifuParams(**one) for one in values["tifu_grid"])
        values["upcf_grid"] = tuple(UpcfParams(**one) for one in values["upcf_grid"])
        values["booster"] = BoosterParams(**values["booster"])
        for name in ("tuning_consumers", "neighbours", "own_weights"):
            values[name] = tuple(values[name])
        return NextBasketSettings(**values)
