"""Batch scoring: one blended list per active (consumer, merchant) pair, and each merchant's popular items.

Reads frames and bundles, returns the published frames. A list is made from what the consumer bought at
that merchant (see `tenancy`). A missing bundle means that the simple rule serves its lane, and the reason
codes say so. Nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.recommendation.bundle import load_discovery, load_repeat
from models.recommendation.config import RecommendationConfig
from models.recommendation.interactions import Indices, Interactions, index_lines, merchandise
from models.recommendation.lists.blend import (
    DISCOVERY,
    POPULAR,
    REPEAT,
    Offer,
    Rules,
    blend,
    exploration_pools,
    explore,
    unit_draws,
)
from models.recommendation.lists.lanes import (
    Active,
    Catalogue,
    DiscoveryLane,
    RepeatLane,
    active_histories,
    catalogue_of,
    discovery_lane,
    repeat_lane,
)
from models.recommendation.lists.ranking import top_k_dense
from models.recommendation.lists.tenancy import by_history, histories
from models.recommendation.rankers.content import diversified
from models.recommendation.rankers.discovery import USERS_A_CHUNK
from models.recommendation.rankers.popular import assortments, popular_items
from models.recommendation.rankers.ranker import named_pairs

REGULAR_FROM_TIMES = 3
EXPLORED_SCHEMA: dict[str, pl.DataType] = {
    "consumer_id": pl.String(),
    "merchant_id": pl.String(),
    "rank": pl.Int64(),
    "sku_id": pl.String(),
    "propensity": pl.Float64(),
    "rate": pl.Float64(),
    "usual_sku_id": pl.String(),
    "pool": pl.List(pl.String()),
}
_DTYPES: dict[str, pl.DataType] = {"text": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
_Row = tuple[str, str, int, str, float, str, str, float]
_Draw = tuple[str, str, int, str, float, float, str, list[str]]


@dataclass(frozen=True)
class RecommendationScores:
    """Published frames, dtypes as in `PUBLISHED_TABLES` (text String, int Int64, float Float64).

    Attributes:
        recommendations: See `PUBLISHED_TABLES["recommendations"]`; ordered by key. `score` is comparable
            inside a lane of one list only.
        popular_items: See `PUBLISHED_TABLES["popular_items"]`; ordered by key.
        repeat_vectors: `consumer_id`, `merchant_id` (null: of every merchant), `sku_id` and the features that
            the ranker read, one row a pair that some list shows in the repeat lane; zero rows where no ranker
            serves.
        explored: One row a slot that was randomised, `EXPLORED_SCHEMA`: what it shows with which probability,
            what it shows otherwise (probability 1 - `rate`), and the pool that is drawn from uniformly.
    """

    recommendations: pl.DataFrame
    popular_items: pl.DataFrame
    repeat_vectors: pl.DataFrame
    explored: pl.DataFrame


def score(
    lines: pl.DataFrame,
    listings: pl.DataFrame,
    as_of: datetime,
    repeat_bundle: Path | None,
    discovery_bundle: Path | None,
    config: RecommendationConfig | None = None,
    *,
    in_stock: Collection[str] | None = None,
    products: pl.DataFrame | None = None,
    platform_wide: Collection[str] = (),
    stopped: Collection[str] = (),
    halved: Collection[str] = (),
) -> RecommendationScores:
    """Score every pair that was active in the last `active_days`.

    The slots `exploration_ranks` are randomised, each for itself: with probability `exploration_rate` a slot
    shows a uniform draw from its own pool of discovery items outside the list, new skus among them. The
    logged propensity is the true probability of what it shows; every other slot is deterministic,
    propensity 1.

    Args:
        lines: Merchandise lines of `core.fct_order_lines`; rows after `as_of` are dropped.
        listings: `merchant_id`, `sku_id`. Zero rows: the pairs sold in the last `active_days` stand in.
        as_of: Moment of knowledge, tz-aware UTC.
        repeat_bundle: Folder of the repeat lane; None serves GP-TopFreq (`rule_bought_often`).
        discovery_bundle: Folder of the discovery lane; None serves 28-day popularity (`rule_popular_new`).
        config: Settings; the defaults when None.
        in_stock: Skus that may be shown; None shows all listed.
        products: `sku_id`, `category_l2_id`, `category_l3_id` and whatever `content.content_vectors` reads;
            without it nothing that was never sold is shown, and lists are not diversified.
        platform_wide: Consumers who consented to lists made from what they bought at any merchant.
        stopped: Skus that nobody is shown.
        halved: Skus with half the exposure: on each day every second consumer, and every second merchant's
            popular items, by a fixed draw.

    Returns:
        The frames. Works on zero rows.

    Raises:
        BundleError: A bundle is missing, unfinished or of another format.
        ModelError: A required column is missing.
    """
    config = config or RecommendationConfig()
    sold = merchandise(lines).filter(pl.col("placed_at") <= as_of)
    data = index_lines(by_history(sold, platform_wide), as_of)
    market = market_of(
        sold, data, listings, as_of, config,
        in_stock=in_stock, products=products, platform_wide=platform_wide, stopped=stopped, halved=halved,
    )  # fmt: skip
    repeat = repeat_lane(market.known, load_repeat(repeat_bundle) if repeat_bundle is not None else None)
    discovery = discovery_lane(
        market.known, load_discovery(discovery_bundle) if discovery_bundle is not None else None
    )
    lists, explored = lists_of(market, repeat, discovery, config)
    return RecommendationScores(
        lists,
        _publish("popular_items", market.popular),
        _shown_vectors(repeat.pairs, market, lists),
        explored,
    )


@dataclass(frozen=True)
class Market:
    """What lists are made in, whatever scores the lanes.

    Attributes:
        known: The histories that get a list.
        behind: Who stands behind each history, see `tenancy.histories`.
        active: `merchant`, `user`: numbers of the merchants and histories that get a list, ordered.
        assortment: `merchant_id`, `sku_id` that may be shown.
        popular: Each merchant's popular items.
        own: `merchant_id`, `consumer_id`, `sku_id` sold there; None where nobody consented to more.
        halved: Skus with half the exposure.
    """

    known: Active
    behind: pl.DataFrame
    active: pl.DataFrame
    assortment: pl.DataFrame
    popular: pl.DataFrame
    own: pl.DataFrame | None
    halved: frozenset[str]


def market_of(
    sold: pl.DataFrame,
    data: Interactions,
    listings: pl.DataFrame,
    as_of: datetime,
    config: RecommendationConfig,
    *,
    in_stock: Collection[str] | None = None,
    products: pl.DataFrame | None = None,
    platform_wide: Collection[str] = (),
    only: pl.DataFrame | None = None,
    stopped: Collection[str] = (),
    halved: Collection[str] = (),
) -> Market:
    """Prepare what lists are made in.

    Args:
        sold: `interactions.merchandise` up to `as_of`, as known then.
        data: The purchases by history (`tenancy.by_history`); later ones are not looked at.
        listings: As for `score`.
        as_of: Moment of knowledge, tz-aware UTC.
        config: Settings.
        in_stock: As for `score`.
        products: As for `score`.
        platform_wide: As for `score`.
        only: `merchant_id`, `consumer_id`: make lists of these pairs alone; None makes all.
        stopped: As for `score`.
        halved: As for `score`.
    """
    behind = histories(sold, platform_wide)
    owner = dict(behind.select("history", "consumer_id").iter_rows())
    consumers = [owner.get(name, name) for name in data.consumers]
    recent = data.between(as_of - timedelta(days=config.active_days), as_of, as_of)
    active = recent.select("merchant", "user").unique().sort("merchant", "user")
    if only is not None:
        wanted = set(only.select("merchant_id", "consumer_id").iter_rows())
        named = ((data.merchants[merchant], consumers[user]) for merchant, user in active.iter_rows())
        active = active.filter(pl.Series([pair in wanted for pair in named], dtype=pl.Boolean))
    assortment = assortments(sold, listings, as_of, config.active_days, in_stock).filter(
        ~pl.col("sku_id").is_in(sorted(stopped))
    )
    catalogue = catalogue_of(data, assortment["sku_id"].unique(), products, as_of, config.new_days)
    users = np.unique(active["user"].to_numpy())
    return Market(
        active_histories(data, catalogue, users, consumers, as_of, config),
        behind,
        active,
        assortment,
        popular_items(sold, _exposed(assortment, halved, as_of, config), as_of, config),
        sold.select("merchant_id", "consumer_id", "sku_id").unique() if platform_wide else None,
        frozenset(halved),
    )


def _exposed(
    assortment: pl.DataFrame, halved: Collection[str], as_of: datetime, config: RecommendationConfig
) -> pl.DataFrame:
    """The assortment without what is not among its merchant's popular items today."""
    hidden = [
        not _is_exposed(sku, merchant, "", as_of, config) if sku in halved else False
        for merchant, sku in assortment.iter_rows()
    ]
    return assortment.filter(~pl.Series(hidden, dtype=pl.Boolean)) if halved else assortment


def _is_exposed(
    sku: str, merchant: str, consumer: str, as_of: datetime, config: RecommendationConfig
) -> bool:
    """Whether a sku of half exposure is shown there today."""
    words = ("half", str(config.seed), f"{as_of:%Y-%m-%d}", merchant, consumer, sku)
    return unit_draws(*words)[0] < 0.5


def lists_of(
    market: Market, repeat: RepeatLane, discovery: DiscoveryLane, config: RecommendationConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The published recommendations, and the slots that were randomised (`EXPLORED_SCHEMA`)."""
    rows, draws = _lists(market, repeat, discovery, config)
    if market.own is not None:
        rows = _with_true_reasons(rows, market.own)
    explored = pl.DataFrame(draws, schema=EXPLORED_SCHEMA, orient="row")
    return _publish("recommendations", rows), explored.sort("merchant_id", "consumer_id", "rank")


def _with_true_reasons(rows: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Repeat items that were not bought at the list's merchant say `bought_elsewhere`."""
    here = own.with_columns(is_here=pl.lit(value=True))
    elsewhere = (pl.col("lane") == REPEAT) & pl.col("is_here").is_null()
    reason = pl.when(elsewhere).then(pl.lit("bought_elsewhere")).otherwise("reason_code")
    return rows.join(here, on=own.columns, how="left").with_columns(reason_code=reason)


def _shown_vectors(pairs: pl.DataFrame, market: Market, rows: pl.DataFrame) -> pl.DataFrame:
    """What the ranker read of the pairs that some list shows in the repeat lane."""
    keys = ["consumer_id", "merchant_id", "sku_id"]
    shown = rows.filter(pl.col("lane") == REPEAT).select(keys).unique()
    named = named_pairs(pairs, market.known.data).rename({"consumer_id": "history"})
    named = named.join(market.behind, on="history")
    here = named.join(shown, on=keys, how="semi")
    everywhere = named.filter(pl.col("merchant_id").is_null())
    wide = everywhere.join(shown, on=["consumer_id", "sku_id"], how="semi")
    return pl.concat([here, wide]).select(*keys, pl.exclude("history", *keys)).sort(keys)


def _lists(
    market: Market, repeat: RepeatLane, discovery: DiscoveryLane, config: RecommendationConfig
) -> tuple[pl.DataFrame, list[_Draw]]:
    """Blend one list per active pair, merchant by merchant; and what was drawn in the slots that explore."""
    known_of = market.known
    data, catalogue, consumers, as_of = (
        known_of.data, known_of.catalogue, known_of.consumers, known_of.as_of
    )  # fmt: skip
    spacings = [one.spacing for one in (repeat, discovery) if one.spacing is not None]
    spacing = spacings[0] if spacings else max(config.discovery_spacings)
    item_of = {name: item for item, name in enumerate(catalogue.skus)}
    listed = dict(market.assortment.group_by("merchant_id").agg("sku_id").iter_rows())
    ranked: dict[str, list[tuple[int, float, str]]] = {}
    for merchant_id, sku, value, reason in market.popular.select(
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
    place_of = np.empty(len(catalogue.skus), np.int64)
    place_of[known_of.order] = np.arange(len(catalogue.skus))
    ranks = config.exploration_ranks if config.exploration_rate > 0 else ()
    rows: list[_Row] = []
    draws: list[_Draw] = []
    for (merchant,), part in market.active.group_by("merchant", maintain_order=True):
        name = data.merchants[int(str(merchant))]
        known = np.array([item_of[sku] for sku in listed.get(name, []) if sku in item_of], dtype=np.int64)
        known = known[np.argsort(place_of[known])]
        halved = [(item_of[sku], sku) for sku in sorted(market.halved.intersection(listed.get(name, [])))]
        shown = [
            Offer(item, value, POPULAR, catalogue.l2[item], catalogue.l3[item], reason)
            for item, value, reason in ranked.get(name, [])
        ]
        places = np.searchsorted(known_of.users, part["user"].to_numpy())
        for place, own, new, untried in _merchant_offers(known_of, repeat, discovery, places, known, config):
            consumer = consumers[int(known_of.users[place])]
            hidden = {item for item, sku in halved if not _is_exposed(sku, name, consumer, as_of, config)}
            lanes = {
                REPEAT: _without(hidden, own),
                DISCOVERY: _without(hidden, new()),
                POPULAR: _without(hidden, iter(shown)),
            }
            chosen = blend(lanes, rules)
            tried = _alternately(_without(hidden, new()), _without(hidden, untried()))
            pools = exploration_pools(chosen, tried, rules, ranks, config.exploration_pool)
            propensity = dict.fromkeys(pools, 1.0)
            for rank, pool in pools.items():
                usual = chosen[rank - 1]
                words = (str(config.seed), f"{as_of:%Y-%m-%d}", name, consumer, str(rank))
                found, propensity[rank] = explore(usual, pool, config.exploration_rate, unit_draws(*words))
                if propensity[rank] < 1:
                    skus = [catalogue.skus[offer.item] for offer in (found, usual, *pool)]
                    odds = (propensity[rank], config.exploration_rate)
                    draws.append((consumer, name, rank, skus[0], *odds, skus[1], skus[2:]))
                if found is not usual:
                    chosen[rank - 1] = found._replace(reason="exploring")
            rows += [
                (
                    name,
                    consumer,
                    rank,
                    catalogue.skus[offer.item],
                    offer.score,
                    offer.lane,
                    offer.reason,
                    propensity.get(rank, 1.0),
                )
                for rank, offer in enumerate(chosen, start=1)
            ]
    return pl.DataFrame(rows, schema=_schema("recommendations"), orient="row"), draws


def _without(hidden: set[int], offers: Iterator[Offer]) -> Iterator[Offer]:
    return (offer for offer in offers if offer.item not in hidden) if hidden else offers


def _alternately(first: Iterator[Offer], second: Iterator[Offer]) -> Iterator[Offer]:
    """One of each in turn, then what is left of the longer."""
    return (offer for offer in chain.from_iterable(zip_longest(first, second)) if offer is not None)


def _merchant_offers(
    active: Active,
    repeat: RepeatLane,
    discovery: DiscoveryLane,
    places: Indices,
    known: Indices,
    config: RecommendationConfig,
) -> Iterator[tuple[int, Iterator[Offer], Callable[[], Iterator[Offer]], Callable[[], Iterator[Offer]]]]:
    """Offers of a merchant's histories inside its assortment (`known`, in tie order).

    Yields the place of a history, its repeat offers, its discovery offers, and the best of what is new. Most
    of the offers are never looked at: they are made on the way.
    """
    catalogue = active.catalogue
    depth = 2 * config.list_length
    fresh = np.flatnonzero(catalogue.new[known] & (discovery.multiplier[known] > 0))
    for start in range(0, len(places), USERS_A_CHUNK):
        part = places[start : start + USERS_A_CHUNK]
        times = active.times[part][:, known].toarray()
        own = repeat.scores[part][:, known].toarray()
        own[(times == 0) | (own <= 0)] = -np.inf
        new = _new_scores(discovery, part, known)
        new[times > 0] = -np.inf
        top_own, top_new = top_k_dense(own, depth), top_k_dense(new, depth)
        if active.likeness is not None:
            likeness = active.likeness[known]
            top_new = diversified(top_new, new, likeness, config.diversity, config.list_length)
        top_fresh = top_k_dense(new[:, fresh], config.exploration_pool)
        for row, place in enumerate(part.tolist()):
            bought = active.types[place]
            mine = top_own[row][top_own[row] >= 0]
            found = top_new[row][top_new[row] >= 0]
            tried = fresh[top_fresh[row][top_fresh[row] >= 0]]
            yield (
                place,
                _repeats(catalogue, repeat, known[mine], own[row, mine], times[row, mine]),
                partial(_discoveries, catalogue, discovery, bought, known[found], new[row, found]),
                partial(_discoveries, catalogue, discovery, bought, known[tried], new[row, tried]),
            )


def _repeats(
    catalogue: Catalogue,
    lane: RepeatLane,
    items: Indices,
    scores: npt.NDArray[np.float32],
    times: npt.NDArray[np.float32],
) -> Iterator[Offer]:
    for item, score, count in zip(items.tolist(), scores.tolist(), times.tolist(), strict=True):
        reason = _old(count, is_rule=lane.is_rule)
        yield Offer(item, score, REPEAT, catalogue.l2[item], catalogue.l3[item], reason)


def _discoveries(
    catalogue: Catalogue,
    lane: DiscoveryLane,
    bought: set[int],
    items: Indices,
    scores: npt.NDArray[np.float32],
) -> Iterator[Offer]:
    for item, score in zip(items.tolist(), scores.tolist(), strict=True):
        kind = catalogue.l3[item]
        reason = _new(lane, kind in bought, bool(catalogue.new[item]))
        yield Offer(item, score, DISCOVERY, catalogue.l2[item], kind, reason)


def _new_scores(lane: DiscoveryLane, places: Indices, known: Indices) -> npt.NDArray[np.float32]:
    """Discovery scores inside an assortment: float32 (n_places, n_known), -inf for what is no candidate."""
    weight = lane.multiplier[known]
    scores: npt.NDArray[np.float32]
    if lane.affinity is None:
        scores = np.repeat(weight[None, :], len(places), axis=0)
    else:
        scores = (lane.affinity[0][places] @ lane.affinity[1][known].T) * weight
        if lane.beside is not None:
            may = np.flatnonzero(weight)
            scores[:, may] = lane.beside.added_to(scores[:, may], places, known[may])
    scores[:, weight == 0] = -np.inf
    return scores


def _old(times: float, *, is_rule: bool) -> str:
    """Reason of a repeat item; a code that starts with `rule_` says that the simple rule served the lane."""
    if is_rule:
        return "rule_bought_often"
    return "bought_regularly" if times >= REGULAR_FROM_TIMES else "bought_before"


def _new(lane: DiscoveryLane, type_is_known: bool, is_new: bool) -> str:
    """Reason of a discovery item; `new_for_you` is a product type that was never bought in the history."""
    if is_new:
        return "new_product"
    if lane.affinity is None:
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
