"""The log of the slots that explore, and what other ways to fill them would have sold.

A slot shows its usual sku or a draw from its pool, with the probability that is logged. It earned 1 if the
consumer bought what it showed at that merchant within `WINDOW` after the decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.recommendation.judging.off_policy import (
    SmallEffectiveSampleError,
    cross_fitted,
    doubly_robust,
    effective_sample_size,
    snips,
)
from models.recommendation.scoring import EXPLORED_SCHEMA
from pipelines.decisions.log import DecisionLog

EXPLORED = "explored_slots"
"""Kind of decision, as its log is called."""
TABLE = "decisions/off_policy"
"""Where the estimates lie in the lake."""
WINDOW = timedelta(days=14)
SCHEMA: dict[str, pl.DataType] = {
    "policy": pl.String(),
    "estimator": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "decisions": pl.Int64(),
    "effective": pl.Float64(),
    "refused": pl.String(),
}
POLICIES = ("as_logged", "usual", "uniform_pool", "first_of_pool")
_PRIOR = 20.0


def logged(log: DecisionLog) -> pl.DataFrame:
    """All slots of the log; zero rows of `scoring.EXPLORED_SCHEMA` with `as_of` where there is none."""
    moment = pl.Datetime("us", "UTC")
    empty = pl.DataFrame(schema={**EXPLORED_SCHEMA, "as_of": moment})
    found = [pl.read_parquet(file, columns=empty.columns) for file in log.files()]
    return pl.concat([empty, *(frame.select(empty.columns) for frame in found)])


def rewarded(slots: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The slots with `reward`: 1 where what was shown was bought at that merchant within `WINDOW`, else 0.

    Args:
        slots: `consumer_id`, `merchant_id`, `sku_id`, `as_of` and whatever else.
        lines: Sales: `consumer_id`, `merchant_id`, `sku_id`, `placed_at`.
    """
    key = ["consumer_id", "merchant_id", "sku_id"]
    row = slots.with_row_index("slot")
    bought = (
        row.select("slot", "as_of", *key)
        .join(lines.select(*key, "placed_at"), on=key)
        .filter(pl.col("placed_at").is_between(pl.col("as_of"), pl.col("as_of") + WINDOW, closed="right"))
        .select("slot")
        .unique()
        .with_columns(reward=pl.lit(1.0))
    )
    return row.join(bought, on="slot", how="left", maintain_order="left").with_columns(
        pl.col("reward").fill_null(0.0)
    )


def estimates(slots: pl.DataFrame, lines: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What each policy would have sold a slot, by SNIPS and doubly robust.

    Policies: `as_logged` (what was done), `usual` (never explore), `uniform_pool` (always a draw from the
    pool), `first_of_pool` (always the best of the pool).

    Args:
        slots: Logged slots of any moments, `scoring.EXPLORED_SCHEMA` and `as_of`.
        lines: Sales.
        now: Business time; decisions whose window has not passed say nothing yet.

    Returns:
        `SCHEMA`, one row a policy and estimator; `refused` says why there is no value.
    """
    ripe = rewarded(slots.filter(pl.col("as_of") + WINDOW <= now), lines)
    reward = ripe["reward"].to_numpy()
    size = ripe["pool"].list.len().cast(pl.Float64).to_numpy()
    is_usual = (ripe["sku_id"] == ripe["usual_sku_id"]).to_numpy()
    is_first = (ripe["sku_id"] == ripe["pool"].list.first()).to_numpy()
    propensity = ripe["propensity"].to_numpy()
    unit = ripe["consumer_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    rate = ripe["rate"].to_numpy()
    # A cell of the reward model: the slot, and whether it shows its usual sku.
    place = ripe["rank"].rank("dense").cast(pl.Int64).to_numpy() - 1
    means = cross_fitted(2 * place + is_usual, reward, 2 * int(place.max(initial=0)) + 2, _PRIOR)
    fold = np.arange(ripe.height) % len(means)
    q_drawn, q_usual = means[fold, 2 * place], means[fold, 2 * place + 1]
    chance_of_usual = {
        "as_logged": 1 - rate,
        "usual": np.ones(ripe.height),
        "uniform_pool": np.zeros(ripe.height),
        "first_of_pool": np.zeros(ripe.height),
    }
    target = {
        "as_logged": propensity,
        "usual": is_usual * 1.0,
        "uniform_pool": ~is_usual / size,
        "first_of_pool": (is_first & ~is_usual) * 1.0,
    }
    rows: list[tuple[Any, ...]] = []
    for policy in POLICIES:
        weights = target[policy] / propensity
        expected = chance_of_usual[policy] * q_usual + (1 - chance_of_usual[policy]) * q_drawn
        predicted = is_usual * q_usual + ~is_usual * q_drawn
        for estimator in ("snips", "doubly_robust"):
            base = (policy, estimator)
            support = (ripe.height, effective_sample_size(weights))
            try:
                found = (
                    snips(reward, weights, unit=unit)
                    if estimator == "snips"
                    else doubly_robust(reward, weights, predicted, expected, unit=unit)
                )
            except SmallEffectiveSampleError as error:
                rows.append((*base, None, None, None, *support, str(error)))
            else:
                rows.append((*base, found.mean, found.low, found.high, *support, None))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
