"""What past wake-up lists taught: who got an offer, who was held back by the draw, and who came back.

Controls are drawn before any guard, so among those who could have got an offer the draw alone decides.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.errors import InsufficientDataError
from models.lifecycle.uplift.gate import Judged, judge
from models.lifecycle.uplift.learners import Effect
from models.lifecycle.uplift.trial import Experiment

log = logging.getLogger(__name__)

FEATURES = ("dormant_days", "churn_probability", "is_high_value", "is_overdue")
CAME_BACK = timedelta(days=28)
"""An order within this time after the list is a return."""


def offered(listed: pl.DataFrame) -> pl.DataFrame:
    """Who of a wake-up list got an offer, or would have but for the draw.

    Args:
        listed: Columns of `PUBLISHED_TABLES["wakeup_list"]`.

    Returns:
        `consumer_id`, `FEATURES` (float64) and `is_treated`, ordered by id. Without those who may not be
        contacted, and those below the last rank that got an offer.
    """
    codes = pl.col("reason_codes")
    is_treated = pl.col("offer_code").is_not_null()
    last = listed.filter(is_treated)["rank"].max()
    if last is None:
        return _features(listed.clear())
    may = ~codes.str.contains('"no_marketing_consent"', literal=True) & (pl.col("rank") <= last)
    return _features(listed.filter(may & (is_treated | pl.col("is_control"))))


def _features(listed: pl.DataFrame) -> pl.DataFrame:
    overdue = pl.col("reason_codes").str.contains('"overdue_against_own_rhythm"', literal=True)
    return (
        listed.with_columns(is_overdue=overdue)
        .select(
            "consumer_id",
            *(pl.col(name).cast(pl.Float64) for name in FEATURES),
            is_treated=pl.col("offer_code").is_not_null(),
        )
        .sort("consumer_id")
    )


def trial(past: pl.DataFrame, orders: pl.DataFrame, as_of: datetime, control_share: float) -> Experiment:
    """Matured offers as a randomised trial.

    Args:
        past: Rows of `offered` of past lists, each with `as_of` (UTC). Of a consumer and quarter, for which
            the draw is the same, the first row counts.
        orders: `consumer_id` and `at` (UTC) of every order known at `as_of`.
        as_of: Moment of knowledge; lists younger than `CAME_BACK` are left out.
        control_share: Share that the draw holds back.
    """
    listed = pl.col("as_of").dt.convert_time_zone("UTC")
    rows = (
        past.filter(listed <= as_of - CAME_BACK)
        .with_columns(quarter=listed.dt.year() * 4 + listed.dt.quarter())
        .sort("as_of", "consumer_id")
        .unique(["consumer_id", "quarter"], keep="first", maintain_order=True)
    )
    numbered = rows.with_row_index("row")
    came = (
        numbered.join(orders, on="consumer_id")
        .filter((pl.col("at") > pl.col("as_of")) & (pl.col("at") <= pl.col("as_of") + CAME_BACK))
        .select("row", came=1.0)
        .unique()
    )
    outcome = numbered.join(came, on="row", how="left", maintain_order="left")["came"].fill_null(0.0)
    return Experiment(
        np.asarray(rows.select(FEATURES).to_numpy(), dtype=np.float64),
        rows["is_treated"].to_numpy().astype(np.bool_),
        np.asarray(outcome.to_numpy(), dtype=np.float64),
        1 - control_share,
    )


def learnt(past: pl.DataFrame, orders: pl.DataFrame, as_of: datetime, control_share: float) -> Effect | None:
    """The effect of an offer on coming back; None where there is no experiment, or the gate refuses it.

    Args:
        past: As for `trial`; zero rows are no experiment.
        orders: As for `trial`.
        as_of: As for `trial`.
        control_share: As for `trial`.
    """
    if past.is_empty():
        return None
    try:
        judged: Judged = judge(trial(past, orders, as_of, control_share))
    except InsufficientDataError as error:
        log.info("%s", error)
        return None
    log.info("uplift of wake-up offers by %s: %s", judged.learner, judged.decision.reason)
    return judged.effect if judged.decision.promoted else None
