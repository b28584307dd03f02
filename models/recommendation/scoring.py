"""Batch scoring: one blended list per active (consumer, merchant) pair, and each merchant's popular items.

Reads frames and bundles, returns the published frames. A missing bundle means that the simple rule serves
its lane, and the reason codes say so. Nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.contracts import PUBLISHED_TABLES
from models.recommendation.blend import (
    DISCOVERY,
    POPULAR,
    REPEAT,
    Offer,
    Rules,
    blend,
    exploration_pool,
    explore,
    unit_draws,
)
from models.recommendation.bundle import (
    RANKER,
    DiscoveryBundle,
    RepeatBundle,
    load_discovery,
    load_repeat,
)
from models.recommendation.config import RecommendationConfig
from models.recommendation.discovery import (
    TREND_DAYS,
    USERS_A_CHUNK,
    confidences,
    discovery_candidates,
    fold_in,
    trend_factor,
)
from models.recommendation.interactions import Floats, Indices, Interactions, index_lines, merchandise
from models.recommendation.popular import assortments, popular_items
from models.recommendation.ranker import named_pairs, no_pairs, pair_features, score_pairs
from models.recommendation.ranking import popularity_order, top_k_dense
from models.recommendation.repeat import tifu_on_history, tifu_vectors, top_frequency

REGULAR_FROM_TIMES = 3
_DTYPES: dict[str, pl.DataType] = {"text": pl.String(), "int": pl.Int64(), "float": pl.Float64()}


@dataclass(frozen=True)
class RecommendationScores:
    """Published frames, dtypes as in `PUBLISHED_TABLES` (text String, int Int64, float Float64).

    Attributes:
        recommendations: See `PUBLISHED_TABLES["recommendations"]`; ordered by key. `score` is comparable
            inside a lane of one list only.
        popular_items: See `PUBLISHED_TABLES["popular_items"]`; ordered by key.
        repeat_vectors: `consumer_id`, `sku_id` and the features that the ranker read, one row a pair that
            some list shows in the repeat lane; zero rows where no ranker serves.
    """

    recommendations: pl.DataFrame
    popular_items: pl.DataFrame
    repeat_vectors: pl.DataFrame


@dataclass(frozen=True)
class _Lanes:
    """Scores of everyone, before any merchant's assortment.

    Attributes:
        times: CSR (n_users, n_items), baskets with the sku.
        repeat: CSR (n_users, n_items), repeat scores of known skus.
        affinity: User and item factors, or None for the rule.
        multiplier: float32 (n_items,), 0 where a sku is no discovery candidate.
        order: int64 (n_items,), items by the tie rule.
        types: Per consumer the third-level categories bought before.
        repeat_rule: True when the simple rule serves the repeat lane.
        pairs: What the ranker read; zero rows where none serves.
    """

    times: sp.csr_matrix
    repeat: sp.csr_matrix
    affinity: tuple[Floats, Floats] | None
    multiplier: Floats
    order: Indices
    types: list[set[int]]
    repeat_rule: bool
    pairs: pl.DataFrame


def score(
    lines: pl.DataFrame,
    listings: pl.DataFrame,
    as_of: datetime,
    repeat_bundle: Path | None,
    discovery_bundle: Path | None,
    config: RecommendationConfig | None = None,
    *,
    in_stock: Collection[str] | None = None,
) -> RecommendationScores:
    """Score every pair that was active in the last `active_days`.

    The slot `exploration_rank` is randomised: with probability `exploration_rate` it shows a uniform draw
    from the next `exploration_pool` discovery items outside the list. Its logged propensity is the true
    probability of what it shows; every other slot is deterministic, propensity 1.

    Args:
        lines: Merchandise lines of `core.fct_order_lines`; rows after `as_of` are dropped.
        listings: `merchant_id`, `sku_id`. Zero rows: the pairs sold in the last `active_days` stand in.
        as_of: Moment of knowledge, tz-aware UTC.
        repeat_bundle: Folder of the repeat lane; None serves GP-TopFreq (`rule_bought_often`).
        discovery_bundle: Folder of the discovery lane; None serves 28-day popularity (`rule_popular_new`).
        config: Settings; the defaults when None.
        in_stock: Skus that may be shown; None shows all listed.

    Returns:
        The two frames. Works on zero rows.

    Raises:
        BundleError: A bundle is missing, unfinished or of another format.
        ModelError: A required column is missing.
    """
    config = config or RecommendationConfig()
    sold = merchandise(lines).filter(pl.col("placed_at") <= as_of)
    data = index_lines(lines, as_of)
    repeat = load_repeat(repeat_bundle) if repeat_bundle is not None else None
    discovery = load_discovery(discovery_bundle) if discovery_bundle is not None else None
    assortment = assortments(sold, listings, as_of, config.active_days, in_stock)
    popular = popular_items(sold, assortment, as_of, config)
    lanes = _score_lanes(data, repeat, discovery, as_of)
    spacing = next((one.spacing for one in (repeat, discovery) if one), max(config.discovery_spacings))
    rows = _lists(data, lanes, assortment, popular, spacing, as_of, config)
    shown = rows.filter(pl.col("lane") == REPEAT).select("consumer_id", "sku_id").unique()
    return RecommendationScores(
        _publish("recommendations", rows),
        _publish("popular_items", popular),
        named_pairs(lanes.pairs, data)
        .join(shown, on=["consumer_id", "sku_id"], how="semi")
        .sort("consumer_id", "sku_id"),
    )


def _score_lanes(
    data: Interactions,
    repeat: RepeatBundle | None,
    discovery: DiscoveryBundle | None,
    as_of: datetime,
) -> _Lanes:
    rows = data.until(as_of)
    times = data.counts(rows)
    popularity = np.asarray(times.sum(axis=0), dtype=np.float32).ravel()
    buyers = data.buyers(as_of, TREND_DAYS)
    affinity: tuple[Floats, Floats] | None = None
    power, least = 1.0, 1
    if discovery is not None:
        affinity = _fold_in_bundle(data, rows, discovery, as_of)
        power, least = discovery.items.trend_power, discovery.items.params.min_buyers
    multiplier = np.zeros(data.n_items, np.float32)
    candidates = discovery_candidates(times, buyers, least)
    multiplier[candidates] = trend_factor(buyers, power)[candidates]
    if affinity is not None:
        multiplier[~affinity[1].any(axis=1)] = 0
    types = [
        set(data.item_l3[times.indices[times.indptr[user] : times.indptr[user + 1]]].tolist())
        for user in range(data.n_users)
    ]
    pairs = _ranker_pairs(data, repeat, as_of)
    return _Lanes(
        times,
        _repeat_scores(data, rows, times, popularity, repeat, pairs),
        affinity,
        multiplier,
        popularity_order(buyers),
        types,
        repeat is None,
        pairs,
    )


def _ranker_pairs(data: Interactions, bundle: RepeatBundle | None, as_of: datetime) -> pl.DataFrame:
    """What the ranker of a bundle reads at the moment; zero rows where it holds none."""
    if bundle is None or bundle.kind != RANKER or bundle.ranker is None or bundle.booster is None:
        return no_pairs()
    return pair_features(data, as_of, bundle.ranker)


def _repeat_scores(
    data: Interactions,
    rows: pl.DataFrame,
    times: sp.csr_matrix,
    popularity: Floats,
    bundle: RepeatBundle | None,
    pairs: pl.DataFrame,
) -> sp.csr_matrix:
    if bundle is None:
        return top_frequency(times, popularity)
    if bundle.kind == RANKER and bundle.ranker is not None and bundle.booster is not None:
        value = score_pairs(bundle.booster, pairs)
        return data.matrix(pairs["user"].to_numpy(), pairs["item"].to_numpy(), value)
    if bundle.tifu is None or bundle.pool is None:
        raise ValueError(f"repeat bundle of kind {bundle.kind} holds neither a ranker nor a TIFU pool")
    place = {name: row for row, name in enumerate(bundle.consumers)}
    same = np.array([place.get(name, -1) for name in data.consumers], dtype=np.int64)
    vectors = tifu_vectors(data, rows, bundle.tifu)
    pool = _recolumn(bundle.pool, bundle.skus, data.skus)
    return tifu_on_history(vectors, same, pool, bundle.tifu)


def _fold_in_bundle(
    data: Interactions, rows: pl.DataFrame, bundle: DiscoveryBundle, as_of: datetime
) -> tuple[Floats, Floats]:
    """User factors by fold-in over the bundle's skus, and item factors in the order of `data.skus`."""
    items = bundle.items
    confidence = confidences(data, rows, as_of, items.params.decay_days)
    users = fold_in(_recolumn(confidence, tuple(data.skus), list(bundle.skus)), items.factors, items.params)
    place = {name: row for row, name in enumerate(bundle.skus)}
    at = np.array([place.get(name, -1) for name in data.skus], dtype=np.int64)
    factors = np.zeros((data.n_items, items.factors.shape[1]), np.float32)
    factors[at >= 0] = items.factors[at[at >= 0]]
    return users, factors


def _recolumn(matrix: sp.csr_matrix, have: tuple[str, ...], want: list[str]) -> sp.csr_matrix:
    """Move columns named `have` to the order `want`; columns that are not wanted fall away."""
    place = {name: column for column, name in enumerate(want)}
    target = np.array([place.get(name, -1) for name in have], dtype=np.int64)
    entries = matrix.tocoo()
    column = target[entries.col] if len(have) else np.zeros(0, np.int64)
    keep = column >= 0
    shape = (matrix.shape[0], len(want))
    return sp.csr_matrix((entries.data[keep], (entries.row[keep], column[keep])), shape=shape)


def _lists(
    data: Interactions,
    lanes: _Lanes,
    assortment: pl.DataFrame,
    popular: pl.DataFrame,
    spacing: int,
    as_of: datetime,
    config: RecommendationConfig,
) -> pl.DataFrame:
    """Blend one list per active pair, merchant by merchant."""
    recent = data.between(as_of - timedelta(days=config.active_days), as_of)
    active = recent.select("merchant", "user").unique().sort("merchant", "user")
    item_of = {name: item for item, name in enumerate(data.skus)}
    listed = dict(assortment.group_by("merchant_id").agg("sku_id").iter_rows())
    kinds: list[int] = data.item_l3.tolist()
    ranked: dict[str, list[tuple[int, float, str]]] = {}
    for merchant_id, sku, value, reason in popular.select(
        "merchant_id", "sku_id", "score", "reason_code"
    ).iter_rows():
        if sku in item_of:
            ranked.setdefault(merchant_id, []).append((item_of[sku], value, reason))
    rules = Rules(
        config.list_length,
        spacing,
        max(1, int(config.list_length * config.max_category_share)),
        config.max_discovery_per_type,
    )
    place_of = np.empty(data.n_items, np.int64)
    place_of[lanes.order] = np.arange(data.n_items)
    rows: list[tuple[str, str, int, str, float, str, str, float]] = []
    for (merchant,), part in active.group_by("merchant", maintain_order=True):
        name = data.merchants[int(str(merchant))]
        known = np.array([item_of[sku] for sku in listed.get(name, []) if sku in item_of], dtype=np.int64)
        known = known[np.argsort(place_of[known])]
        shown = [
            Offer(item, value, POPULAR, data.item_l2[item], kinds[item], reason)
            for item, value, reason in ranked.get(name, [])
        ]
        users = part["user"].to_numpy()
        for user, repeat, new in _merchant_offers(data, lanes, kinds, users, known, config):
            chosen = blend({REPEAT: repeat, DISCOVERY: new, POPULAR: shown}, rules)
            usual = {offer.item for offer in chosen}
            pool = exploration_pool(chosen, new, rules, config.exploration_pool)
            consumer = data.consumers[user]
            draws = unit_draws(str(config.seed), f"{as_of:%Y-%m-%d}", name, consumer)
            final, propensity = explore(chosen, pool, config.exploration_rank, config.exploration_rate, draws)
            for rank, offer in enumerate(final, start=1):
                explored = rank == config.exploration_rank
                reason = "exploring" if explored and offer.item not in usual else offer.reason
                sku = data.skus[offer.item]
                rows.append(
                    (
                        name,
                        consumer,
                        rank,
                        sku,
                        offer.score,
                        offer.lane,
                        reason,
                        propensity if explored else 1.0,
                    )
                )
    return pl.DataFrame(rows, schema=_schema("recommendations"), orient="row")


def _merchant_offers(
    data: Interactions,
    lanes: _Lanes,
    kinds: list[int],
    users: Indices,
    known: Indices,
    config: RecommendationConfig,
) -> Iterator[tuple[int, list[Offer], list[Offer]]]:
    """Repeat and discovery offers of a merchant's consumers inside its assortment (`known`, in tie order)."""
    depth = 2 * config.list_length
    items = known.tolist()
    for start in range(0, len(users), USERS_A_CHUNK):
        part = users[start : start + USERS_A_CHUNK]
        times = lanes.times[part][:, known].toarray()
        repeat = lanes.repeat[part][:, known].toarray()
        repeat[(times == 0) | (repeat <= 0)] = -np.inf
        new = _new_scores(lanes, part, known)
        new[times > 0] = -np.inf
        top_repeat, top_new = top_k_dense(repeat, depth), top_k_dense(new, depth)
        for row, user in enumerate(part.tolist()):
            places = [column for column in top_repeat[row].tolist() if column >= 0]
            old_offers = [
                Offer(items[c], score, REPEAT, data.item_l2[items[c]], kinds[items[c]], _old(lanes, count))
                for c, score, count in zip(
                    places, repeat[row, places].tolist(), times[row, places].tolist(), strict=True
                )
            ]
            places = [column for column in top_new[row].tolist() if column >= 0]
            bought = lanes.types[user]
            new_offers = [
                Offer(
                    items[c], score, DISCOVERY, data.item_l2[items[c]], kinds[items[c]],
                    _new(lanes, kinds[items[c]] in bought),
                )
                for c, score in zip(places, new[row, places].tolist(), strict=True)
            ]  # fmt: skip
            yield user, old_offers, new_offers


def _new_scores(lanes: _Lanes, users: Indices, known: Indices) -> npt.NDArray[np.float32]:
    """Discovery scores inside an assortment: float32 (n_users, n_known), -inf for what is no candidate."""
    weight = lanes.multiplier[known]
    scores: npt.NDArray[np.float32]
    if lanes.affinity is None:
        scores = np.repeat(weight[None, :], len(users), axis=0)
    else:
        scores = (lanes.affinity[0][users] @ lanes.affinity[1][known].T) * weight
    scores[:, weight == 0] = -np.inf
    return scores


def _old(lanes: _Lanes, times: float) -> str:
    """Reason of a repeat item; a code that starts with `rule_` says that the simple rule served the lane."""
    if lanes.repeat_rule:
        return "rule_bought_often"
    return "bought_regularly" if times >= REGULAR_FROM_TIMES else "bought_before"


def _new(lanes: _Lanes, type_is_known: bool) -> str:
    """Reason of a discovery item; `new_for_you` is a product type that the consumer never bought."""
    if lanes.affinity is None:
        return "rule_popular_new"
    return "bought_by_similar" if type_is_known else "new_for_you"


def _schema(table: str) -> dict[str, pl.DataType]:
    return {column.name: _DTYPES[column.type] for column in PUBLISHED_TABLES[table].columns}


def _publish(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Columns, dtypes and order of a published table."""
    schema = _schema(table)
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort(
        PUBLISHED_TABLES[table].key
    )
