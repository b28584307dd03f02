"""The Markov model: how much less likely an order is without a channel, by solving the chain exactly. Pure.

States are the channels; a path goes from its start through its channels in order and ends in an order or in
none. Without a channel whoever would step there is lost. The chance of an order from the start solves a
linear system, so that nothing is simulated.

Source: Anderl, Becker, von Wangenheim, Schumann (2016), International Journal of Research in Marketing 33.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from models.attribution.paths import Paths

Floats = npt.NDArray[np.float64]


def removal_effects(paths: Paths) -> dict[str, float]:
    """By channel the share of orders that would be lost without it, 0 to 1; empty without paths."""
    channels = sorted({*paths.converted["channel"].unique(), *paths.open["channel"].unique()})
    if not channels:
        return {}
    moves = counts(paths, channels)
    whole = chance_of_order(moves, removed=None)
    if whole == 0:
        return dict.fromkeys(channels, 0.0)
    return {
        channel: min(1.0, max(0.0, 1 - chance_of_order(moves, removed=place + 1) / whole))
        for place, channel in enumerate(channels)
    }


def counts(paths: Paths, channels: Sequence[str]) -> Floats:
    """How often each state follows each: (k + 1, k + 2).

    Rows are the start and the k channels; columns the k channels, an order, none.
    """
    k = len(channels)
    moves = np.zeros((k + 1, k + 2))
    place = {channel: number for number, channel in enumerate(channels)}
    for steps, end in ((paths.converted, k), (paths.open, k + 1)):
        numbered = steps.sort("path_id", "step").with_columns(
            at=pl.col("channel").replace_strict(place, return_dtype=pl.Int64)
        )
        following = numbered.with_columns(
            before=pl.col("at").shift().over("path_id"),
            is_last=pl.col("step") == pl.col("step").max().over("path_id"),
        )
        came = (following["before"] + 1).fill_null(0).to_numpy()
        np.add.at(moves, (came, following["at"].to_numpy()), 1)
        last = following.filter("is_last")["at"].to_numpy() + 1
        np.add.at(moves, (last, np.full(len(last), end)), 1)
    return moves


def chance_of_order(moves: Floats, removed: int | None) -> float:
    """The chance of an order from the start, 0 to 1.

    Args:
        moves: From `counts`.
        removed: Row of a channel whom nobody reaches any more; None for none.
    """
    k = moves.shape[1] - 2
    totals = moves.sum(axis=1, keepdims=True)
    shares = np.divide(moves, totals, out=np.zeros_like(moves), where=totals > 0)
    kept = [row for row in range(k + 1) if row != removed]
    between = np.zeros((k + 1, k + 1))
    between[:, 1:] = shares[:, :k]
    system = np.eye(len(kept)) - between[np.ix_(kept, kept)]
    return float(np.linalg.solve(system, shares[kept, k])[0])
