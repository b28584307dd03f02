"""Lists measured as they are served: the merchant's own skus and history, quotas, and both lanes in one list.

The same code makes the lists as in scoring. Only the draws of the slots that explore are left out, because
their cost is known (a slot in ten each) and would hide differences between systems.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import IntArray, ndcg_at_k, recall_at_k
from models.recommendation.bundle import DiscoveryBundle, RepeatBundle
from models.recommendation.config import RecommendationConfig
from models.recommendation.interactions import index_lines, merchandise
from models.recommendation.lists.lanes import Active, discovery_lane, repeat_lane
from models.recommendation.lists.tenancy import by_history
from models.recommendation.scoring import lists_of, market_of
from models.splits import Cut
from models.states import known_at

K = 10
ANY, NEW = "any", "new"
"""What counts as found: everything bought at the merchant in the window, or what was never bought there."""
Lane = TypeVar("Lane")
Bundle = TypeVar("Bundle")
Bundles = tuple[RepeatBundle | None, DiscoveryBundle | None]


@dataclass(frozen=True)
class Served:
    """One system's lists on one cut; a place is a list whose consumer bought something that counts.

    Attributes:
        consumers: Consumer of each place; consumers are the units of intervals.
        recall: float64 (n_places,), Recall@10.
        ndcg: float64 (n_places,), truncated NDCG@10.
        coverage: Share of the skus that the lists hold at all that occur in the first ten of some list.
    """

    consumers: list[str]
    recall: npt.NDArray[np.float64]
    ndcg: npt.NDArray[np.float64]
    coverage: float


def as_served(
    lines: pl.DataFrame,
    cut: Cut,
    systems: Mapping[str, Bundles],
    config: RecommendationConfig,
    *,
    listings: pl.DataFrame | None = None,
    products: pl.DataFrame | None = None,
    platform_wide: Collection[str] = (),
) -> dict[str, dict[str, Served]]:
    """Make and measure the lists of some systems at a cut.

    A list is measured on what its consumer bought at its merchant in the window: with `any` by its first ten
    items, with `new` by its first ten discovery items, on what the consumer had never bought there.

    Args:
        lines: Sale lines in every state that was known at some time; rows after the cut are the truth.
        cut: Lists are made from what was known at the origin.
        systems: Name to the bundles of both lanes, fitted at or before the origin; None serves the rule.
        config: Settings of scoring.
        listings: `merchant_id`, `sku_id` at the origin; None: pairs sold in the `active_days` before it.
        products: As for `scoring.score`.
        platform_wide: As for `scoring.score`.

    Returns:
        System to `any` and `new`.
    """
    rows = merchandise(lines).drop_nulls("consumer_id")
    sold = rows.filter((pl.col("placed_at") <= cut.origin) & known_at(cut.origin))
    data = index_lines(by_history(rows, platform_wide), cut.origin)
    key = ["merchant_id", "consumer_id", "sku_id"]
    before = sold.select(key).unique()
    inside = pl.col("placed_at").is_between(cut.origin, cut.end, closed="right")
    bought = rows.filter(inside & pl.col("superseded_at").is_null()).select(key).unique()
    truth = {ANY: bought, NEW: bought.join(before, on=key, how="anti")}
    listed = pl.DataFrame(schema={"merchant_id": pl.String, "sku_id": pl.String})
    config = replace(config, exploration_rate=0.0)
    market = market_of(
        sold,
        data,
        listed if listings is None else listings,
        cut.origin,
        config,
        products=products,
        platform_wide=platform_wide,
        only=bought,
    )
    # Systems share lanes: each is scored once.
    repeats = _once(repeat_lane, market.known, [repeat for repeat, _ in systems.values()])
    discoveries = _once(discovery_lane, market.known, [discovery for _, discovery in systems.values()])
    out = {}
    for name, (repeat, discovery) in systems.items():
        lists, _ = lists_of(market, repeats[id(repeat)], discoveries[id(discovery)], config)
        tenth = pl.col("rank").rank("ordinal").over("merchant_id", "consumer_id")
        ranked = {
            ANY: lists.filter(pl.col("rank") <= K),
            NEW: lists.filter(pl.col("lane") == "discovery").with_columns(rank=tenth),
        }
        out[name] = {what: _measured(ranked[what], lists, truth[what]) for what in (ANY, NEW)}
    return out


def _once(
    lane: Callable[[Active, Bundle | None], Lane], known: Active, bundles: Sequence[Bundle | None]
) -> dict[int, Lane]:
    """A lane by each bundle, by the identity of the bundle."""
    return {key: lane(known, one) for key, one in {id(one): one for one in bundles}.items()}


def unit_metric(served: Served, units: list[str]) -> Metric:
    """Mean NDCG@10 over the places of drawn consumers, for `gate.decide`.

    Args:
        served: One system.
        units: Every consumer that is measured, sorted; the same for all systems that are compared.
    """
    where = np.searchsorted(np.array(units), np.array(served.consumers, dtype=np.str_))
    total = np.bincount(where, served.ndcg, len(units)).astype(np.float64)
    places = np.bincount(where, minlength=len(units)).astype(np.float64)
    return Metric(total, places)


@dataclass(frozen=True)
class Metric:
    """A mean over the places of drawn units.

    Attributes:
        total: float64 (n_units,), sum over the places of a unit.
        places: float64 (n_units,), their number.
    """

    total: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64]

    def __call__(self, drawn: IntArray) -> float:
        """The mean over the places of the drawn units."""
        return float(self.total[drawn].sum() / max(self.places[drawn].sum(), 1.0))


def _measured(ranked: pl.DataFrame, lists: pl.DataFrame, truth: pl.DataFrame) -> Served:
    """Measure lists on the pairs that have one and bought something that counts."""
    pair = ["merchant_id", "consumer_id"]
    wanted = (
        truth.join(lists.select(pair).unique(), on=pair, how="semi")
        .group_by(pair)
        .agg(relevant=pl.len())
        .sort(pair)
        .with_row_index("place")
    )
    top = ranked.filter(pl.col("rank") <= K)
    found = top.join(truth, on=[*pair, "sku_id"], how="semi").join(wanted, on=pair)
    hits = np.zeros((wanted.height, K), np.bool_)
    hits[found["place"].to_numpy(), found["rank"].to_numpy().astype(np.int64) - 1] = True
    relevant = wanted["relevant"].to_numpy().astype(np.int64)
    return Served(
        wanted["consumer_id"].to_list(),
        recall_at_k(hits, relevant),
        ndcg_at_k(hits, relevant, truncate_ideal=True),
        top["sku_id"].n_unique() / max(lists["sku_id"].n_unique(), 1),
    )
