"""Exact top-k of the full catalogue with a stated tie rule, and hits against what was bought.

Tie rule everywhere: higher score, then more popular, then smaller sku id. Callers order columns or pass
popularity so that this holds. No sampled negatives, no approximate index.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from models.recommendation.interactions import Floats, Indices

NOTHING = -1


def popularity_order(popularity: Floats) -> Indices:
    """Item indices by falling popularity; equal popularity by index, which is by sku id."""
    return np.argsort(-popularity, kind="stable")


def top_k_dense(scores: npt.NDArray[np.float32], k: int) -> Indices:
    """Best `k` columns of each row; equal scores go to the column further left.

    Args:
        scores: float32 (n_rows, n_columns); -inf marks a column that may not be ranked.
        k: Length of the list.

    Returns:
        int64 (n_rows, k) of columns, `NOTHING` where a row has no more columns to rank.
    """
    n_rows, n_columns = scores.shape
    out = np.full((n_rows, k), NOTHING, np.int64)
    if n_rows == 0 or n_columns == 0:
        return out
    if n_columns > k:
        threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        place_in_all = np.flatnonzero((scores >= threshold) & (scores > -np.inf))
    else:
        place_in_all = np.flatnonzero(scores > -np.inf)
    row, column = np.divmod(place_in_all, n_columns)
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = _place_in_group(row)
    keep = place < k
    out[row[keep], place[keep]] = column[keep]
    return out


def top_k_pairs(
    user: Indices, item: Indices, score: Floats, popularity: Floats, users: Indices, k: int
) -> Indices:
    """Best `k` scored items of each user, filled up with the most popular other items.

    Args:
        user: int64 (n_pairs,).
        item: int64 (n_pairs,); a pair occurs once.
        score: float32 (n_pairs,).
        popularity: float32 (n_items,); breaks ties and fills up.
        users: int64 (n,), sorted; whose lists to make.
        k: Length of the list.

    Returns:
        int64 (n, k) item indices, `NOTHING` where the catalogue is shorter than k.
    """
    row = np.searchsorted(users, user)
    wanted = np.isin(user, users)
    row, item, score = row[wanted], item[wanted], score[wanted]
    order = np.lexsort((item, -popularity[item], -score, row))
    row, item = row[order], item[order]
    place = _place_in_group(row)
    keep = place < k
    out = np.full((len(users), k), NOTHING, np.int64)
    out[row[keep], place[keep]] = item[keep]
    by_popularity = popularity_order(popularity)[: 2 * k]
    for short in np.flatnonzero(out[:, -1] == NOTHING):
        have = out[short][out[short] != NOTHING]
        fill = by_popularity[~np.isin(by_popularity, have)][: k - len(have)]
        out[short, len(have) : len(have) + len(fill)] = fill
    return out


def hits(ranked: Indices, users: Indices, bought: sp.csr_matrix) -> npt.NDArray[np.bool_]:
    """Where a ranked item was bought: bool, the shape of `ranked`."""
    if ranked.size == 0 or bought.shape[1] == 0:
        return np.zeros(ranked.shape, dtype=bool)
    known = np.where(ranked == NOTHING, 0, ranked)
    rows = np.repeat(users[:, None], ranked.shape[1], axis=1)
    found = np.asarray(bought[rows.ravel(), known.ravel()]).reshape(ranked.shape) > 0
    return found & (ranked != NOTHING)


def _place_in_group(sorted_group: Indices) -> Indices:
    """0, 1, 2, ... inside each run of equal values."""
    if len(sorted_group) == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, np.diff(sorted_group) != 0))
    lengths = np.diff(np.append(starts, len(sorted_group)))
    return np.arange(len(sorted_group)) - np.repeat(starts, lengths)
