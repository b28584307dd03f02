"""UP-CF: what similar consumers bought lately, similar by the items that both know.

Source:
    Faggioli, Polato, Aiolli 2020, "Recency Aware Collaborative Filtering for Next Basket Recommendation".
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from models.recommendation.interactions import Indices
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.rankers.neighbours import best_in_blocks


def similar(counts: sp.csr_matrix, part: Indices, params: UpcfParams) -> sp.csr_matrix:
    """Similarity^q of the most similar consumers; the consumer herself is one of them, with 1.

    Args:
        counts: CSR (n_users, n_items), places are what a consumer knows.
        part: int64 (n,), whose neighbours.
        params: Settings.

    Returns:
        float32 CSR (n, n_users).
    """
    known = counts.copy()
    known.data = np.ones_like(known.data)
    size = np.maximum(np.diff(known.indptr), 1).astype(np.float32)
    own, other = size[part] ** params.asymmetry, size ** (1 - params.asymmetry)

    def similarity(start: int, end: int) -> np.ndarray:
        shared = np.asarray((known[part] @ known[start:end].T).todense(), dtype=np.float32)
        shared /= own[:, None] * other[None, start:end]
        shared[shared <= 0] = -np.inf
        return shared

    chosen, value = best_in_blocks(similarity, counts.shape[0], params.neighbours)
    row, place = np.nonzero(chosen >= 0)
    weight = np.where(chosen[row, place] == part[row], 1.0, value[row, place] ** params.locality)
    shape = (len(part), counts.shape[0])
    return sp.csr_matrix((weight.astype(np.float32), (row, chosen[row, place])), shape=shape)
