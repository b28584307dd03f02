"""Settings of the recommendation family: one frozen object a part, readable from JSON. No logic else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class TifuParams:
    """TIFU-KNN.

    Attributes:
        groups: Number m of groups that a history is split into.
        basket_decay: r_b, a basket's weight falls by it per step back in time.
        group_decay: r_g, a group's weight falls by it per step back.
        neighbours: k nearest consumers.
        own_weight: a, the weight of the consumer's own vector against the neighbours' mean.
        decay_in_group: True decays inside the group (the paper); False within the whole history (the code
            that its authors released).
        min_buyers: The neighbours' mean covers skus with at least this many buyers.
    """

    groups: int = 7
    basket_decay: float = 0.9
    group_decay: float = 0.7
    neighbours: int = 300
    own_weight: float = 0.7
    decay_in_group: bool = True
    min_buyers: int = 5


@dataclass(frozen=True)
class RankerParams:
    """The LightGBM repeat ranker.

    Attributes:
        rounds: Boosting rounds.
        leaves: Leaves a tree.
        learning_rate: Shrinkage.
        min_rows_a_leaf: Least rows in a leaf.
        training_cuts: Labelled origins that one fit uses, each with its share of the consumers.
        recent_days: A sku bought once is a candidate only if that was within so many days.
    """

    rounds: int = 60
    leaves: int = 15
    learning_rate: float = 0.1
    min_rows_a_leaf: int = 100
    training_cuts: int = 2
    recent_days: int = 120


@dataclass(frozen=True)
class AlsParams:
    """Implicit ALS of the discovery lane.

    Attributes:
        factors: Latent dimensions.
        regularisation: L2 weight.
        alpha: Multiplies the confidences.
        iterations: Alternations.
        decay_days: A purchase's weight falls by e in so many days.
        min_buyers: Skus with fewer buyers are not discovery candidates: nothing is known of them.
    """

    factors: int = 64
    regularisation: float = 10.0
    alpha: float = 1.0
    iterations: int = 10
    decay_days: float = 120.0
    min_buyers: int = 3


@dataclass(frozen=True)
class EaseParams:
    """EASE of the discovery lane, block by block.

    Attributes:
        regularisation: lambda.
        kept: Largest weights that a sku keeps.
        min_buyers: Skus with fewer buyers are left out.
        widest: Skus of a block at most, the most bought.
    """

    regularisation: float = 50.0
    kept: int = 40
    min_buyers: int = 8
    widest: int = 1500


@dataclass(frozen=True)
class BesideWeights:
    """Weights against ALS, all on the scale of their spread over the candidates; 0 leaves one out.

    Attributes:
        ease: EASE.
        habits: How much the consumer buys of the sku's category.
        freshness: What share of the sku's buyers found it lately.
        rise: Whether more find it this week than in the weeks before.
    """

    ease: float = 0.0
    habits: float = 0.0
    freshness: float = 0.0
    rise: float = 0.0

    @staticmethod
    def read(document: Mapping[str, float] | Sequence[float]) -> BesideWeights:
        """What `asdict` made of weights; earlier releases wrote the first two as a pair."""
        if isinstance(document, Mapping):
            return BesideWeights(**document)
        return BesideWeights(*(float(weight) for weight in document))


ALONE = BesideWeights()
"""ALS with nothing beside it."""


@dataclass(frozen=True)
class RecommendationConfig:
    """Everything that fixes a training and scoring procedure.

    Attributes:
        horizon_days: Length of the window that is predicted.
        test_cuts: Rolling test cuts; the last window ends at `as_of`.
        validation_cuts: Cuts before the first test origin; all choices are made there.
        min_history_days: History that the oldest validation origin needs.
        min_consumers: Fewer consumers than this refuse training.
        reference_origins: Further origins, reported where the data spans them; the gate never uses them.
        tifu_grid: Settings of TIFU-KNN that validation chooses from.
        ranker: Settings of the repeat ranker.
        als_grid: Settings of ALS that validation chooses from.
        ease: Settings of EASE beside ALS.
        beside_weights: What stands beside ALS, settings that validation chooses from.
        trend_powers: Exponents of the 28-day trend in the discovery score that validation chooses from.
        discovery_spacings: The densest spacing s ("every s-th slot is a discovery") is taken whose loss of
            NDCG@10 against the pure repeat lane is at most `max_blend_loss`, on the validation cuts and on
            the test cuts; where none keeps to it, no slot is a discovery.
        max_blend_loss: Relative loss of NDCG@10 that discovery slots may cost.
        tuning_consumers: TIFU-KNN and discovery are tuned on a seeded sample of so many consumers.
        threads: Threads of ALS; the result does not depend on it.
        seed: Seed of every random choice.
        list_length: Items of a published list.
        popular_length: Items of a merchant's popular list.
        popular_days: Window of popularity.
        active_days: Pairs of consumer and merchant active in this window get a list.
        max_category_share: Largest share of a list for one second-level category, while others are left.
        max_discovery_per_type: Largest number of discovery items of one third-level category.
        exploration_ranks: The slots that explore.
        exploration_rate: Probability that such a slot shows a draw from its pool.
        exploration_pool: Number of skus that are dealt out to the pools of these slots.
        diversity: Weight of unlikeness in the order of the discovery lane, 0 (none) to below 1.
        new_days: A sku with fewer buyers than a discovery candidate needs is new for so many days after its
            first sale; its score then comes from its content.
    """

    horizon_days: int = 14
    test_cuts: int = 3
    validation_cuts: int = 1
    min_history_days: int = 28
    min_consumers: int = 20
    reference_origins: tuple[datetime, ...] = ()
    tifu_grid: tuple[TifuParams, ...] = (
        TifuParams(),
        TifuParams(basket_decay=0.95, group_decay=1.0, decay_in_group=False),
        TifuParams(basket_decay=0.97, group_decay=0.9, decay_in_group=False),
    )
    ranker: RankerParams = RankerParams()
    # One setting by default, for time: on the embedded panel a grid over factors (32 to 128),
    # regularisation (1 to 100) and alpha (1 to 5) on the window from 2017-11-06 found nothing clearly
    # better; decay and 96 factors were also compared on the window from 2017-10-23.
    als_grid: tuple[AlsParams, ...] = (AlsParams(),)
    ease: EaseParams = EaseParams()
    beside_weights: tuple[BesideWeights, ...] = (
        ALONE,
        BesideWeights(ease=0.5, habits=0.5, freshness=1.0, rise=0.6),
        BesideWeights(ease=0.75, habits=0.5, freshness=1.0, rise=0.6),
    )
    trend_powers: tuple[float, ...] = (0.0,)
    discovery_spacings: tuple[int, ...] = (3, 4, 5, 8, 10, 15)
    max_blend_loss: float = 0.03
    tuning_consumers: int = 600
    threads: int = 1
    seed: int = 7
    list_length: int = 40
    popular_length: int = 100
    popular_days: int = 28
    active_days: int = 180
    max_category_share: float = 0.25
    max_discovery_per_type: int = 2
    exploration_ranks: tuple[int, ...] = (10, 15, 20)
    exploration_rate: float = 0.1
    exploration_pool: int = 15
    diversity: float = 0.1
    new_days: int = 60

    def __post_init__(self) -> None:
        grids = (
            self.tifu_grid,
            self.als_grid,
            self.beside_weights,
            self.trend_powers,
            self.discovery_spacings,
        )
        if not all(grids):
            raise ValueError("RecommendationConfig: a grid is empty; give at least one setting each")
        if not 0 <= self.exploration_rate < 1 or self.exploration_pool < 1:
            raise ValueError("RecommendationConfig: exploration_rate is in [0, 1) and the pool is not empty")
        if not 0 <= self.diversity < 1 or min(self.exploration_ranks, default=1) < 1:
            raise ValueError("RecommendationConfig: diversity is in [0, 1), exploration_ranks count from 1")
        if not 0 < self.max_category_share <= 1 or self.list_length < 1:
            raise ValueError("RecommendationConfig: max_category_share is in (0, 1], list_length at least 1")
        if min(self.discovery_spacings) < 2:
            raise ValueError("RecommendationConfig: a discovery spacing below 2 leaves no repeat slot")

    def procedure(self, lane: str) -> tuple[Any, ...]:
        """What fixes the ranking of a lane; equal tuples mean the same procedure.

        Args:
            lane: `repeat` or `discovery`.
        """
        own = (self.tifu_grid, self.ranker) if lane == "repeat" else self._discovery()
        return (*own, self.horizon_days, self.validation_cuts, self.tuning_consumers, self.seed)

    def _discovery(self) -> tuple[Any, ...]:
        return (self.als_grid, self.ease, self.beside_weights, self.trend_powers)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        out = asdict(self)
        out["reference_origins"] = [moment.isoformat() for moment in self.reference_origins]
        return out

    @staticmethod
    def from_dict(document: dict[str, Any]) -> RecommendationConfig:
        """Read what `to_dict` wrote; missing keys take their defaults.

        Settings without `beside_weights` are from when ALS stood alone, and are read so.

        Raises:
            TypeError: A key is unknown.
        """
        values = dict(document)
        if "exploration_rank" in values:  # one slot, as earlier releases wrote it
            values["exploration_ranks"] = (values.pop("exploration_rank"),)
        if "reference_origins" in values:
            values["reference_origins"] = tuple(
                datetime.fromisoformat(text) for text in values["reference_origins"]
            )
        if "tifu_grid" in values:
            values["tifu_grid"] = tuple(TifuParams(**one) for one in values["tifu_grid"])
        if "als_grid" in values:
            values["als_grid"] = tuple(AlsParams(**one) for one in values["als_grid"])
        if "ranker" in values:
            values["ranker"] = RankerParams(**values["ranker"])
        if "ease" in values:
            values["ease"] = EaseParams(**values["ease"])
        values["beside_weights"] = tuple(map(BesideWeights.read, values.get("beside_weights", ((),))))
        for name in ("trend_powers", "discovery_spacings", "exploration_ranks"):
            if name in values:
                values[name] = tuple(values[name])
        return RecommendationConfig(**values)
