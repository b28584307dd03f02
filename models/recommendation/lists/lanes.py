"""Scores of the lanes for the active histories, before any merchant's assortment: bundles or simple rules.

The skus are those that were ever bought and, behind them, those that are listed and were not yet. What is new
has its discovery score from its content. Nothing is fitted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.recommendation.bundle import RANKER, DiscoveryBundle, RepeatBundle
from models.recommendation.config import RecommendationConfig
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.lists.ranking import popularity_order
from models.recommendation.rankers.content import content_vectors, dense, like_their_kind
from models.recommendation.rankers.discovery import (
    TREND_DAYS,
    Beside,
    category_habits,
    confidences,
    discovery_candidates,
    fold_in,
    trend_factor,
)
from models.recommendation.rankers.momentum import momentum
from models.recommendation.rankers.ranker import no_pairs, pair_features, score_pairs
from models.recommendation.rankers.repeat import tifu_on_history, tifu_vectors, top_frequency


@dataclass(frozen=True)
class Catalogue:
    """Every sku that a list could show.

    Attributes:
        skus: Those ever bought, in the order of `Interactions.skus`, then the others, sorted.
        l2: Second-level category names.
        l3: Third-level category numbers.
        new: bool (n_skus,): hardly anybody bought it, and it is not on sale for long.
        vectors: Content, CSR (n_skus, n_features); None where no products are told.
    """

    skus: list[str]
    l2: list[str]
    l3: list[int]
    new: npt.NDArray[np.bool_]
    vectors: sp.csr_matrix | None


@dataclass(frozen=True)
class Active:
    """What is known of the histories that get a list; rows are places in `users`, columns are skus.

    Attributes:
        data: Purchases by history.
        catalogue: See `Catalogue`.
        as_of: Moment of knowledge.
        users: int64 (n_active,), sorted indices of histories.
        consumers: Who stands behind each history of `data`: nobody is a neighbour of themselves.
        rows: Purchases up to the moment.
        counts: CSR (n_histories, n_items), baskets with the sku, of everybody.
        buyers: float32 (n_items,), distinct histories that bought in the trend window.
        times: CSR (n_active, n_skus), baskets with the sku.
        order: int64 (n_skus,), skus by the tie rule.
        likeness: float32 (n_skus, d) content vectors of length 1, or None.
        types: Per history the third-level categories bought before.
    """

    data: Interactions
    catalogue: Catalogue
    as_of: datetime
    users: Indices
    consumers: list[str]
    rows: pl.DataFrame
    counts: sp.csr_matrix
    buyers: Floats
    times: sp.csr_matrix
    order: Indices
    likeness: Floats | None
    types: list[set[int]]


@dataclass(frozen=True)
class RepeatLane:
    """Repeat scores.

    Attributes:
        scores: CSR (n_active, n_skus), of known skus.
        is_rule: True when the simple rule serves.
        spacing: The blend's spacing that was found with the bundle; None for the rule.
        pairs: What the ranker read; zero rows where none serves.
    """

    scores: sp.csr_matrix
    is_rule: bool
    spacing: int | None
    pairs: pl.DataFrame


@dataclass(frozen=True)
class DiscoveryLane:
    """Discovery scores, in factors.

    Attributes:
        affinity: User factors (n_active, f) and item factors (n_skus, f), or None for the rule.
        multiplier: float32 (n_skus,), 0 where a sku is no discovery candidate.
        spacing: The blend's spacing that was found with the bundle; None for the rule.
        beside: What stands beside the factors; None without.
    """

    affinity: tuple[Floats, Floats] | None
    multiplier: Floats
    spacing: int | None
    beside: Beside | None = None


def catalogue_of(
    data: Interactions, listed: pl.Series, products: pl.DataFrame | None, as_of: datetime, new_days: int
) -> Catalogue:
    """The skus that were bought and, where products are told, those that are listed and were not.

    Args:
        data: Purchases.
        listed: Distinct sku ids that some merchant may show.
        products: `sku_id`, categories and whatever `content.content_vectors` reads; None: no content.
        as_of: Moment of knowledge.
        new_days: A sku first sold longer ago than this is not new, whatever few bought it.
    """
    rows = data.until(as_of)
    first = rows.group_by("item").agg(pl.col("at").min())
    recent = first.filter(pl.col("at") > as_of - timedelta(days=new_days))["item"].to_numpy()
    if products is None:
        new = np.zeros(data.n_items, np.bool_)
        return Catalogue(data.skus, data.item_l2, data.item_l3.tolist(), new, None)
    told = products.select(
        pl.col("sku_id").cast(pl.String),
        l2=pl.col("category_l2_id").cast(pl.String).fill_null("unknown"),
        l3=pl.col("category_l3_id").cast(pl.String).fill_null("unknown"),
    ).unique("sku_id", keep="first")
    unsold = sorted(set(listed.to_list()) - set(data.skus))
    others = pl.DataFrame({"sku_id": unsold}, schema={"sku_id": pl.String}).join(
        told, on="sku_id", how="left", maintain_order="left"
    )
    number = dict(
        pl.DataFrame({"sku_id": data.skus, "number": data.item_l3})
        .join(told, on="sku_id")
        .select("l3", "number")
        .iter_rows()
    )
    l3 = data.item_l3.tolist()
    for name in others["l3"].fill_null("unknown").to_list():
        l3.append(number.setdefault(name, int(data.item_l3.max(initial=0)) + len(number) + 1))
    new = np.ones(len(l3), np.bool_)
    new[: data.n_items] = False
    new[recent] = True
    skus = [*data.skus, *unsold]
    l2 = [*data.item_l2, *others["l2"].fill_null("unknown").to_list()]
    return Catalogue(skus, l2, l3, new, content_vectors(products, skus))


def active_histories(
    data: Interactions,
    catalogue: Catalogue,
    users: Indices,
    consumers: list[str],
    as_of: datetime,
    config: RecommendationConfig,
) -> Active:
    """What both lanes read of the histories `users` (int64, sorted) at a moment."""
    rows = data.until(as_of)
    counts = data.counts(rows)
    buyers = data.buyers(as_of, TREND_DAYS)
    width = len(catalogue.skus)
    times = _wider(counts[users], width)
    kinds = np.array(catalogue.l3, dtype=np.int64)
    return Active(
        data,
        catalogue,
        as_of,
        users,
        consumers,
        rows,
        counts,
        buyers,
        times,
        popularity_order(np.concatenate([buyers, np.zeros(width - data.n_items, np.float32)])),
        None if catalogue.vectors is None or config.diversity <= 0 else dense(catalogue.vectors),
        [
            set(kinds[times.indices[times.indptr[row] : times.indptr[row + 1]]].tolist())
            for row in range(len(users))
        ],
    )


def repeat_lane(known: Active, bundle: RepeatBundle | None) -> RepeatLane:
    """Repeat scores by a bundle; None serves GP-TopFreq."""
    width = len(known.catalogue.skus)
    if bundle is None:
        popularity = np.asarray(known.counts.sum(axis=0), dtype=np.float32).ravel()
        scores = top_frequency(known.counts[known.users], popularity)
        return RepeatLane(_wider(scores, width), is_rule=True, spacing=None, pairs=no_pairs())
    pairs = no_pairs()
    if bundle.kind == RANKER and bundle.ranker is not None and bundle.booster is not None:
        mine = pl.col("user").is_in(pl.Series(known.users).implode())
        pairs = pair_features(known.data, known.as_of, bundle.ranker).filter(mine)
        value = score_pairs(bundle.booster, pairs)
        every = known.data.matrix(pairs["user"].to_numpy(), pairs["item"].to_numpy(), value)
        scores = every[known.users]
    else:
        scores = _tifu_scores(known, bundle)
    return RepeatLane(_wider(scores, width), is_rule=False, spacing=bundle.spacing, pairs=pairs)


def _tifu_scores(known: Active, bundle: RepeatBundle) -> sp.csr_matrix:
    if bundle.tifu is None or bundle.pool is None:
        raise ValueError(f"repeat bundle of kind {bundle.kind} holds neither a ranker nor a TIFU pool")
    place = {name: row for row, name in enumerate(bundle.consumers)}
    same = np.array([place.get(known.consumers[user], -1) for user in known.users.tolist()], dtype=np.int64)
    mine = known.rows.filter(pl.col("user").is_in(pl.Series(known.users).implode()))
    vectors = tifu_vectors(known.data, mine, bundle.tifu)[known.users]
    pool = _recolumn(bundle.pool, bundle.skus, known.data.skus)
    return tifu_on_history(vectors, same, pool, bundle.tifu)


def discovery_lane(known: Active, bundle: DiscoveryBundle | None) -> DiscoveryLane:
    """Affinities and multipliers of all skus by a bundle; None serves popularity.

    New skus have what is to be expected of their kind.
    """
    affinity: tuple[Floats, Floats] | None = None
    power, least = 1.0, 1
    if bundle is not None:
        affinity = _fold_in_bundle(known, bundle)
        power, least = bundle.items.trend_power, bundle.items.params.min_buyers
    catalogue = known.catalogue
    multiplier = np.zeros(len(catalogue.skus), np.float32)
    candidates = discovery_candidates(known.counts, known.buyers, least)
    multiplier[candidates] = trend_factor(known.buyers, power)[candidates]
    if affinity is not None:
        multiplier[~affinity[1].any(axis=1)] = 0
    warm = np.flatnonzero(multiplier)
    cold = np.flatnonzero(catalogue.new & (multiplier == 0))
    if catalogue.vectors is not None and len(warm) and len(cold):
        trend = np.log(multiplier[warm])[:, None]
        values = trend if affinity is None else np.hstack([trend, affinity[1][warm]])
        expected = like_their_kind(catalogue.vectors, warm, values, cold)
        alike = ~np.isnan(expected[:, 0])
        multiplier[cold[alike]] = np.exp(expected[alike, 0])
        if affinity is not None:
            affinity[1][cold[alike]] = expected[alike, 1:]
    spacing = None if bundle is None else bundle.spacing
    return DiscoveryLane(affinity, multiplier, spacing, None if bundle is None else _beside(known, bundle))


def _beside(known: Active, bundle: DiscoveryBundle) -> Beside | None:
    """EASE of the bundle in the order of the catalogue, and habits of the active histories."""
    items, catalogue = bundle.items, known.catalogue
    if items.links is None:
        return None
    bought = known.times.copy()
    bought.data = np.ones_like(bought.data)
    kinds = np.array(catalogue.l3, dtype=np.int64)
    habits = category_habits(known.rows, known.data.n_users, int(kinds.max(initial=0)) + 1, known.as_of)
    return Beside(
        bought,
        _moved(items.links, bundle.skus, catalogue.skus),
        habits[known.users],
        kinds,
        momentum(known.rows, known.as_of, len(kinds)),
        items.weights,
    )


def _moved(links: sp.csr_matrix, have: tuple[str, ...], want: list[str]) -> sp.csr_matrix:
    """Rows and columns named `have` to the order `want`."""
    columns = _recolumn(links, have, want)
    return _recolumn(columns.T.tocsr(), have, want).T.tocsr()


def _fold_in_bundle(known: Active, bundle: DiscoveryBundle) -> tuple[Floats, Floats]:
    """User factors by fold-in over the bundle's skus, and item factors in the order of the catalogue."""
    items = bundle.items
    confidence = confidences(known.data, known.rows, known.as_of, items.params.decay_days)[known.users]
    mine = _recolumn(confidence, tuple(known.data.skus), list(bundle.skus))
    folded = fold_in(mine, items.factors, items.params)
    place = {name: row for row, name in enumerate(bundle.skus)}
    at = np.array([place.get(name, -1) for name in known.catalogue.skus], dtype=np.int64)
    factors = np.zeros((len(at), items.factors.shape[1]), np.float32)
    factors[at >= 0] = items.factors[at[at >= 0]]
    return folded, factors


def _recolumn(matrix: sp.csr_matrix, have: tuple[str, ...], want: list[str]) -> sp.csr_matrix:
    """Move columns named `have` to the order `want`; columns that are not wanted fall away."""
    place = {name: column for column, name in enumerate(want)}
    target = np.array([place.get(name, -1) for name in have], dtype=np.int64)
    entries = matrix.tocoo()
    column = target[entries.col] if len(have) else np.zeros(0, np.int64)
    keep = column >= 0
    shape = (matrix.shape[0], len(want))
    return sp.csr_matrix((entries.data[keep], (entries.row[keep], column[keep])), shape=shape)


def _wider(matrix: sp.csr_matrix, width: int) -> sp.csr_matrix:
    """The same places with empty columns behind them."""
    return sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))
