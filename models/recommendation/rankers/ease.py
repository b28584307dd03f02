"""EASE: a linear model of what is bought together, solved in closed form for each block of the catalogue.

G = X'X + lambda I, P = G^-1, B_ij = -P_ij / P_jj off the diagonal, 0 on it. Blocks are categories: what is
bought together is mostly of one kind, and the solution costs the cube of a block's width.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from models.recommendation.config import EaseParams
from models.recommendation.interactions import Indices


def fit_ease(counts: sp.csr_matrix, block: Indices, params: EaseParams) -> sp.csr_matrix:
    """Weights from what was bought to what may be wanted.

    Args:
        counts: CSR (n_users, n_items); its places are what a consumer bought.
        block: int64 (n_items,), number of each item's block; equal number, equal block.
        params: Settings.

    Returns:
        float32 CSR (n_items, n_items), row i to column j; each column has its `kept` largest weights. Items
        with fewer than `min_buyers`, and those of a block beyond its `widest` most bought, have none.

    Source:
        Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data".
    """
    from threadpoolctl import threadpool_limits

    n_items = counts.shape[1]
    ones = np.ones(counts.nnz, np.float32)
    known = sp.csr_matrix((ones, counts.indices, counts.indptr), shape=counts.shape).tocsc()
    buyers = np.diff(known.indptr)
    enough = np.flatnonzero(buyers >= params.min_buyers)
    order = enough[np.lexsort((enough, -buyers[enough], block[enough]))]
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    rows: list[Indices] = []
    columns: list[Indices] = []
    weights: list[np.ndarray] = []
    with threadpool_limits(limits=1, user_api="blas"):
        for members in np.split(order, starts[1:]) if len(order) else []:
            inside = np.sort(members[: params.widest])
            part = known[:, inside]
            gram = np.asarray((part.T @ part).todense(), dtype=np.float64)
            gram[np.diag_indices(len(inside))] += params.regularisation
            inverse = np.linalg.inv(gram)
            solution = -inverse / np.diag(inverse)[None, :]
            np.fill_diagonal(solution, 0.0)
            keep = min(params.kept, len(inside))
            top = np.argpartition(-np.abs(solution), keep - 1, axis=0)[:keep]
            rows.append(inside[top].ravel())
            columns.append(np.tile(inside, keep))
            weights.append(np.take_along_axis(solution, top, axis=0).ravel())
    if not rows:
        return sp.csr_matrix((n_items, n_items), dtype=np.float32)
    places = np.concatenate(rows), np.concatenate(columns)
    out = sp.csr_matrix((np.concatenate(weights).astype(np.float32), places), shape=(n_items, n_items))
    out.eliminate_zeros()
    return out
