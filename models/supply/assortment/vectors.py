"""Vectors of skus, and of what a merchant's consumers want, in one space.

Factors of who bought what say which skus go together; a sku that nobody has bought yet gets the mean of what
skus with its features have. A merchant's demand vector is the sum of the vectors of what it sold, older sales
less. The product of both is high where its consumers buy what goes with the sku.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from models.recommendation.rankers.content import content_vectors, like_their_kind
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.history import Floats, History, Ints

_SPARE, _PASSES = 10, 3
"""Further directions that are drawn, and passes that turn them, as Halko et al. advise."""
_NOTHING = 1e-10
"""Directions with so small a part of the largest square are noise of the numbers."""


@dataclass(frozen=True)
class Vectors:
    """Both sides of the space.

    Attributes:
        demand: float32 (n_asked, factors).
        goods: float32 (n_skus, factors).
        unsold: int64, skus that nobody has sold, ascending.
    """

    demand: Floats
    goods: Floats
    unsold: Ints


def vectors(past: History, config: AssortmentConfig) -> Vectors:
    """Vectors of what was known.

    Args:
        past: What was known.
        config: Settings.
    """
    n_skus = past.shape[1]
    weighed = past.rows.with_columns(weight=0.5 ** (pl.col("age_days") / config.half_life_days))
    bought = (
        weighed.drop_nulls("consumer")
        .group_by("consumer", "sku")
        .agg(weight=pl.col("weight").sum())
        .sort("consumer", "sku")
    )
    sold = np.unique(past.rows["sku"].to_numpy()).astype(np.int64)
    place = np.full(n_skus, -1, np.int64)
    place[sold] = np.arange(len(sold))
    consumers = bought["consumer"].rank("dense").to_numpy().astype(np.int64) - 1
    who = sp.csr_matrix(
        (_damped(bought["weight"].to_numpy()), (consumers, place[bought["sku"].to_numpy()])),
        shape=(int(consumers.max(initial=-1)) + 1, len(sold)),
    )
    length = np.sqrt(np.asarray(who.multiply(who).sum(axis=0)).ravel())
    # Half of the length of a sku is taken out: what everybody buys would fill every direction.
    scale = np.sqrt(1 / np.maximum(length, 0.03)).astype(np.float32)
    factors = _factors(sp.csr_matrix(who @ sp.diags_array(scale)), config.factors, config.seed)
    goods = np.zeros((n_skus, config.factors), np.float32)
    goods[sold] = factors / scale[:, None]
    amount = past.table(weighed, "weight")[past.asked][:, sold]
    amount.data = _damped(amount.data)
    demand = np.asarray((amount @ sp.diags_array(scale)) @ factors, dtype=np.float32)
    unsold = np.setdiff1d(np.arange(n_skus), sold)
    if len(unsold) and len(sold):
        content = content_vectors(past.world.products, past.world.products["sku_id"].to_list())
        goods[unsold] = np.nan_to_num(like_their_kind(content, sold, goods[sold], unsold))
    return Vectors(demand, goods, unsold)


def _damped(weight: Floats) -> Floats:
    return np.asarray(np.log1p(2 * weight), dtype=np.float32)


def _factors(table: sp.csr_matrix, size: int, seed: int) -> Floats:
    """The leading right singular vectors of a sparse table: float32 (n_columns, size).

    Source: Halko, Martinsson and Tropp 2011, randomized range finder with power passes.
    """
    out = np.zeros((table.shape[1], size), np.float32)
    wanted = min(size + _SPARE, *table.shape)
    if wanted == 0:
        return out
    back = sp.csr_matrix(table.T)
    drawn = np.random.default_rng(seed).standard_normal((table.shape[1], wanted)).astype(np.float32)
    basis = _orthonormal(table @ drawn)
    for _ in range(_PASSES):
        basis = _orthonormal(table @ (back @ basis))
    found = _orthonormal(back @ basis)[:, :size]
    out[:, : found.shape[1]] = found
    return out


def _orthonormal(columns: Floats) -> Floats:
    """The left singular vectors of a tall matrix, by its Gram matrix, largest value first."""
    tall = columns.astype(np.float64)
    values, turn = np.linalg.eigh(tall.T @ tall)
    kept = np.flatnonzero(values > max(values.max(initial=0.0), 1e-30) * _NOTHING)[::-1]
    return np.asarray(tall @ (turn[:, kept] / np.sqrt(values[kept])), dtype=np.float32)
