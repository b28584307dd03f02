"""The backtest: what is chosen on validation cuts, and how every system ranks on the test cuts.

Full-catalogue ranking, truncated NDCG@10 and Recall@10, each lane apart. The repeat lane is measured on
everything bought in the window; the discovery lane on skus never bought before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.metrics import ndcg_at_k, recall_at_k
from models.recommendation.bundle import RANKER, TIFU
from models.recommendation.config import (
    ALONE,
    AlsParams,
    BesideWeights,
    RecommendationConfig,
    TifuParams,
)
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.lists.ranking import hits, top_k_pairs
from models.recommendation.rankers.discovery import (
    TREND_DAYS,
    Beside,
    category_habits,
    confidences,
    discovery_candidates,
    fit_als,
    fold_in,
    rank_new,
    trend_factor,
)
from models.recommendation.rankers.ease import fit_ease
from models.recommendation.rankers.momentum import momentum
from models.recommendation.rankers.ranker import fit_ranker, labels, pair_features, score_pairs
from models.recommendation.rankers.repeat import rank_tifu, tifu_vectors, top_frequency
from models.splits import Cut, training_origins

K = 10
TOP_FREQUENCY, POPULARITY, ALS, DISCOVERY, BLEND = (
    "gp_topfreq", "popularity_28d", "als", "als_and_beside", "blend",
)  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """What the validation cuts chose.

    Attributes:
        repeat_kind: `repeat_ranker` or `tifu_knn`.
        tifu: Chosen settings of TIFU-KNN.
        als: Chosen settings of ALS.
        trend_power: Chosen exponent of the trend.
        beside: Chosen weights of what stands beside ALS.
        losses: Spacings of discovery slots, the densest first, each with its relative loss of NDCG@10 on the
            validation cuts.
    """

    repeat_kind: str
    tifu: TifuParams
    als: AlsParams
    trend_power: float
    beside: BesideWeights
    losses: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Measured:
    """One system on one cut.

    Attributes:
        users: int64 (n,), consumers measured.
        recall: float64 (n,), Recall@10.
        ndcg: float64 (n,), truncated NDCG@10.
        coverage: Share of the skus sold before the origin that occur in some list.
    """

    users: Indices
    recall: npt.NDArray[np.float64]
    ndcg: npt.NDArray[np.float64]
    coverage: float


@dataclass
class Known:
    """What is known at a cut, and what came after it.

    Attributes:
        cut: The cut.
        counts: Baskets with the sku before the origin.
        popularity: float32 (n_items,), baskets with the sku before the origin.
        bought: What was bought in the window.
        new: The part of it that the consumer had never bought.
    """

    cut: Cut
    counts: sp.csr_matrix
    popularity: Floats
    bought: sp.csr_matrix
    new: sp.csr_matrix

    def measure(self, ranked: Indices, users: Indices, target: sp.csr_matrix) -> Measured:
        """Measure lists against a target."""
        relevant = target.getnnz(axis=1)[users].astype(np.int64)
        found = hits(ranked, users, target)
        catalogue = max(int((self.popularity > 0).sum()), 1)
        return Measured(
            users,
            recall_at_k(found, relevant),
            ndcg_at_k(found, relevant, truncate_ideal=True),
            len(np.unique(ranked[ranked >= 0])) / catalogue,
        )

    def users_of(self, target: sp.csr_matrix) -> Indices:
        """Consumers with history before and something relevant after the origin."""
        return np.flatnonzero((target.getnnz(axis=1) > 0) & (self.counts.getnnz(axis=1) > 0))


@dataclass
class Backtest:
    """Ranks every system at a cut, with what earlier cuts computed kept for later ones.

    Attributes:
        interactions: Purchases up to `as_of`.
        config: Settings.
        earliest: Time of the first purchase.
    """

    interactions: Interactions
    config: RecommendationConfig
    earliest: datetime
    _pairs: dict[datetime, pl.DataFrame] = field(default_factory=dict)
    _boosters: dict[datetime, str] = field(default_factory=dict)
    _affinities: dict[tuple[datetime, AlsParams], tuple[Floats, Floats]] = field(default_factory=dict)
    _links: dict[datetime, sp.csr_matrix] = field(default_factory=dict)
    _factors: dict[tuple[datetime, AlsParams], Floats] = field(default_factory=dict)

    @property
    def horizon(self) -> timedelta:
        """Length of the windows."""
        return timedelta(days=self.config.horizon_days)

    def known(self, cut: Cut, told_at: datetime | None = None) -> Known:
        """Split the purchases at a cut; what followed is told as known at `told_at` (default: it stands)."""
        data = self.interactions
        counts = data.counts(data.until(cut.origin))
        bought = data.counts(data.between(cut.origin, cut.end, told_at))
        bought.data[:] = 1
        new = sp.csr_matrix(bought - bought.multiply(counts > 0))
        new.eliminate_zeros()
        popularity = np.asarray(counts.sum(axis=0), dtype=np.float32).ravel()
        return Known(cut, counts, popularity, bought, new)

    def pairs(self, origin: datetime) -> pl.DataFrame:
        """Ranker features at an origin."""
        if origin not in self._pairs:
            self._pairs[origin] = pair_features(self.interactions, origin, self.config.ranker)
        return self._pairs[origin]

    def booster(self, origin: datetime) -> str | None:
        """The ranker fitted for an origin; None where no labelled history precedes it.

        Each of the n training origins takes every n-th consumer: n label windows at the cost of one.
        """
        if origin not in self._boosters:
            first = self.earliest + timedelta(days=self.config.min_history_days)
            origins = training_origins(origin, self.horizon, self.config.ranker.training_cuts, earliest=first)
            examples = []
            for turn, one in enumerate(origins):
                pairs = self.pairs(one).filter(pl.col("user") % len(origins) == turn)
                label = labels(self.interactions, pairs, one, one + self.horizon, origin)
                examples.append((pairs, label))
            if not sum(float(label.sum()) for _, label in examples):
                return None
            self._boosters[origin] = fit_ranker(examples, self.config.ranker, self.config.seed)
        return self._boosters[origin]

    def rank_repeat(
        self, known: Known, system: str, tifu: TifuParams, users: Indices, fitted_at: datetime
    ) -> Indices | None:
        """Lists of one repeat system; None where the ranker cannot be fitted.

        The ranker is the one fitted at `fitted_at`, at or before the cut's origin; features are fresh.
        """
        if system == TOP_FREQUENCY:
            scored = top_frequency(known.counts, known.popularity).tocoo()
            user, item = scored.row.astype(np.int64), scored.col.astype(np.int64)
            return top_k_pairs(user, item, scored.data, known.popularity, users, K)
        if system == TIFU:
            rows = self.interactions.until(known.cut.origin)
            vectors = tifu_vectors(self.interactions, rows, tifu)
            return rank_tifu(vectors, tifu, known.popularity, users, K)
        model = self.booster(fitted_at)
        if model is None:
            return None
        pairs = self.pairs(known.cut.origin)
        score = score_pairs(model, pairs)
        user, item = pairs["user"].to_numpy(), pairs["item"].to_numpy()
        return top_k_pairs(user, item, score, known.popularity, users, K)

    def factors(self, als: AlsParams, fitted_at: datetime) -> Floats:
        """Item factors fitted on everything up to a moment."""
        if (fitted_at, als) not in self._factors:
            rows = self.interactions.until(fitted_at)
            confidence = confidences(self.interactions, rows, fitted_at, als.decay_days)
            self._factors[fitted_at, als] = fit_als(confidence, als, self.config.seed, self.config.threads)
        return self._factors[fitted_at, als]

    def affinity(self, origin: datetime, als: AlsParams, fitted_at: datetime) -> tuple[Floats, Floats]:
        """User factors folded in at `origin` over item factors fitted at `fitted_at`, at or before it."""
        factors = self.factors(als, fitted_at)
        rows = self.interactions.until(origin)
        return fold_in(confidences(self.interactions, rows, origin, als.decay_days), factors, als), factors

    def links(self, fitted_at: datetime) -> sp.csr_matrix:
        """Weights of EASE, fitted on what was known at a moment; blocks are second-level categories."""
        if fitted_at not in self._links:
            data = self.interactions
            _, block = np.unique(np.array(data.item_l2, dtype=np.str_), return_inverse=True)
            counts = data.counts(data.until(fitted_at))
            self._links[fitted_at] = fit_ease(counts, block.astype(np.int64), self.config.ease)
        return self._links[fitted_at]

    def rank_discovery(
        self,
        known: Known,
        affinity: tuple[Floats, Floats] | None,
        als: AlsParams,
        power: float,
        users: Indices,
        beside: Beside | None = None,
    ) -> Indices:
        """Lists of never-bought skus; without an affinity, the rule: popularity of the last 28 days."""
        buyers = self.interactions.buyers(known.cut.origin, TREND_DAYS)
        least = als.min_buyers if affinity is not None else 1
        candidates = discovery_candidates(known.counts, buyers, least)
        weight = trend_factor(buyers, power if affinity is not None else 1.0)
        return rank_new(affinity, weight, candidates, known.counts, users, K, beside)

    def choose(self, cuts: list[Cut]) -> Choices:
        """Make every choice on the validation cuts; equal values go to the earlier setting."""
        config = self.config
        states = [self.known(cut, cuts[-1].end) for cut in cuts]
        samples = [self._sample(state.users_of(state.bought)) for state in states]
        tifu_lists: dict[int, list[Indices]] = {}
        tifu_values = []
        for place, params in enumerate(config.tifu_grid):
            ranked = [self._ranked_tifu(s, params, u) for s, u in zip(states, samples, strict=True)]
            tifu_lists[place] = ranked
            tifu_values.append(_mean_ndcg(states, ranked, samples))
        best_tifu = int(np.argmax(tifu_values))
        tifu = config.tifu_grid[best_tifu]
        kind, repeat_lists, repeat_value = TIFU, tifu_lists[best_tifu], tifu_values[best_tifu]
        by_ranker = [
            self.rank_repeat(s, RANKER, tifu, u, s.cut.origin) for s, u in zip(states, samples, strict=True)
        ]
        complete = [one for one in by_ranker if one is not None]
        if len(complete) == len(states):
            value = _mean_ndcg(states, complete, samples)
            if value > repeat_value:
                kind, repeat_lists, repeat_value = RANKER, complete, value
        als, power, weights = self.choose_discovery(states)
        new_lists = [
            self._ranked_new(state, als, power, weights, users)
            for state, users in zip(states, samples, strict=True)
        ]
        losses = self._losses(states, samples, repeat_lists, new_lists)
        return Choices(kind, tifu, als, power, weights, losses)

    def evaluate(self, cut: Cut, choices: Choices, fitted_at: datetime) -> dict[str, dict[str, Measured]]:
        """Every system on one cut: lane to system to measurement.

        Args:
            cut: The cut.
            choices: From `choose`, on cuts that end before this one's window.
            fitted_at: Where the ranker and the item factors were fitted, at or before the origin. Features,
                histories and fold-in are always those of the origin, as in scoring between two trainings.
        """
        known = self.known(cut)
        users = known.users_of(known.bought)
        repeat: dict[str, Measured] = {}
        lists: dict[str, Indices] = {}
        for system in (TOP_FREQUENCY, TIFU, RANKER):
            ranked = self.rank_repeat(known, system, choices.tifu, users, fitted_at)
            if ranked is not None:
                lists[system] = ranked
                repeat[system] = known.measure(ranked, users, known.bought)
        affinity = self.affinity(cut.origin, choices.als, fitted_at)
        newcomers = known.users_of(known.new)
        rows = np.searchsorted(users, newcomers)
        beside = self.beside(known, fitted_at, choices.beside)
        new_lists = self.rank_discovery(known, affinity, choices.als, choices.trend_power, users, beside)
        ranked_new = {
            POPULARITY: self.rank_discovery(known, None, choices.als, 1.0, newcomers),
            ALS: self.rank_discovery(known, affinity, choices.als, 0.0, newcomers),
            DISCOVERY: new_lists[rows],
        }
        discovery = {name: known.measure(ranked, newcomers, known.new) for name, ranked in ranked_new.items()}
        blends = {
            blend_name(spacing): mix(lists[choices.repeat_kind], new_lists, spacing)
            for spacing, _ in choices.losses
        }
        return {
            "repeat": repeat,
            "discovery": discovery,
            BLEND: {name: known.measure(mixed, users, known.bought) for name, mixed in blends.items()},
        }

    def _ranked_tifu(self, known: Known, params: TifuParams, users: Indices) -> Indices:
        rows = self.interactions.until(known.cut.origin)
        vectors = tifu_vectors(self.interactions, rows, params)
        return rank_tifu(vectors, params, known.popularity, users, K)

    def beside(self, known: Known, fitted_at: datetime, weights: BesideWeights) -> Beside | None:
        """EASE fitted at a moment, habits and momentum of the origin; None where none has a weight."""
        if weights == ALONE:
            return None
        data, origin = self.interactions, known.cut.origin
        bought = known.counts.copy()
        bought.data = np.ones_like(bought.data)
        rows = data.until(origin)
        n_kinds = int(data.item_l3.max(initial=0)) + 1
        return Beside(
            bought,
            self.links(fitted_at),
            category_habits(rows, data.n_users, n_kinds, origin),
            data.item_l3,
            momentum(rows, origin, data.n_items),
            weights,
        )

    def choose_discovery(self, states: list[Known]) -> tuple[AlsParams, float, BesideWeights]:
        """ALS setting, exponent of the trend and weights beside ALS, by NDCG@10 on new skus of a sample.

        Of those within one standard error of the best, the one whose lists cover most of the catalogue.
        """
        config = self.config
        samples = [self._sample(state.users_of(state.new)) for state in states]
        grid = list(product(config.als_grid, config.trend_powers, config.beside_weights))
        values, coverage = [], []
        for als, power, weights in grid:
            found = [
                self.measured_new(state, als, power, weights, users)
                for state, users in zip(states, samples, strict=True)
            ]
            values.append(np.concatenate([one.ndcg for one in found]))
            coverage.append(float(np.mean([one.coverage for one in found])))
        return grid[widest_of_the_best(values, coverage)]

    def measured_new(
        self, known: Known, als: AlsParams, power: float, weights: BesideWeights, users: Indices
    ) -> Measured:
        """Lists of new skus of some consumers, fitted at the cut's origin."""
        return known.measure(self._ranked_new(known, als, power, weights, users), users, known.new)

    def _ranked_new(
        self, known: Known, als: AlsParams, power: float, weights: BesideWeights, users: Indices
    ) -> Indices:
        origin = known.cut.origin
        if (origin, als) not in self._affinities:
            self._affinities[origin, als] = self.affinity(origin, als, origin)
        affinity = self._affinities[origin, als]
        return self.rank_discovery(known, affinity, als, power, users, self.beside(known, origin, weights))

    def _losses(
        self, states: list[Known], samples: list[Indices], repeat: list[Indices], new: list[Indices]
    ) -> tuple[tuple[int, float], ...]:
        pure = _mean_ndcg(states, repeat, samples)
        out = []
        for spacing in sorted(self.config.discovery_spacings):
            mixed = [mix(one, other, spacing) for one, other in zip(repeat, new, strict=True)]
            out.append((spacing, relative_loss(_mean_ndcg(states, mixed, samples), pure)))
        return tuple(out)

    def _sample(self, users: Indices) -> Indices:
        if len(users) <= self.config.tuning_consumers:
            return users
        rng = np.random.default_rng(self.config.seed)
        return np.sort(rng.choice(users, self.config.tuning_consumers, replace=False))


def widest_of_the_best(values: list[npt.NDArray[np.float64]], coverage: list[float]) -> int:
    """Which setting to take: the widest of those that cannot be told from the best.

    Args:
        values: One float64 (n,) a setting, of the same consumers.
        coverage: One a setting.

    Returns:
        Place of the setting with the most coverage whose mean falls behind the best one's by at most one
        standard error of the paired difference; equal ones go to the earlier.
    """
    if not len(values[0]):
        return 0
    best = max(values, key=lambda one: float(one.mean()))
    behind = [best - one for one in values]
    near = [place for place, gap in enumerate(behind) if gap.mean() <= gap.std() / np.sqrt(len(gap)) + 1e-12]
    return max(near, key=lambda place: coverage[place])


def blend_name(spacing: int) -> str:
    """How leaderboards call the list in which every so manyth slot is a discovery."""
    return f"{BLEND}_every_{spacing}"


def relative_loss(value: float, pure: float) -> float:
    """What a blend loses of the pure lane's NDCG, as a share of it; 0 where there is nothing to lose."""
    return 1 - value / pure if pure > 0 else 0.0


def mix(repeat: Indices, new: Indices, spacing: int) -> Indices:
    """Every `spacing`-th slot of the repeat lists goes to the next new item, later repeat items move back.

    Args:
        repeat: int64 (n, k) items, -1 where a list ends.
        new: int64 (n, k) items, -1 where a list ends.
        spacing: See `blend.lane_order`; quotas are a matter of serving and left out here.

    Returns:
        int64 (n, k).
    """
    out = np.full_like(repeat, -1)
    for row in range(len(repeat)):
        queues = [[i for i in one[row].tolist() if i >= 0] for one in (repeat, new)]
        seen: set[int] = set()
        for slot in range(1, repeat.shape[1] + 1):
            first = 1 if slot % spacing == 0 else 0
            for queue in (queues[first], queues[1 - first]):
                while queue and queue[0] in seen:
                    queue.pop(0)
                if queue:
                    out[row, slot - 1] = queue.pop(0)
                    seen.add(int(out[row, slot - 1]))
                    break
    return out


def _mean_ndcg(states: list[Known], lists: list[Indices], users: list[Indices]) -> float:
    values = [
        state.measure(ranked, who, state.bought).ndcg
        for state, ranked, who in zip(states, lists, users, strict=True)
    ]
    return float(np.concatenate(values).mean()) if sum(map(len, values)) else 0.0
