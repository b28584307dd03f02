"""What a sku is, whoever bought it: content vectors, and what they say of skus that few have bought.

Features are the categories, the brand, the price band inside the category and the words of the title,
weighted by how rare they are. Nothing here is fitted: a sku that came today has its vector today.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.recommendation.interactions import Floats, Indices

PRICE_BANDS = 5
SIMILARITY_DIMENSIONS = 64
_TITLE_WORDS = 8
_PRIOR = 2.0
_SEED = 11
_WORD = r"[\p{Han}]|[\p{L}\p{N}]+"
_OPTIONAL = ("category_l1_id", "category_l2_id", "category_l3_id", "brand_id", "title", "list_price_cents")


def content_vectors(products: pl.DataFrame, skus: Sequence[str]) -> sp.csr_matrix:
    """TF-IDF vectors of skus, rows of length 1.

    Args:
        products: `sku_id` and any of `category_l1_id`, `category_l2_id`, `category_l3_id`, `brand_id`,
            `title`, `list_price_cents`; one row a sku. Missing columns and nulls say nothing.
        skus: Which, in this order; a sku without a row has a zero vector.

    Returns:
        float32 CSR (n_skus, n_features). A feature of one sku alone relates it to no other and is left out.
    """
    known = pl.DataFrame({"sku_id": list(skus)}, schema={"sku_id": pl.String}).with_row_index("row")
    wanted = ["sku_id", *(name for name in _OPTIONAL if name in products.columns)]
    known = known.join(products.select(wanted).unique("sku_id", keep="first"), on="sku_id", how="left")
    for name in _OPTIONAL:
        if name not in known.columns:
            known = known.with_columns(pl.lit(None).alias(name))
    band = pl.col("list_price_cents").rank("ordinal").over("category_l3_id") * PRICE_BANDS
    known = known.with_columns(
        category_l3_id=pl.col("category_l3_id").cast(pl.String),
        price_band=((band - 1) // pl.len().over("category_l3_id")).cast(pl.String),
    )
    said = [
        _feature(known, name, pl.col(name).cast(pl.String))
        for name in ("category_l1_id", "category_l2_id", "category_l3_id", "brand_id")
    ]
    said.append(_feature(known, "price", pl.col("category_l3_id") + "/" + pl.col("price_band")))
    words = pl.col("title").cast(pl.String).str.to_lowercase().str.extract_all(_WORD)
    said.append(
        _feature(known.with_columns(word=words.list.head(_TITLE_WORDS)).explode("word"), "word", "word")
    )
    features = pl.concat(said).unique(maintain_order=True)
    features = features.with_columns(bearers=pl.len().over("feature")).filter(pl.col("bearers") > 1)
    column = features["feature"].rank("dense").cast(pl.Int64).to_numpy() - 1
    weight = np.log1p(len(skus) / features["bearers"].to_numpy())
    width = int(column.max(initial=-1)) + 1
    matrix = sp.csr_matrix(
        (weight.astype(np.float32), (features["row"].to_numpy().astype(np.int64), column)),
        shape=(len(skus), width),
    )
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags_array(1 / np.maximum(length, 1e-9)) @ matrix, dtype=np.float32)


def _feature(known: pl.DataFrame, kind: str, value: pl.Expr | str) -> pl.DataFrame:
    expression = pl.col(value) if isinstance(value, str) else value
    return known.select("row", feature=pl.lit(f"{kind}:") + expression).drop_nulls()


def like_their_kind(vectors: sp.csr_matrix, known: Indices, values: Floats, cold: Indices) -> Floats:
    """What is to be expected of skus that little is known of: means over known skus with the same features.

    A feature's value is the mean of the known skus that bear it, drawn towards the mean of all; a sku's value
    is the mean of its features' values, weighted as its vector is.

    Args:
        vectors: From `content_vectors`.
        known: int64 (n_known,), rows whose values are known.
        values: float32 (n_known, n_values).
        cold: int64 (n_cold,), rows to tell.

    Returns:
        float32 (n_cold, n_values); NaN for rows without any feature that a known sku bears.

    Source:
        Attribute-to-feature mapping, Gantner et al. 2010, with shrunken means in place of a regression.
    """
    bearing = vectors[known]
    mass = np.asarray(bearing.sum(axis=0)).ravel()
    everyone = values.mean(axis=0) if len(known) else np.zeros(values.shape[1], np.float32)
    a_feature = (bearing.T @ values + _PRIOR * everyone) / (mass + _PRIOR)[:, None]
    mine = sp.csr_matrix(vectors[cold] @ sp.diags_array((mass > 0).astype(np.float32)))
    total = np.asarray(mine.sum(axis=1)).ravel()
    told = np.asarray((mine @ a_feature) / np.maximum(total, 1e-9)[:, None], dtype=np.float32)
    told[total == 0] = np.nan
    return told


def dense(vectors: sp.csr_matrix) -> Floats:
    """Signed random projection of the vectors: float32 (n_skus, `SIMILARITY_DIMENSIONS`), rows of length 1.

    Dot products are the cosines of the vectors up to a standard deviation of about 1 / sqrt(dimensions).
    """
    rng = np.random.default_rng(_SEED)
    signs = rng.choice(np.array([-1, 1], np.float32), (vectors.shape[1], SIMILARITY_DIMENSIONS))
    out = np.asarray(vectors @ signs, dtype=np.float32)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), np.float32(1e-9))


def diversified(
    top: Indices, scores: npt.NDArray[np.float32], vectors: Floats, weight: float, picks: int
) -> Indices:
    """Reorder each list so that every next item is good and unlike the ones before it.

    An item is worth (1 - weight) * relevance - weight * (largest cosine to what was picked); relevance is the
    score scaled to 0-1 inside the list. Equal worths go to the better score.

    Args:
        top: int64 (n, depth), columns of `scores`, best first, -1 where a list ends.
        scores: float32 (n, n_columns).
        vectors: float32 (n_columns, d), rows of length 1.
        weight: 0 keeps the order of the scores, 1 looks at likeness alone.
        picks: How many are reordered; the rest follows in the order of the scores.

    Returns:
        int64 (n, depth), each row a permutation of the row of `top`.

    Source:
        Maximal marginal relevance, Carbonell and Goldstein 1998.
    """
    if weight <= 0 or scores.size == 0:
        return top
    rows = np.arange(len(top))
    missing = top < 0
    value = scores[rows[:, None], np.maximum(top, 0)]
    low = np.where(missing, np.inf, value).min(axis=1, keepdims=True)
    high = np.where(missing, -np.inf, value).max(axis=1, keepdims=True)
    relevance = np.where(missing, -np.inf, (value - low) / np.maximum(high - low, 1e-9))
    bearing = vectors[np.maximum(top, 0)]
    alike = bearing @ bearing.transpose(0, 2, 1)
    nearest = np.zeros(top.shape, np.float32)
    left = ~missing
    order = np.full(top.shape, -1, np.int64)
    for turn in range(min(picks, top.shape[1])):
        worth = np.where(left, (1 - weight) * relevance - weight * nearest, -np.inf)
        best = worth.argmax(axis=1)
        order[:, turn] = np.where(left[rows, best], best, -1)
        left[rows, best] = False
        nearest = np.maximum(nearest, alike[rows, best])
    out = np.full_like(top, -1)
    for row in range(len(top)):
        picked = order[row][order[row] >= 0]
        rest = np.flatnonzero(left[row])
        found = np.concatenate([picked, rest])
        out[row, : len(found)] = top[row, found]
    return out
