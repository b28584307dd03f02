"""The wake-up list: who is dormant, what waking is worth, who is held back as a control, who gets an offer.

Dormant means no order for 30 days. Orders are the only sign of life used: not every source has events, and
observed consumers have none. Probabilities come from outside; nothing is fitted here.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.lifecycle.config import WakeupParams
from models.lifecycle.features.history import History, age_days
from models.lifecycle.uplift.learners import Effect
from models.lifecycle.uplift.offers import FEATURES
from models.metrics import BoolArray, FloatArray

HIGH_VALUE_DAYS = 365


def dormant(history: History, as_of: datetime, params: WakeupParams) -> pl.DataFrame:
    """Consumers whose last order is at least `dormant_days` old.

    Args:
        history: Orders up to `as_of`.
        as_of: Moment of knowledge, tz-aware UTC.
        params: Settings.

    Returns:
        `consumer` (int32), `consumer_id`, `last_merchant_id`, `recency_days` (float64), `dormant_days`
        (whole days since the last order), `spend_cents` (net, 365 days), `is_overdue` (recency above
        `overdue_ratio` own mean gaps), ascending by consumer. Registered consumers who never ordered are not
        dormant: there is nothing to wake.
    """
    at, age = pl.col("at"), pl.col("age")
    recency, gaps = age.min(), at.dt.date().n_unique() - 1
    rows = (
        history.known(as_of)
        .orders.with_columns(age=age_days(as_of))
        .group_by("consumer", maintain_order=True)
        .agg(
            last_merchant=pl.col("merchant").last(),
            recency_days=recency,
            dormant_days=recency.floor().cast(pl.Int64),
            spend_cents=pl.col("net_cents").filter(at > as_of - timedelta(days=HIGH_VALUE_DAYS)).sum(),
            is_overdue=(gaps.cast(pl.Int64) >= params.min_gaps)
            & (recency * gaps > params.overdue_ratio * (age.max() - recency)),
        )
        .filter(pl.col("dormant_days") >= params.dormant_days)
    )
    return rows.with_columns(
        consumer_id=history.consumers.gather(rows["consumer"]),
        last_merchant_id=history.merchants.gather(rows["last_merchant"]),
    ).drop("last_merchant")


def in_control(consumer_id: str, as_of: datetime, seed: int, share: float) -> bool:
    """Whether a consumer is held back in the quarter of `as_of`.

    Depends on the id, the quarter (UTC) and the seed only, so that it is drawn before any guard, stays the
    same all quarter long, and can be recomputed by whoever measures the effect.
    """
    quarter = f"{as_of.year}Q{(as_of.month + 2) // 3}"
    digest = hashlib.sha256(f"{seed}:{quarter}:{consumer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def wakeup_rows(
    sleepers: pl.DataFrame,
    consumers: pl.DataFrame,
    probability: FloatArray,
    from_model: BoolArray,
    as_of: datetime,
    params: WakeupParams,
    *,
    seed: int,
    effect: Effect | None = None,
) -> pl.DataFrame:
    """Rank the dormant by expected value and decide about their offers.

    Until an experiment has passed the gate of uplift, the expected value is P(churn) x net spend of 365 days
    x the assumed response rate, in cents, half up: what would be lost with the consumer, times how often an
    offer is assumed to bring one back. With a measured effect it is effect x margin of the net spend of 365
    days, less the coupon's value times how likely it is redeemed (P(no churn) and the effect); an offer that
    costs more than it brings is not made. Order of the decisions: control draw, then consent, then worth,
    then the cap, from the best rank down.

    Args:
        sleepers: From `dormant`.
        consumers: `consumer_id`, `merchant_id`, `consent_marketing`; unknown consumers and null count as no
            consent, and the merchant of their last order stands in.
        probability: Churn probability of each sleeper, float64 (n,).
        from_model: True where the model said it, False where the simple rule did; bool (n,).
        as_of: Moment of knowledge; its quarter salts the control draw.
        params: Settings.
        seed: Seed of the control draw.
        effect: Of an offer on the chance to come back, given `offers.FEATURES`; None where none is measured.

    Returns:
        The columns of `PUBLISHED_TABLES["wakeup_list"]`, ordered by rank.
    """
    known = consumers.select("consumer_id", "merchant_id", "consent_marketing").unique(
        "consumer_id", keep="first"
    )
    controls = [
        in_control(consumer_id, as_of, seed, params.control_share) for consumer_id in sleepers["consumer_id"]
    ]
    described = sleepers.with_columns(
        churn_probability=pl.Series(probability, dtype=pl.Float64),
        from_model=pl.Series(np.asarray(from_model, dtype=np.bool_), dtype=pl.Boolean),
        is_control=pl.Series(controls, dtype=pl.Boolean),
        is_high_value=pl.col("spend_cents") > params.high_value_cents,
    )
    ranked = (
        described.with_columns(expected_value_cents=_expected_value(described, params, effect))
        .join(known, on="consumer_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("merchant_id").fill_null(pl.col("last_merchant_id")),
            pl.col("consent_marketing").fill_null(False),
        )
        .sort("expected_value_cents", "consumer_id", descending=[True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    )
    is_worth = pl.lit(True) if effect is None else pl.col("expected_value_cents") > 0
    eligible = ~pl.col("is_control") & pl.col("consent_marketing") & is_worth
    guarded = ranked.with_columns(
        is_measured=pl.lit(effect is not None),
        is_worth=is_worth,
        is_capped=eligible & (eligible.cast(pl.Int64).cum_sum() > params.max_offers),
    )
    offered = eligible & ~pl.col("is_capped")
    code = (
        pl.when(pl.col("is_high_value"))
        .then(pl.lit(params.high_value_offer_code))
        .otherwise(pl.lit(params.offer_code))
    )
    return guarded.with_columns(
        offer_code=pl.when(offered).then(code),
        offer_threshold_cents=pl.when(offered).then(pl.lit(params.offer_threshold_cents, dtype=pl.Int64)),
        offer_value_cents=pl.when(offered).then(pl.lit(params.offer_value_cents, dtype=pl.Int64)),
        reason_codes=pl.Series(
            [_reasons(row, params) for row in guarded.iter_rows(named=True)], dtype=pl.String
        ),
    )


def _expected_value(sleepers: pl.DataFrame, params: WakeupParams, effect: Effect | None) -> pl.Series:
    """Cents, half up; see `wakeup_rows`."""
    spend = sleepers["spend_cents"].clip(0).to_numpy()
    churn = sleepers["churn_probability"].to_numpy()
    if effect is None:
        value = spend * churn * params.response_rate
    else:
        features = sleepers.select(pl.col(name).cast(pl.Float64) for name in FEATURES).to_numpy()
        uplift = np.clip(effect.predict(features), 0.0, churn)
        redeemed = 1 - churn + uplift
        value = uplift * spend * params.margin_share - redeemed * params.offer_value_cents
    return pl.Series(np.floor(value + 0.5)).cast(pl.Int64)


def _reasons(row: dict[str, object], params: WakeupParams) -> str:
    """Reason codes of a row as JSON, always in this order."""
    codes = [
        (True, f"dormant_{params.dormant_days}d"),
        (row["is_overdue"], "overdue_against_own_rhythm"),
        (row["is_high_value"], "high_value"),
        (True, "response_measured" if row["is_measured"] else "response_assumed"),
        (True, "model" if row["from_model"] else "simple_rule"),
        (row["is_control"], "control"),
        (not row["consent_marketing"], "no_marketing_consent"),
        (not row["is_worth"], "not_worth_the_offer"),
        (row["is_capped"], "offer_cap_reached"),
    ]
    return json.dumps([code for holds, code in codes if holds])
