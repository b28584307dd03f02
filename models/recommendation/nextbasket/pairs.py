"""Candidate pairs of consumer and item with everything that is known of them before a moment.

Candidates are the best of TIFU-KNN and of UP-CF, bought before or not; features are counts, ages, rhythm and
the scores of both with their ranks. Blocks of consumers are dense, the whole never is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from models.recommendation.config import TifuParams
from models.recommendation.interactions import Floats, Indices
from models.recommendation.lists.fusion import rank_in_row
from models.recommendation.lists.ranking import top_k_dense
from models.recommendation.nextbasket.history import History, popularity_of
from models.recommendation.nextbasket.kernel import Kernel, fit_kernel
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.nextbasket.upcf import KnownItems
from models.recommendation.rankers.repeat import VectorPool

FEATURES = (
    "times", "share_of_baskets", "days_since_last", "days_since_first", "mean_interval_days", "overdue_ratio",
    "baskets_since_last", "times_28d", "decay_30d", "decay_90d", "due", "own_vector", "neighbours", "tifu",
    "tifu_rank", "upcf", "upcf_rank", "category_times", "category_days_since_last", "category_decay_30d",
    "item_baskets", "item_buyers", "item_repeat_rate", "item_decay_7d", "item_decay_30d", "item_trend",
    "user_baskets", "user_items", "user_basket_size", "user_days_since_last", "user_days",
)  # fmt: skip
_NONE_IS_ZERO = frozenset(
    {
        "times",
        "share_of_baskets",
        "times_28d",
        "decay_30d",
        "decay_90d",
        "category_times",
        "category_decay_30d",
    }
)
_CELLS_A_BLOCK = 16_000_000
_MOST_USERS_A_BLOCK = 512


@dataclass(frozen=True)
class Pairs:
    """Candidates with features, ordered by (user, item).

    Attributes:
        user: int64 (n,).
        item: int64 (n,).
        values: float32 (n, len(FEATURES)); NaN where something is not known.
    """

    user: Indices
    item: Indices
    values: npt.NDArray[np.float32]

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One feature, float32 (n,)."""
        return np.asarray(self.values[:, FEATURES.index(name)])


@dataclass(frozen=True)
class Known:
    """What each consumer did with each item, or each category, that it knows.

    Attributes:
        key: int64, ascending: user * number of items (categories) + item (category).
        values: Feature name to float64, one a key.
    """

    key: Indices
    values: dict[str, npt.NDArray[np.float64]]

    def at(self, wanted: Indices) -> dict[str, npt.NDArray[np.float64]]:
        """The features of keys, float64 (n,) each; nothing known is 0 for counts and NaN for ages."""
        if len(self.key) == 0:
            found, place = np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
        else:
            place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
            found = self.key[place] == wanted
        return {
            name: np.where(
                found, values[place] if len(values) else 0.0, 0.0 if name in _NONE_IS_ZERO else np.nan
            )
            for name, values in self.values.items()
        }


@dataclass
class Scene:
    """A history under fixed settings, with what all consumers share computed once.

    Attributes:
        history: What is known.
        tifu: Settings of TIFU-KNN.
        upcf: Settings of UP-CF.
        window: Days ahead that `due` looks; with the next basket, the mean gap between baskets.
    """

    history: History
    tifu: TifuParams
    upcf: UpcfParams
    window: float
    counts: sp.csr_matrix = field(init=False)
    popularity: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.counts = self.history.counts()
        self.popularity = popularity_of(self.counts)
        self._vectors = self.history.tifu(self.tifu)
        self._pool, self._known_items = VectorPool(self._vectors), KnownItems(self.counts)
        self._shares = self.history.shares(self.upcf.recency)
        self._own = own_pairs(self.history, self.window)
        self._categories = category_pairs(self.history)
        self._items = _item_values(self.history, self.counts, self.popularity)
        self._users = _user_values(self.history, self.counts)

    def pairs(self, users: Indices, candidates: int, allowed: npt.NDArray[np.bool_] | None = None) -> Pairs:
        """Candidates of some consumers.

        Args:
            users: int64 (n,), ascending.
            candidates: Items from TIFU-KNN a consumer, a quarter as many from UP-CF.
            allowed: bool (n_items,); None allows everything.
        """
        size = max(1, min(_MOST_USERS_A_BLOCK, _CELLS_A_BLOCK // max(self.history.n_items, 1)))
        parts = [
            self._block(users[start : start + size], candidates, allowed)
            for start in range(0, len(users), size)
        ]
        if not parts:
            empty = np.zeros(0, np.int64)
            return Pairs(empty, empty, np.zeros((0, len(FEATURES)), np.float32))
        return Pairs(
            np.concatenate([one.user for one in parts]),
            np.concatenate([one.item for one in parts]),
            np.concatenate([one.values for one in parts]),
        )

    def _block(self, part: Indices, candidates: int, allowed: npt.NDArray[np.bool_] | None) -> Pairs:
        own = self._vectors[part].toarray()
        links = self._pool.nearest(self._vectors[part], part, self.tifu.neighbours)
        neighbours = (links @ self._vectors).toarray()
        tifu = np.float32(self.tifu.own_weight) * own + np.float32(1 - self.tifu.own_weight) * neighbours
        upcf = (self._known_items.similar(part, self.upcf) @ self._shares).toarray()
        keys = [
            _keys(_top(tifu, candidates, allowed), self.history.n_items),
            _keys(_top(upcf, max(candidates // 4, 1), allowed), self.history.n_items),
        ]
        row, item = np.divmod(np.unique(np.concatenate(keys)), self.history.n_items)
        user = part[row]
        known = self._known(user, item)
        values = known | self._users_of(user) | self._items_of(item)
        values |= {
            "own_vector": own[row, item],
            "neighbours": neighbours[row, item],
            "tifu": tifu[row, item],
            "tifu_rank": rank_in_row(row, tifu[row, item]),
            "upcf": upcf[row, item],
            "upcf_rank": rank_in_row(row, upcf[row, item]),
        }
        return Pairs(user, item, np.column_stack([values[name] for name in FEATURES]).astype(np.float32))

    def _known(self, user: Indices, item: Indices) -> dict[str, npt.NDArray[np.float64]]:
        history = self.history
        own = self._own.at(user * history.n_items + item)
        return own | self._categories.at(user * history.n_categories + history.category[item])

    def _users_of(self, user: Indices) -> dict[str, npt.NDArray[np.float64]]:
        return {name: values[user] for name, values in self._users.items()}

    def _items_of(self, item: Indices) -> dict[str, npt.NDArray[np.float64]]:
        return {name: values[item] for name, values in self._items.items()}


def own_pairs(history: History, window: float) -> Known:
    """Counts, ages and rhythm of every pair that was bought.

    Args:
        history: Rows ordered by (user, item, basket).
        window: Days ahead that `due` looks.
    """
    every = history.user * history.n_items + history.item
    start = _starts(every)
    last = np.append(start[1:], len(every)) - 1
    times = (last - start + 1).astype(np.float64)
    newest, oldest = history.age[last], history.age[start]
    kernel = item_kernel(history)
    interval = np.where(times > 1, (oldest - newest) / np.maximum(times - 1, 1), np.nan)
    return Known(
        every[start],
        {
            "times": times,
            "share_of_baskets": times / history.total[start],
            "days_since_last": newest,
            "days_since_first": oldest,
            "mean_interval_days": interval,
            "overdue_ratio": newest / np.maximum(interval, 0.5),
            "baskets_since_last": history.place[last].astype(np.float64),
            "times_28d": _summed(history.age < 28, start),
            "decay_30d": _summed(np.exp(-history.age / 30), start),
            "decay_90d": _summed(np.exp(-history.age / 90), start),
            "due": kernel.due(history.item[start], newest, window),
        },
    )


def category_pairs(history: History) -> Known:
    """Counts and ages of every category that was bought from."""
    every = history.user * history.n_categories + history.category[history.item]
    order = np.lexsort((history.age, every))
    every, age = every[order], history.age[order]
    start = _starts(every)
    return Known(
        every[start],
        {
            "category_times": _summed(np.ones(len(every)), start),
            "category_days_since_last": age[start],
            "category_decay_30d": _summed(np.exp(-age / 30), start),
        },
    )


def _starts(key: Indices) -> Indices:
    """Where each run of equal keys begins."""
    return np.flatnonzero(np.diff(key, prepend=-1) != 0)


def _summed(value: npt.NDArray[np.generic], start: Indices) -> npt.NDArray[np.float64]:
    """Sums of the runs that begin at `start`."""
    if len(start) == 0:
        return np.zeros(0)
    return np.asarray(np.add.reduceat(value.astype(np.float64), start), dtype=np.float64)


def item_kernel(history: History) -> Kernel:
    """The repurchase kernel of every item, from the gaps of all consumers."""
    every = history.user * history.n_items + history.item
    again = np.flatnonzero(np.diff(every) == 0)
    gap = history.age[again] - history.age[again + 1]
    item = history.item[again]
    real = gap > 0
    return fit_kernel(item[real], gap[real], history.category)


def _top(scores: Floats, k: int, allowed: npt.NDArray[np.bool_] | None) -> Indices:
    rankable = scores > 0 if allowed is None else (scores > 0) & allowed[None, :]
    return top_k_dense(np.where(rankable, scores, np.float32(-np.inf)), k)


def _keys(top: Indices, n_items: int) -> Indices:
    row, place = np.nonzero(top >= 0)
    return np.asarray(row * n_items + top[row, place], dtype=np.int64)


def _item_values(
    history: History, counts: sp.csr_matrix, popularity: Floats
) -> dict[str, npt.NDArray[np.float64]]:
    buyers = np.bincount(counts.indices, minlength=history.n_items).astype(np.float64)
    week, month = (
        np.bincount(history.item, np.exp(-history.age / days), history.n_items).astype(np.float64)
        for days in (7, 30)
    )
    bought = popularity.astype(np.float64)
    return {
        "item_baskets": bought,
        "item_buyers": buyers,
        "item_repeat_rate": bought / np.maximum(buyers, 1),
        "item_decay_7d": week,
        "item_decay_30d": month,
        "item_trend": month / np.maximum(bought, 1),
    }


def _user_values(history: History, counts: sp.csr_matrix) -> dict[str, npt.NDArray[np.float64]]:
    baskets, newest, oldest = (np.zeros(history.n_users) for _ in range(3))
    newest[:] = np.inf
    baskets[history.user] = history.total
    np.minimum.at(newest, history.user, history.age)
    np.maximum.at(oldest, history.user, history.age)
    lines = np.bincount(history.user, minlength=history.n_users).astype(np.float64)
    return {
        "user_baskets": baskets,
        "user_items": np.diff(counts.indptr).astype(np.float64),
        "user_basket_size": np.asarray(lines / np.maximum(baskets, 1), dtype=np.float64),
        "user_days_since_last": np.where(np.isfinite(newest), newest, np.nan),
        "user_days": oldest,
    }
