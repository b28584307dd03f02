"""What was started in a window that is over, and how much of it a list of before would have held."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import FloatArray
from models.supply.assortment.candidates import Pairs, candidates, signals
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.features import AT_SIMILAR, FEATURES, IN_SCENE, pair_features
from models.supply.assortment.history import Floats, History, Ints, World, history
from models.supply.assortment.vectors import vectors

RULES = {"popular_in_scene": IN_SCENE, "popular_at_similar": AT_SIMILAR}
"""Simple rules by name, and the feature by which each ranks."""


@dataclass(frozen=True)
class Look:
    """What is known of every pair that is worth a look at a moment.

    Attributes:
        past: What was known.
        pairs: Which pairs.
        features: float32 (n, `FEATURES`).
    """

    past: History
    pairs: Pairs
    features: Floats

    def by_rule(self, rule: str) -> Floats:
        """Scores of a simple rule: float32 (n,)."""
        return np.ascontiguousarray(self.features[:, FEATURES.index(RULES[rule])])


@dataclass(frozen=True)
class Window:
    """A look, and what came after it.

    Attributes:
        look: What was known before.
        units: float64 (n,), units of each pair, 0 where the merchant did not start the sku.
        started: float64 (n_asked,), skus that each merchant started, in the pairs or not.
        sold: float64 (n_asked,), units of them.
    """

    look: Look
    units: FloatArray
    started: FloatArray
    sold: FloatArray


@dataclass(frozen=True)
class Held:
    """What lists held of what was started: float64 (n_asked,) each."""

    skus: FloatArray
    units: FloatArray


def look(world: World, at: datetime, config: AssortmentConfig) -> Look:
    """What is known at a moment of every pair that is worth a look."""
    past = history(world, at, config)
    told = signals(past, vectors(past, config), config)
    pairs = candidates(told, config)
    return Look(past, pairs, pair_features(told, pairs, config))


def window_after(world: World, at: datetime, config: AssortmentConfig) -> Window:
    """Look at a moment that is over, and at what merchants started in the window after it.

    A sku is started where the merchant had neither sold it nor had it on sale before, and sold it within the
    window, by what stands today.
    """
    seen = look(world, at, config)
    end = at + timedelta(days=config.window_days)
    place = np.full(seen.past.shape[0], -1, np.int64)
    place[seen.past.asked] = np.arange(len(seen.past.asked))
    sold = (
        world.lines.filter(
            (pl.col("placed_at") > at) & (pl.col("placed_at") <= end) & pl.col("superseded_at").is_null()
        )
        .group_by("merchant", "sku")
        .agg(units=pl.col("qty").cast(pl.Float64).sum())
        .sort("merchant", "sku")
    )
    merchant = place[sold["merchant"].to_numpy()]
    sku = sold["sku"].to_numpy().astype(np.int64)
    asked = merchant >= 0
    merchant, sku, units = merchant[asked], sku[asked], sold["units"].to_numpy()[asked]
    known = np.asarray(seen.past.started[seen.past.asked[merchant], sku]).ravel() if len(sku) else sku
    new = (known == 0) & (units > 0)
    merchant, sku, units = merchant[new], sku[new], units[new]
    width = seen.past.shape[1]
    found = np.searchsorted(merchant * width + sku, keys := seen.pairs.merchant * width + seen.pairs.sku)
    truth = np.append(merchant * width + sku, -1)
    hit = truth[found] == keys
    count = len(seen.past.asked)
    return Window(
        seen,
        np.where(hit, np.append(units, 0.0)[found], 0.0),
        np.bincount(merchant, minlength=count).astype(np.float64),
        np.bincount(merchant, units, count).astype(np.float64),
    )


def listed(pairs: Pairs, score: Floats, length: int) -> npt.NDArray[np.bool_]:
    """Which pairs stand in the merchants' lists: the best scores above 0, equal ones by sku.

    Args:
        pairs: By merchant and sku.
        score: float (n,).
        length: Length of a list.
    """
    order = np.lexsort((pairs.sku, -score, pairs.merchant))
    merchants = pairs.merchant[order]
    begins = np.searchsorted(merchants, merchants)
    chosen = np.zeros(len(score), np.bool_)
    chosen[order[(np.arange(len(order)) - begins < length)]] = True
    return chosen & (score > 0)


def held(window: Window, score: Floats, config: AssortmentConfig) -> Held:
    """What the lists by a score held of what was started."""
    chosen = listed(window.look.pairs, score, config.list_length)
    count = len(window.look.past.asked)
    mine = window.look.pairs.merchant[chosen]
    units = window.units[chosen]
    return Held(
        np.bincount(mine[units > 0], minlength=count).astype(np.float64),
        np.bincount(mine, units, count).astype(np.float64),
    )


def new_products(look: Look, config: AssortmentConfig) -> list[Ints]:
    """For each asked merchant, the pairs with what nobody sold yet that fit best, in order.

    As many as there are places times choices; the products go by affinity, equal ones by sku.
    """
    affinity = look.features[:, FEATURES.index("affinity")]
    unsold = np.isnan(look.features[:, FEATURES.index("days_since_last")])
    places = np.flatnonzero(unsold & (affinity > 0))
    order = places[np.lexsort((look.pairs.sku[places], -affinity[places], look.pairs.merchant[places]))]
    ends = np.searchsorted(look.pairs.merchant[order], np.arange(len(look.past.asked) + 1))
    most = config.new_slots * config.new_choices
    return [order[a : min(b, a + most)] for a, b in pairwise(ends)]


def units_per_new(windows: list[Window], config: AssortmentConfig) -> float:
    """Units that a place with a product brought that nobody had sold before; 0 without any."""
    found = [
        window.units[mine] for window in windows for mine in new_products(window.look, config) if len(mine)
    ]
    return float(np.concatenate(found).mean()) if found else 0.0


def units_per_score(windows: list[tuple[Window, Floats]], config: AssortmentConfig) -> float:
    """Units that a point of score brought, over the lists of windows that are over; 0 without any."""
    units = score = 0.0
    for window, values in windows:
        chosen = listed(window.look.pairs, values, config.list_length)
        units += float(window.units[chosen].sum())
        score += float(values[chosen].sum(dtype=np.float64))
    return units / score if score > 0 else 0.0
