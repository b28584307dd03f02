"""UP-CF: what similar consumers bought lately, similar by the items that both know.

Source:
    Faggioli, Polato, Aiolli 2020, "Recency Aware Collaborative Filtering for Next Basket Recommendation".
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from models.recommendation.interactions import Indices
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.rankers.neighbours import (
    EXACT_POOL,
    LONGEST,
    Scores,
    best_by_index,
    best_in_blocks,
    champion_lists,
)


class KnownItems:
    """What everybody knows, among whom the similar are looked for.

    Args:
        counts: CSR (n_users, n_items), places are what a consumer knows.
        exact_up_to: Among more consumers an index finds the similar, see `neighbours`.
        longest: Consumers of an item that the index keeps, those who know least first.
    """

    def __init__(self, counts: sp.csr_matrix, exact_up_to: int = EXACT_POOL, longest: int = LONGEST) -> None:
        ones = np.ones(counts.nnz, np.float32)
        self._known = sp.csr_matrix((ones, counts.indices, counts.indptr), shape=counts.shape)
        self._size = np.maximum(np.diff(counts.indptr), 1).astype(np.float32)
        self._index = None
        if counts.shape[0] > exact_up_to:
            least = -np.repeat(self._size, np.diff(counts.indptr))
            self._index = champion_lists(self._known, least, longest)

    def similar(self, part: Indices, params: UpcfParams) -> sp.csr_matrix:
        """Similarity^q of the most similar consumers; the consumer herself is one of them, with 1.

        Args:
            part: int64 (n,), whose neighbours.
            params: Settings.

        Returns:
            float32 CSR (n, n_users).
        """
        if self._index is None:
            chosen, value = self._among_all(part, params)
        else:
            chosen, value = self._by_index(self._index, part, params)
        row, place = np.nonzero(chosen >= 0)
        weight = np.where(chosen[row, place] == part[row], 1.0, value[row, place] ** params.locality)
        shape = (len(part), self._known.shape[0])
        return sp.csr_matrix((weight.astype(np.float32), (row, chosen[row, place])), shape=shape)

    def _among_all(self, part: Indices, params: UpcfParams) -> tuple[Indices, Scores]:
        own, other = self._size[part] ** params.asymmetry, self._size ** (1 - params.asymmetry)

        def similarity(start: int, end: int) -> Scores:
            shared = np.asarray((self._known[part] @ self._known[start:end].T).todense(), dtype=np.float32)
            shared /= own[:, None] * other[None, start:end]
            shared[shared <= 0] = -np.inf
            return shared

        return best_in_blocks(similarity, self._known.shape[0], params.neighbours)

    def _by_index(self, index: sp.csr_matrix, part: Indices, params: UpcfParams) -> tuple[Indices, Scores]:
        own, other = self._size[part] ** params.asymmetry, self._size ** (1 - params.asymmetry)

        def similarity(row: Indices, user: Indices, shared: Scores) -> Scores:
            return np.asarray(shared / (own[row] * other[user]), dtype=np.float32)

        chosen, value = best_by_index(
            self._known[part], index, similarity, part, max(params.neighbours - 1, 0)
        )
        herself, one = part[:, None], np.ones((len(part), 1), np.float32)
        return np.hstack([herself, chosen]), np.hstack([one, value])
