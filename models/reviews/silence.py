"""How likely a party sells nothing next month: the share of those in its state who then sold nothing.

Whoever left counts: of a party that is not active any more no feed says since when, so that it counts until
it was in each state of silence once. Without it only those who stayed would count, and the risk be too low.
"""

from __future__ import annotations

import polars as pl

from models.reviews.config import ReviewConfig

STATES = ("never", "sells", "falling", "quiet_1", "quiet_2", "quiet_3")
"""Never sold; sells; sells less than half of the mean of its three months before; months without a sale."""
_QUIET = 3
"""Months of silence that states tell apart."""


def with_silence(months: pl.DataFrame, whole: pl.Expr, config: ReviewConfig) -> pl.DataFrame:
    """Add the state of each party and month, and its risk.

    Args:
        months: `party_type`, `party_id`, `month_start_on`, `is_active`, `order_count`, `net_sales_cents`; one
            row per party and month since it joined, also after it left.
        whole: Whether a month is over.
        config: Settings.

    Returns:
        The rows with `quiet_months` (since the last month with an order; null if there was none), `state` and
        `churn_risk` (0 to 1: the share of party-months of that kind of party and state that were followed by
        a month without an order, drawn to the share of all by `config.prior` party-months; null where no
        month has been followed by another yet).
    """
    party = ["party_type", "party_id"]
    number = pl.col("month_start_on").dt.year().cast(pl.Int64) * 12 + pl.col("month_start_on").dt.month()
    sorted_ = months.sort(*party, "month_start_on").with_columns(_number=number, _whole=whole)
    last_sale = pl.when(pl.col("order_count") > 0).then("_number").forward_fill().over(party)
    before = pl.mean_horizontal(*(pl.col("net_sales_cents").shift(k).over(party) for k in (1, 2, 3)))
    stated = sorted_.with_columns(quiet_months=pl.col("_number") - last_sale).with_columns(
        state=pl.when(pl.col("quiet_months").is_null())
        .then(pl.lit("never"))
        .when(pl.col("quiet_months") > 0)
        .then(pl.lit("quiet_") + pl.col("quiet_months").clip(1, _QUIET).cast(pl.String))
        .when(2 * pl.col("net_sales_cents") < before)
        .then(pl.lit("falling"))
        .otherwise(pl.lit("sells")),
    )
    following = stated.select(
        *party, _number=pl.col("_number") - 1, _next=pl.col("order_count"), _next_whole="_whole"
    )
    # A party that left was one until its last sale; of one that never sold nothing is known.
    last = pl.col("_number").filter(pl.col("order_count") > 0).max().over(party)
    is_known = pl.col("is_active") | (pl.col("_number") <= last + _QUIET)
    seen = (
        stated.filter(is_known)
        .join(following, on=[*party, "_number"], how="inner")
        .filter("_whole", "_next_whole")
    )
    silent = (pl.col("_next") == 0).cast(pl.Float64)
    overall = seen.group_by("party_type").agg(_rate=silent.mean())
    rates = (
        seen.group_by("party_type", "state")
        .agg(_silent=silent.sum(), _seen=pl.len())
        .join(overall, on="party_type")
    )
    risk = (pl.col("_silent") + config.prior * pl.col("_rate")) / (pl.col("_seen") + config.prior)
    return (
        stated.join(rates.with_columns(churn_risk=risk).drop("_rate"), on=["party_type", "state"], how="left")
        .join(overall, on="party_type", how="left")
        .with_columns(pl.coalesce("churn_risk", "_rate").alias("churn_risk"))
        .drop("_number", "_whole", "_silent", "_seen", "_rate")
    )
