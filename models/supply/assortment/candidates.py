"""Which skus a merchant may be told of: the best of the pool by four ways, never what it has already.

The pool is looked at whole: exact products by blocks, of which only what beats a merchant's best so far is
kept. At 2,000,000 skus that needs no approximate index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.history import Floats, History, Ints
from models.supply.assortment.vectors import Vectors

_BLOCK = 32_768
_MERCHANTS = 256
_PLATFORM = 1e-3
"""What a merchant of another scene counts beside one of the own: it decides between equals."""


@dataclass(frozen=True)
class Signals:
    """What is known of merchants and skus, before any pair.

    Attributes:
        past: What was known.
        vectors: Vectors of both.
        scene: int64 (n_merchants,), number of the scene.
        popular: float32 (n_scenes, n_skus), merchants of the scene that sold the sku of late.
        neighbours: CSR (n_asked, n_merchants), squared likeness of the nearest others.
        sold: CSR (n_merchants, n_skus), 1 where sold within the window.
        lines: CSR (n_merchants, n_skus), lines within the window.
    """

    past: History
    vectors: Vectors
    scene: Ints
    popular: Floats
    neighbours: sp.csr_matrix
    sold: sp.csr_matrix
    lines: sp.csr_matrix


@dataclass(frozen=True)
class Pairs:
    """Merchants and skus that may be told of each other, by merchant and sku.

    Attributes:
        merchant: int64 (n,), place among the asked.
        sku: int64 (n,).
    """

    merchant: Ints
    sku: Ints


def signals(past: History, vectors: Vectors, config: AssortmentConfig) -> Signals:
    """Look at what was known."""
    window = past.recent(config.window_days)
    late = past.pairs(past.recent(config.popular_days))
    scene = past.world.merchants["scene"].rank("dense").cast(pl.Int64).to_numpy() - 1
    scenes = sp.csr_matrix(
        (np.ones(len(scene), np.float32), (scene, np.arange(len(scene)))),
        shape=(int(scene.max(initial=0)) + 1, len(scene)),
    )
    popular = np.asarray((scenes @ late).toarray(), np.float32)
    popular += np.float32(_PLATFORM) * popular.sum(axis=0)
    return Signals(
        past,
        vectors,
        scene,
        popular,
        _neighbours(past, config.neighbours),
        past.pairs(window),
        past.table(window),
    )


def _neighbours(past: History, most: int) -> sp.csr_matrix:
    """Squared cosine of what merchants have, rarer skus more; the nearest others of each asked merchant."""
    merchants = past.shape[0]
    bearers = np.asarray(past.started.sum(axis=0)).ravel()
    table = past.started @ sp.diags_array(np.log1p(merchants / np.maximum(bearers, 1)).astype(np.float32))
    length = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    table = sp.csr_matrix(sp.diags_array(1 / np.maximum(length, 1e-9)) @ table, dtype=np.float32)
    likeness = np.asarray((table[past.asked] @ table.T).toarray(), np.float32)
    likeness[np.arange(len(past.asked)), past.asked] = 0
    if most < merchants:
        least = -np.partition(-likeness, most - 1, axis=1)[:, most - 1]
        likeness[likeness < least[:, None]] = 0
    return sp.csr_matrix(likeness**2)


def similar(told: Signals, merchant: int, table: sp.csr_matrix) -> Floats:
    """What an asked merchant's neighbours have of each sku, by likeness: float32 (n_skus,)."""
    return np.asarray((told.neighbours[merchant] @ table).toarray(), np.float32).ravel()


def candidates(told: Signals, config: AssortmentConfig) -> Pairs:
    """The pairs that are worth a look.

    Args:
        told: What is known.
        config: Settings: how many by each way.
    """
    past, goods, unsold = told.past, told.vectors.goods, told.vectors.unsold
    order = [np.argsort(-row, kind="stable") for row in told.popular]
    has = [_row(past.started, merchant) for merchant in past.asked]
    is_sold = np.ones(past.shape[1], np.bool_)
    is_sold[unsold] = False
    near = nearest(told.vectors.demand, goods, np.flatnonzero(is_sold), has, config.near)
    new = nearest(told.vectors.demand, goods, unsold, has, config.unsold)
    merchants, skus = [], []
    for place, merchant in enumerate(past.asked):
        free = is_sold.copy()
        free[has[place]] = False
        scene = told.scene[merchant]
        first = order[scene][: config.popular + len(has[place])]
        popular = first[free[first] & (told.popular[scene][first] > 0)][: config.popular]
        liked = np.where(free, similar(told, place, told.sold), 0)
        alike = best(liked, np.flatnonzero(liked > 0), config.similar)
        found = np.unique(np.concatenate([popular, alike, near[place], new[place]]))
        merchants.append(np.full(len(found), place, np.int64))
        skus.append(found.astype(np.int64))
    if not merchants:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Pairs(np.concatenate(merchants), np.concatenate(skus))


def best(values: Floats, among: Ints, most: int) -> Ints:
    """The places with the largest values, best first, equal ones in ascending order.

    Args:
        values: float (n,).
        among: Places that count.
        most: How many at most.
    """
    if len(among) > most:
        least = -np.partition(-values[among], most - 1)[most - 1]
        among = among[values[among] >= least]
    return among[np.lexsort((among, -values[among]))][:most]


def nearest(demand: Floats, goods: Floats, among: Ints, has: list[Ints], most: int) -> list[Ints]:
    """The skus with the largest products, of all skus among some, exactly.

    Args:
        demand: float32 (n, d).
        goods: float32 (n_skus, d).
        among: int64, skus that count, ascending.
        has: For each row of demand, skus that do not count, ascending.
        most: How many at most.

    Returns:
        For each row the skus, ascending.
    """
    found: list[Ints] = []
    for begin in range(0, len(demand), _MERCHANTS):
        found += _nearest(demand[begin : begin + _MERCHANTS], goods, among, has[begin:], most)
    return found


def _nearest(demand: Floats, goods: Floats, among: Ints, has: list[Ints], most: int) -> list[Ints]:
    count = len(demand)
    least = np.full(count, -np.inf, np.float32)
    kept = [(np.zeros(0, np.float32), np.zeros(0, np.int64)) for _ in range(count)]
    for begin in range(0, len(among) if most else 0, _BLOCK):
        skus = among[begin : begin + _BLOCK]
        scores = demand @ goods[skus].T
        rows, columns = np.nonzero(scores > least[:, None])
        ends = np.searchsorted(rows, np.arange(count + 1))
        for row in np.unique(rows):
            mine = columns[ends[row] : ends[row + 1]]
            mine = mine[~np.isin(skus[mine], has[row], assume_unique=True)]
            values = np.concatenate([kept[row][0], scores[row, mine]])
            names = np.concatenate([kept[row][1], skus[mine]])
            if len(values) > most:
                # Only what is not below the last that stays is sorted.
                top = np.flatnonzero(values >= np.partition(values, -most)[-most])
                top = top[np.lexsort((names[top], -values[top]))[:most]]
                values, names = values[top], names[top]
                least[row] = values[-1]
            kept[row] = (values, names)
    return [np.sort(names) for _, names in kept]


def _row(table: sp.csr_matrix, row: int) -> Ints:
    return np.sort(table.indices[table.indptr[row] : table.indptr[row + 1]]).astype(np.int64)
