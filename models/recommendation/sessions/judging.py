"""Sessions of the past: a part of a basket is shown, the rest of it must be found in the consumer's list.

The list is what the consumer bought most often at the merchant, filled up with what is popular there. What
was viewed is not known of the past, and a basket tells no order of its lines: a random half stands for what
was put into the cart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import ndcg_at_k, recall_at_k
from models.recommendation.interactions import Interactions
from models.recommendation.sessions.links import SessionSettings
from models.recommendation.sessions.order import POINTS, by_links

K = 10
SESSION = "session_links"
AS_IT_IS, POPULAR, LINKS_ALONE = "list_as_it_is", "popular_now", "item_knn"
RULES = (AS_IT_IS, POPULAR, LINKS_ALONE)
_POPULAR_DAYS = 28
Links = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Session:
    """A basket of the window.

    Attributes:
        consumer: Whose.
        shown: Skus that were put into the cart.
        rest: The other skus of the basket.
        items: The consumer's list without what is shown, best first.
        popular: What is popular at the merchant without what is shown, best first.
    """

    consumer: int
    shown: tuple[str, ...]
    rest: frozenset[str]
    items: tuple[str, ...]
    popular: tuple[str, ...]


def sessions(data: Interactions, origin: datetime, end: datetime, settings: SessionSettings) -> list[Session]:
    """The baskets of a window at merchants where their consumer had bought before.

    Args:
        data: Purchases.
        origin: What is known.
        end: End of the window.
        settings: How many, and how long lists are.
    """
    before = data.until(origin)
    own = before.group_by("merchant", "user", "item").agg(times=pl.col("basket").n_unique())
    everybody = before.group_by("merchant", "item").agg(baskets=pl.col("basket").n_unique())
    recent = pl.col("at") > origin - pl.duration(days=_POPULAR_DAYS)
    now = before.filter(recent).group_by("merchant", "item").agg(baskets=pl.col("basket").n_unique())
    usual, lately = _ranked(everybody, settings), _ranked(now, settings)
    known = {
        (merchant, user): dict(zip(items, times, strict=True))
        for merchant, user, items, times in own.group_by("merchant", "user").agg("item", "times").iter_rows()
    }
    window = (
        data.between(origin, end)
        .filter(pl.col("item").is_in(before["item"].unique().implode()))
        .group_by("basket", "merchant", "user")
        .agg(pl.col("item").unique().sort())
        .filter(pl.col("item").list.len() >= settings.least_items)
        .sort("basket", "merchant", "user")
    )
    rng = np.random.default_rng(settings.seed)
    out = []
    for place in np.sort(rng.permutation(window.height)[: settings.most_baskets]).tolist():
        _, merchant, user, items = window.row(place)
        mixed = rng.permutation(np.array(items))
        shown, rest = mixed[: len(mixed) // 2].tolist(), mixed[len(mixed) // 2 :].tolist()
        mine = known.get((merchant, user))
        if mine is None:
            continue
        order = {item: number for number, item in enumerate(usual.get(merchant, ()))}
        best = sorted(mine, key=lambda item: (-mine[item], order.get(item, len(order)), item))
        listed = [item for item in dict.fromkeys([*best, *order]) if item not in shown]
        popular = [item for item in lately.get(merchant, ()) if item not in shown]
        skus = data.skus
        out.append(
            Session(
                user,
                tuple(skus[item] for item in shown),
                frozenset(skus[item] for item in rest),
                tuple(skus[item] for item in listed[: settings.list_length]),
                tuple(skus[item] for item in popular[: settings.list_length]),
            )
        )
    return out


def _ranked(baskets: pl.DataFrame, settings: SessionSettings) -> dict[int, list[int]]:
    """A merchant's items by falling number of baskets."""
    ordered = baskets.sort("merchant", "baskets", "item", descending=[False, True, False])
    most = pl.col("item").head(4 * settings.list_length)
    return dict(ordered.group_by("merchant", maintain_order=True).agg(most).iter_rows())


@dataclass(frozen=True)
class Found:
    """What one way to order the lists finds.

    Attributes:
        ndcg: float64 (n_sessions,), truncated NDCG@10.
        recall: float64 (n_sessions,), Recall@10.
    """

    ndcg: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


def measured(tried: Sequence[Session], links: Links) -> dict[str, Found]:
    """What the lane and the simple rules find, by name.

    Args:
        tried: Sessions.
        links: Learnt from what was known at their origin.
    """

    def ordered(one: Session) -> list[str]:
        points = dict.fromkeys(one.shown, float(POINTS["add_to_cart"]))
        moved = by_links(one.items, points, links)
        return [one.items[place] for place in sorted(range(len(moved)), key=lambda place: moved[place].at)]

    def alone(one: Session) -> list[str]:
        worth: dict[str, float] = {}
        for sku in one.shown:
            for linked, weight in links.get(sku, {}).items():
                worth[linked] = worth.get(linked, 0.0) + weight
        return sorted(worth.keys() - set(one.shown), key=lambda sku: (-worth[sku], sku))

    ways: dict[str, Callable[[Session], Sequence[str]]] = {
        SESSION: ordered,
        AS_IT_IS: lambda one: one.items,
        POPULAR: lambda one: one.popular,
        LINKS_ALONE: alone,
    }
    relevant = np.array([len(one.rest) for one in tried], dtype=np.int64)
    out = {}
    for name, way in ways.items():
        hits = np.zeros((len(tried), K), np.bool_)
        for row, one in enumerate(tried):
            top = list(way(one))[:K]
            hits[row, : len(top)] = [sku in one.rest for sku in top]
        out[name] = Found(ndcg_at_k(hits, relevant, truncate_ideal=True), recall_at_k(hits, relevant))
    return out
