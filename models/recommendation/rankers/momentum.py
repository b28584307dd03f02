"""How skus are being found: how many buy one for the first time, of how many buyers, and whether that rises.

A popular sku is mostly bought again by those who know it. What is found now is found by others tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.recommendation.interactions import Floats, Indices

MONTH, WEEK = timedelta(days=28), timedelta(days=7)
PRIOR_BUYERS = 5.0
"""So many buyers with the usual share of finders stand beside a sku's own."""
PRIOR_FINDERS = 2.0
"""So many finders a month, evenly spread, stand beside a sku's own."""


@dataclass(frozen=True)
class Momentum:
    """Of every sku, float32 (n_items,).

    Attributes:
        finders: Consumers who bought it for the first time in the last 28 days.
        freshness: Logarithm of their share of everybody who ever bought it, drawn to the share of all skus.
        rise: Logarithm of four times the finders of seven days over those of 28, drawn to 0.
    """

    finders: Floats
    freshness: Floats
    rise: Floats


def momentum(rows: pl.DataFrame, moment: datetime, n_items: int) -> Momentum:
    """What the first purchases up to a moment tell.

    Args:
        rows: `user`, `item` and `at` of purchases, none after `moment`.
        moment: The windows end here.
        n_items: Number of skus; one without a purchase has the share of all skus and no rise.
    """
    first = rows.group_by("user", "item").agg(pl.col("at").min())
    ever = _by_item(first, n_items)
    month = _by_item(first.filter(pl.col("at") > moment - MONTH), n_items)
    week = _by_item(first.filter(pl.col("at") > moment - WEEK), n_items)
    usual = max(month.sum(), 1.0) / max(ever.sum(), 1.0)
    freshness = np.log((month + PRIOR_BUYERS * usual) / (ever + PRIOR_BUYERS))
    rise = np.log((MONTH / WEEK * week + PRIOR_FINDERS) / (month + PRIOR_FINDERS))
    return Momentum(month.astype(np.float32), freshness.astype(np.float32), rise.astype(np.float32))


def _by_item(first: pl.DataFrame, n_items: int) -> np.ndarray:
    items: Indices = first["item"].to_numpy()
    return np.bincount(items, minlength=n_items).astype(np.float64)
