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
from models.recommendation.content import content_vectors, dense, like_their_kind
from models.recommendation.discovery import (
    TREND_DAYS,
    confidences,
    discovery_candidates,
    fold_in,
    trend_factor,
)
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.ranker import no_pairs, pair_features, score_pairs
from models.recommendation.ranking import popularity_order
from models.recommendation.repeat import tifu_on_history, tifu_vectors, top_frequency


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
class Lanes:
    """Scores of the active histories; rows are places in `users`, columns are skus of the catalogue.

    Attributes:
        users: int64 (n_active,), sorted indices of histories.
        times: CSR (n_active, n_skus), baskets with the sku.
        repeat: CSR (n_active, n_skus), repeat scores of known skus.
        affinity: User factors (n_active, f) and item factors (n_skus, f), or None for the rule.
        multiplier: float32 (n_skus,), 0 where a sku is no discovery candidate.
        order: int64 (n_skus,), skus by the tie rule.
        likeness: float32 (n_skus, d) content vectors of length 1, or None.
        types: Per history the third-level categories bought before.
        repeat_rule: True when the simple rule serves the repeat lane.
        pairs: What the ranker read; zero rows where none serves.
    """

    users: Indices
    times: sp.csr_matrix
    repeat: sp.csr_matrix
    affinity: tuple[Floats, Floats] | None
    multiplier: Floats
    order: Indices
    likeness: Floats | None
    types: list[set[int]]
    repeat_rule: bool
    pairs: pl.DataFrame


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


def score_lanes(
    data: Interactions,
    catalogue: Catalogue,
    users: Indices,
    consumers: list[str],
    bundles: tuple[RepeatBundle | None, DiscoveryBundle | None],
    as_of: datetime,
    config: RecommendationConfig,
) -> Lanes:
    """Score both lanes.

    Args:
        data: Purchases by history.
        catalogue: See `catalogue_of`.
        users: int64 (n_active,), sorted: histories that get a list.
        consumers: Who stands behind each history of `data`: nobody is a neighbour of themselves.
        bundles: Of the repeat and the discovery lane; None serves the simple rule.
        as_of: Moment of knowledge.
        config: Settings.
    """
    repeat, discovery = bundles
    rows = data.until(as_of)
    counts = data.counts(rows)
    popularity = np.asarray(counts.sum(axis=0), dtype=np.float32).ravel()
    buyers = data.buyers(as_of, TREND_DAYS)
    pairs = _ranker_pairs(data, users, repeat, as_of)
    width = len(catalogue.skus)
    times = _wider(counts[users], width)
    own = _repeat_scores(data, rows, users, consumers, counts, popularity, repeat, pairs)
    affinity, multiplier = _new_scores(data, catalogue, rows, users, counts, buyers, discovery, as_of)
    kinds = np.array(catalogue.l3, dtype=np.int64)
    return Lanes(
        users,
        times,
        _wider(own, width),
        affinity,
        multiplier,
        popularity_order(np.concatenate([buyers, np.zeros(width - data.n_items, np.float32)])),
        None if catalogue.vectors is None or config.diversity <= 0 else dense(catalogue.vectors),
        [
            set(kinds[times.indices[times.indptr[row] : times.indptr[row + 1]]].tolist())
            for row in range(len(users))
        ],
        repeat is None,
        pairs,
    )


def _new_scores(
    data: Interactions,
    catalogue: Catalogue,
    rows: pl.DataFrame,
    users: Indices,
    counts: sp.csr_matrix,
    buyers: Floats,
    bundle: DiscoveryBundle | None,
    as_of: datetime,
) -> tuple[tuple[Floats, Floats] | None, Floats]:
    """Affinities and multipliers of all skus; what is new has those of its kind."""
    affinity: tuple[Floats, Floats] | None = None
    power, least = 1.0, 1
    if bundle is not None:
        affinity = _fold_in_bundle(data, catalogue, rows, users, bundle, as_of)
        power, least = bundle.items.trend_power, bundle.items.params.min_buyers
    multiplier = np.zeros(len(catalogue.skus), np.float32)
    candidates = discovery_candidates(counts, buyers, least)
    multiplier[candidates] = trend_factor(buyers, power)[candidates]
    if affinity is not None:
        multiplier[~affinity[1].any(axis=1)] = 0
    known = np.flatnonzero(multiplier)
    cold = np.flatnonzero(catalogue.new & (multiplier == 0))
    if catalogue.vectors is None or not len(known) or not len(cold):
        return affinity, multiplier
    trend = np.log(multiplier[known])[:, None]
    values = trend if affinity is None else np.hstack([trend, affinity[1][known]])
    expected = like_their_kind(catalogue.vectors, known, values, cold)
    alike = expected.any(axis=1)
    multiplier[cold[alike]] = np.exp(expected[alike, 0])
    if affinity is not None:
        affinity[1][cold] = expected[:, 1:]
    return affinity, multiplier


def _ranker_pairs(
    data: Interactions, users: Indices, bundle: RepeatBundle | None, as_of: datetime
) -> pl.DataFrame:
    """What the ranker of a bundle reads at the moment; zero rows where it holds none."""
    if bundle is None or bundle.kind != RANKER or bundle.ranker is None or bundle.booster is None:
        return no_pairs()
    return pair_features(data, as_of, bundle.ranker).filter(pl.col("user").is_in(pl.Series(users).implode()))


def _repeat_scores(
    data: Interactions,
    rows: pl.DataFrame,
    users: Indices,
    consumers: list[str],
    counts: sp.csr_matrix,
    popularity: Floats,
    bundle: RepeatBundle | None,
    pairs: pl.DataFrame,
) -> sp.csr_matrix:
    if bundle is None:
        return top_frequency(counts[users], popularity)
    if bundle.kind == RANKER and bundle.ranker is not None and bundle.booster is not None:
        value = score_pairs(bundle.booster, pairs)
        return data.matrix(pairs["user"].to_numpy(), pairs["item"].to_numpy(), value)[users]
    if bundle.tifu is None or bundle.pool is None:
        raise ValueError(f"repeat bundle of kind {bundle.kind} holds neither a ranker nor a TIFU pool")
    place = {name: row for row, name in enumerate(bundle.consumers)}
    same = np.array([place.get(consumers[user], -1) for user in users.tolist()], dtype=np.int64)
    mine = rows.filter(pl.col("user").is_in(pl.Series(users).implode()))
    vectors = tifu_vectors(data, mine, bundle.tifu)[users]
    pool = _recolumn(bundle.pool, bundle.skus, data.skus)
    return tifu_on_history(vectors, same, pool, bundle.tifu)


def _fold_in_bundle(
    data: Interactions,
    catalogue: Catalogue,
    rows: pl.DataFrame,
    users: Indices,
    bundle: DiscoveryBundle,
    as_of: datetime,
) -> tuple[Floats, Floats]:
    """User factors by fold-in over the bundle's skus, and item factors in the order of the catalogue."""
    items = bundle.items
    confidence = confidences(data, rows, as_of, items.params.decay_days)[users]
    folded = fold_in(_recolumn(confidence, tuple(data.skus), list(bundle.skus)), items.factors, items.params)
    place = {name: row for row, name in enumerate(bundle.skus)}
    at = np.array([place.get(name, -1) for name in catalogue.skus], dtype=np.int64)
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
