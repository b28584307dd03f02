"""Shapley values of channels: what each adds to the share of paths that end in an order. Exact. Pure.

The game: what channels are worth together is the share of orders among the paths that only they touched; no
paths, no worth. Up to 12 players are solved over all their sets; further channels play as one.

Sources: Shapley (1953); Dalessandro, Perlich, Stitelman, Provost (2012), ADKDD.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt
import polars as pl

from models.attribution.paths import Paths

MOST_PLAYERS = 12
OTHERS = "\x00others"
"""The player that stands for the channels beyond the largest ones."""

Floats = npt.NDArray[np.float64]


def shapley_values(paths: Paths, most_players: int = MOST_PLAYERS) -> dict[str, float]:
    """By channel its Shapley value; channels that play as one share theirs equally. Empty without paths.

    Args:
        paths: With and without an order.
        most_players: More channels than this: the most touched stand alone, the others together.
    """
    sets = pl.concat(
        [
            steps.group_by("path_id").agg(pl.col("channel").unique()).with_columns(is_order=pl.lit(is_order))
            for steps, is_order in ((paths.converted, True), (paths.open, False))
        ]
    )
    exploded = sets.select("channel").explode("channel")["channel"]
    found = exploded.value_counts().sort("count", "channel", descending=[True, False])["channel"].to_list()
    if not found:
        return {}
    alone = found if len(found) <= most_players else found[: most_players - 1]
    players = [*alone, OTHERS] if len(alone) < len(found) else alone
    bit = {channel: 1 << players.index(channel if channel in alone else OTHERS) for channel in found}
    masks = sets.select(
        "is_order",
        mask=pl.col("channel").list.eval(
            pl.element().replace_strict(bit, return_dtype=pl.Int64).unique()
        ).list.sum(),
    )  # fmt: skip
    size = 1 << len(players)
    paths_of = np.bincount(masks["mask"].to_numpy(), minlength=size).astype(np.float64)
    orders_of = np.bincount(masks.filter("is_order")["mask"].to_numpy(), minlength=size).astype(np.float64)
    values = values_of(worth(orders_of, paths_of))
    told = dict(zip(players, values.tolist(), strict=True))
    beyond = len(found) - len(alone)
    return {
        channel: told[channel] if channel in alone else told[OTHERS] / beyond for channel in sorted(found)
    }


def worth(orders_of: Floats, paths_of: Floats) -> Floats:
    """What each set of players is worth: orders over paths, of all its subsets together; 0 without paths.

    Args:
        orders_of: Paths with an order by the very set that touched them, (2^n,); a set is its bits.
        paths_of: All paths likewise.
    """
    orders, seen = orders_of.copy(), paths_of.copy()
    index = np.arange(len(orders))
    step = 1
    while step < len(orders):
        with_player = index[(index & step) > 0]
        orders[with_player] += orders[with_player ^ step]
        seen[with_player] += seen[with_player ^ step]
        step *= 2
    return np.divide(orders, seen, out=np.zeros_like(orders), where=seen > 0)


def values_of(game: Floats) -> Floats:
    """Shapley values of a game.

    Args:
        game: The worth of every set, (2^n,).

    Returns:
        (n,); they sum to the worth of all together less that of nobody.
    """
    n = len(game).bit_length() - 1
    index = np.arange(len(game))
    sizes = np.zeros(len(game), dtype=np.int64)
    for player in range(n):
        sizes += (index >> player) & 1
    weights = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)])
    values = np.zeros(n)
    for player in range(n):
        without = index[((index >> player) & 1) == 0]
        values[player] = (weights[sizes[without]] * (game[without | (1 << player)] - game[without])).sum()
    return values
