"""Which skus go with which: cosine of baskets, shrunk where few baskets hold both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from models.recommendation.interactions import Indices
from models.store import bundles

KIND, FORMAT = "recommendation_session", 1
_ITEMS_A_BLOCK = 2_000


@dataclass(frozen=True)
class SessionSettings:
    """Everything that fixes the lane and how it is judged.

    Attributes:
        kept: Links that a sku keeps, the strongest.
        shrinkage: A cosine is multiplied by n / (n + this), n baskets with both.
        least_together: Fewer baskets with both make no link.
        longest_basket: Baskets with more skus teach nothing: their pairs are many and say little.
        window_days: Days at the end of the history whose baskets judge.
        least_items: Such a basket has so many skus of known ones at least.
        most_baskets: So many of them at most, a seeded sample.
        list_length: Items of the lists that are ordered.
        seed: Seed of every draw.
    """

    kept: int = 20
    shrinkage: float = 5.0
    least_together: int = 3
    longest_basket: int = 60
    window_days: int = 14
    least_items: int = 4
    most_baskets: int = 4_000
    list_length: int = 40
    seed: int = 7

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> SessionSettings:
        """Read what `to_dict` wrote.

        Raises:
            TypeError: A key is unknown.
        """
        return SessionSettings(**document)


@dataclass(frozen=True)
class SessionLinks:
    """Links of a catalogue.

    Attributes:
        frame: `sku_id`, `rank` (from 1, strongest first), `linked_sku_id`, `weight` (0-1), by (sku_id, rank);
            the columns of the published table `session_links`.
    """

    frame: pl.DataFrame

    def by_sku(self) -> dict[str, dict[str, float]]:
        """Sku to the skus that go with it and how much."""
        out: dict[str, dict[str, float]] = {}
        for sku, linked, weight in self.frame.select("sku_id", "linked_sku_id", "weight").iter_rows():
            out.setdefault(sku, {})[linked] = weight
        return out

    def save(self, folder: Path) -> None:
        """Write the bundle; the folder is made."""
        bundles.write(folder, KIND, FORMAT, {}, tables={"links": self.frame})


def load(folder: Path) -> SessionLinks:
    """Read what `SessionLinks.save` wrote.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another kind or format.
    """
    return bundles.read(folder, KIND, FORMAT).build(lambda bundle: SessionLinks(bundle.table("links")))


NO_LINKS = SessionLinks(
    pl.DataFrame(
        schema={"sku_id": pl.String, "rank": pl.Int64, "linked_sku_id": pl.String, "weight": pl.Float64}
    )
)


def fit_links(basket: Indices, item: Indices, skus: list[str], settings: SessionSettings) -> SessionLinks:
    """Links from baskets.

    Args:
        basket: int64 (n,), number of the basket.
        item: int64 (n,), place in `skus`; a pair may occur twice.
        skus: Sku ids, ascending.
        settings: Settings.

    Returns:
        w_ij = n_ij / sqrt(n_i n_j) x n_ij / (n_ij + shrinkage); of equal weight the smaller sku goes first.
        Items are taken in blocks: memory is a block's pairs.
    """
    _, row = np.unique(basket, return_inverse=True)
    held = sp.csr_matrix(
        (np.ones(len(row), np.float32), (row, item)), shape=(row.max(initial=-1) + 1, len(skus))
    )
    held.sum_duplicates()
    held.data[:] = 1
    held = held[np.diff(held.indptr) <= settings.longest_basket]
    number = np.asarray(held.sum(axis=0), dtype=np.float64).ravel()
    by_item = held.tocsc()
    first: list[Indices] = []
    rank: list[Indices] = []
    second: list[Indices] = []
    weight: list[np.ndarray] = []
    for start in range(0, len(skus), _ITEMS_A_BLOCK):
        pairs = (by_item[:, start : start + _ITEMS_A_BLOCK].T @ held).tocoo()
        one, other, both = pairs.row.astype(np.int64) + start, pairs.col.astype(np.int64), pairs.data
        keep = (one != other) & (both >= settings.least_together)
        one, other, both = one[keep], other[keep], both[keep].astype(np.float64)
        worth = both / np.sqrt(number[one] * number[other]) * both / (both + settings.shrinkage)
        order = np.lexsort((other, -worth, one))
        one, other, worth = one[order], other[order], worth[order]
        place = np.arange(len(one)) - np.searchsorted(one, one, side="left")
        top = place < settings.kept
        first.append(one[top])
        rank.append(place[top] + 1)
        second.append(other[top])
        weight.append(worth[top])
    if not first:
        return NO_LINKS
    names = np.array(skus, dtype=object)
    frame = pl.DataFrame(
        {
            "sku_id": pl.Series(names[np.concatenate(first)], dtype=pl.String),
            "rank": np.concatenate(rank),
            "linked_sku_id": pl.Series(names[np.concatenate(second)], dtype=pl.String),
            "weight": np.concatenate(weight),
        }
    )
    return SessionLinks(frame)
