"""Discovery as a family: what a consumer never bought and may like, for anybody's purchases.

ALS, EASE, habits and momentum are weighed on the last days before the moment; where they do not beat the
popularity of 28 days there with an interval above 0, popularity is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from models.data import Purchases
from models.data.purchases import ORDER
from models.metrics import paired_bootstrap
from models.recommendation.config import ALONE, AlsParams, BesideWeights, RecommendationConfig
from models.recommendation.interactions import Floats, Indices, Interactions, index_lines
from models.recommendation.judging.evaluation import POPULARITY, Backtest
from models.recommendation.rankers.discovery import (
    TREND_DAYS,
    Beside,
    category_habits,
    confidences,
    discovery_candidates,
    fold_in,
    rank_new,
    trend_factor,
)
from models.recommendation.rankers.momentum import momentum
from models.splits import Cut
from models.states import STATE_COLUMNS
from models.store import bundles

KIND, FORMAT = "discovery", 1
_LEAST_JUDGES = 20


@dataclass(frozen=True)
class Finding:
    """What was chosen and fitted.

    Attributes:
        als: Settings of ALS.
        power: Exponent of the trend.
        weights: Of what stands beside ALS.
        factors: float32 (n_items, n_factors); None serves popularity.
        links: Weights of EASE, CSR (n_items, n_items); None without.
    """

    als: AlsParams
    power: float = 1.0
    weights: BesideWeights = ALONE
    factors: Floats | None = None
    links: sp.csr_matrix | None = None


class Popularity:
    """The rule: what most consumers bought in 28 days, less what one has bought."""

    name = POPULARITY

    def fit(self, data: Purchases, until: datetime) -> FittedDiscovery:
        """Count the buyers until a moment."""
        config = RecommendationConfig()
        return FittedDiscovery(as_interactions(data, until), until, config, Finding(config.als_grid[0]))


class Discovery:
    """ALS, with EASE, habits and momentum beside it, on items that the consumer never bought.

    >>> lines = pl.DataFrame({"user": [1, 1, 2, 3], "sku": ["a", "b", "a", "c"], "day": ["2026-01-05"] * 4})
    >>> names = {"consumer_id": "user", "item_id": "sku", "at": "day"}
    >>> purchases = Purchases.from_frame(lines, names)
    >>> Discovery().fit(purchases, purchases.frame["at"].max()).rank(["1", "2", "stranger"], k=2)
    [['c'], ['b', 'c'], ['a', 'b']]
    """

    name = "discovery"

    def __init__(self, config: RecommendationConfig | None = None) -> None:
        self.config = config or RecommendationConfig()

    def fit(self, data: Purchases, until: datetime) -> FittedDiscovery:
        """Choose on the last `horizon_days` before a moment, then fit on everything until it.

        Args:
            data: Purchases; later ones are not read. A `category_id` makes the blocks of EASE.
            until: Moment of knowledge, with time zone.
        """
        config, interactions = self.config, as_interactions(data, until)
        rule = FittedDiscovery(interactions, until, config, Finding(config.als_grid[0]))
        earliest = interactions.frame["at"].min()
        if not isinstance(earliest, datetime):
            return rule
        backtest = Backtest(interactions, config, earliest)
        known = backtest.known(Cut(until - timedelta(days=config.horizon_days), until))
        judges = known.users_of(known.new)
        if len(judges) < _LEAST_JUDGES:
            return rule
        als, power, weights = backtest.choose_discovery([known])
        ours = backtest.measured_new(known, als, power, weights, judges).ndcg
        popular = backtest.rank_discovery(known, None, als, 1.0, judges)
        theirs = known.measure(popular, judges, known.new).ndcg
        lift = paired_bootstrap(
            len(judges),
            lambda drawn: float(ours[drawn].mean()),
            lambda drawn: float(theirs[drawn].mean()),
            higher_is_better=True,
            draws=300,
            seed=config.seed,
        )
        if not lift.low > 0:
            return rule
        links = backtest.links(until) if weights != ALONE else None
        finding = Finding(als, power, weights, backtest.factors(als, until), links)
        return FittedDiscovery(interactions, until, config, finding)


@dataclass
class FittedDiscovery:
    """Ranks new items for anybody; see `Discovery`.

    Attributes:
        interactions: Everything that was known.
        until: Moment of knowledge.
        config: Settings of the fit.
        finding: What was chosen and fitted.
    """

    interactions: Interactions
    until: datetime
    config: RecommendationConfig
    finding: Finding

    def __post_init__(self) -> None:
        data, found = self.interactions, self.finding
        rows = data.until(self.until)
        self._counts = data.counts(rows)
        buyers = data.buyers(self.until, TREND_DAYS)
        is_rule = found.factors is None
        self._candidates = discovery_candidates(self._counts, buyers, 1 if is_rule else found.als.min_buyers)
        self._weight = trend_factor(buyers, found.power)
        self._affinity: tuple[Floats, Floats] | None = None
        if found.factors is not None:
            confidence = confidences(data, rows, self.until, found.als.decay_days)
            self._affinity = (fold_in(confidence, found.factors, found.als), found.factors)
        self._beside: Beside | None = None
        if found.links is not None:
            bought = self._counts.copy()
            bought.data = np.ones_like(bought.data)
            n_kinds = int(data.item_l3.max(initial=0)) + 1
            habits = category_habits(rows, data.n_users, n_kinds, self.until)
            found_by = momentum(rows, self.until, data.n_items)
            self._beside = Beside(bought, found.links, habits, data.item_l3, found_by, found.weights)

    def rank(self, users: Sequence[str], k: int, within: Sequence[str] | None = None) -> list[list[str]]:
        """The best items that a consumer never bought, best first.

        Args:
            users: Consumer ids; one that was never seen gets what is popular.
            k: Length of a list; shorter where there are fewer candidates (items bought in the last 28 days).
            within: Items that may be listed; all when None.
        """
        data, candidates = self.interactions, self._candidates
        if within is not None:
            wanted = set(within)
            inside = [data.skus[item] in wanted for item in candidates.tolist()]
            candidates = candidates[np.array(inside, dtype=np.bool_)]
        # Who sent back everything is a stranger.
        has_history = np.diff(self._counts.indptr) > 0
        row_of = {name: row for row, name in enumerate(data.consumers) if has_history[row]}
        known = np.array(sorted({row_of[one] for one in users if one in row_of}), dtype=np.int64)
        ranked = rank_new(self._affinity, self._weight, candidates, self._counts, known, k, self._beside)
        lists = dict(zip(known.tolist(), (self._named(row) for row in ranked), strict=True))
        popular = self._named(candidates[:k])
        return [list(lists[row_of[one]]) if one in row_of else list(popular) for one in users]

    def save(self, folder: Path) -> None:
        """Write the bundle; the folder is made."""
        found, arrays = self.finding, {}
        if found.factors is not None:
            arrays["factors"] = found.factors
        if found.links is not None:
            links = found.links
            arrays |= {"data": links.data, "indices": links.indices, "indptr": links.indptr}
        bundles.write(
            folder,
            KIND,
            FORMAT,
            {
                "until": self.until.isoformat(),
                "config": self.config.to_dict(),
                "als": asdict(found.als),
                "power": found.power,
                "weights": asdict(found.weights),
            },
            arrays=arrays,
            tables={"lines": _as_lines(self.interactions)},
        )

    def _named(self, items: Indices) -> list[str]:
        return [self.interactions.skus[item] for item in items.tolist() if item >= 0]


def load(folder: Path) -> FittedDiscovery:
    """Read what `save` wrote.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another kind or format.
    """

    def make(bundle: bundles.Bundle) -> FittedDiscovery:
        document, arrays = bundle.document, bundle.arrays
        until = datetime.fromisoformat(document["until"])
        interactions = index_lines(bundle.table("lines"), until)
        links = None
        if "indptr" in arrays:
            shape = (interactions.n_items, interactions.n_items)
            links = sp.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        finding = Finding(
            AlsParams(**document["als"]),
            document["power"],
            BesideWeights.read(document["weights"]),
            arrays.get("factors"),
            links,
        )
        config = RecommendationConfig.from_dict(document["config"])
        return FittedDiscovery(interactions, until, config, finding)

    return bundles.read(folder, KIND, FORMAT).build(make)


def as_interactions(purchases: Purchases, until: datetime) -> Interactions:
    """Purchases until a moment, in every state that was known by then, as the product's lanes read them."""
    kept = _one_line_a_basket(purchases.until(until)).states()
    category = pl.col("category_id") if "category_id" in kept.columns else pl.lit(None, dtype=pl.String)
    return index_lines(
        kept.select(
            "consumer_id",
            *STATE_COLUMNS,
            order_id="basket_id",
            merchant_id=pl.lit(""),
            sku_id="item_id",
            category_l2_id=category,
            category_l3_id=category,
            placed_at="at",
            qty="quantity",
        ),
        until,
    )


def _one_line_a_basket(purchases: Purchases) -> Purchases:
    """Lines of one item in one basket put together, so that they have their states together."""
    is_bought = pl.col("quantity") > 0
    key = ["consumer_id", "basket_id", "item_id"]
    more = [name for name in ("category_id",) if name in purchases.frame.columns]
    columns = [*key, "at", "quantity", *more]
    together = (
        purchases.frame.filter(is_bought)
        .group_by(key)
        .agg(pl.col("at").min(), pl.col("quantity").sum(), pl.col(more).max())
    )
    back = purchases.frame.filter(~is_bought)
    lines = pl.concat([together.select(columns), back.select(columns)])
    return Purchases(lines.sort(*ORDER, -pl.col("quantity"), maintain_order=True))


def _as_lines(data: Interactions) -> pl.DataFrame:
    """The lines that `index_lines` would number in the same way."""
    kinds = pl.Series(data.item_l2, dtype=pl.String)
    frame = data.frame
    return frame.select(
        consumer_id=pl.Series(data.consumers, dtype=pl.String).gather(frame["user"]),
        order_id=pl.col("basket").cast(pl.String).str.zfill(12),
        merchant_id=pl.lit(""),
        sku_id=pl.Series(data.skus, dtype=pl.String).gather(frame["item"]),
        category_l2_id=kinds.gather(frame["item"]),
        category_l3_id=kinds.gather(frame["item"]),
        placed_at="at",
        qty="qty",
        received_at="received",
        superseded_at="superseded",
    )
