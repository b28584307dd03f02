"""Batch scoring of the lifecycle family: the wake-up list, the rebuy reminders and the value of consumers.

Reads frames and bundles, returns the published frames. A missing bundle means that the simple rule serves,
and the reason codes say so. Nothing but the rules' curves is fitted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.errors import ModelError
from models.lifecycle import bundle as bundles
from models.lifecycle.config import CHURN, REBUY, LifecycleConfig
from models.lifecycle.features.churn_features import TagReader, churn_features
from models.lifecycle.features.history import History, read_history
from models.lifecycle.features.rebuy_features import named_pairs, rebuy_features
from models.lifecycle.features.tasks import OWN_RATE, as_matrix, feature_names, rule_scores
from models.lifecycle.lists.reminders import reminder_rows
from models.lifecycle.lists.rules import own_rate_curve, recency_curve
from models.lifecycle.lists.wakeup import dormant, wakeup_rows
from models.lifecycle.uplift.offers import learnt
from models.lifecycle.value.model import load as load_value
from models.lifecycle.value.training import purchases_of
from models.metrics import BoolArray, FloatArray

_DTYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "json": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
}


@dataclass(frozen=True)
class LifecycleScores:
    """Published frames, dtypes as in `PUBLISHED_TABLES` (text and json String, int Int64, float Float64).

    Attributes:
        wakeup_list: See `PUBLISHED_TABLES["wakeup_list"]`; ordered by rank.
        rebuy_reminders: See `PUBLISHED_TABLES["rebuy_reminders"]`; ordered by key.
        rebuy_vectors: `consumer_id`, `category_id`, `rebuy_probability` and the features that the model read,
            one row a reminder; zero rows where the simple rule serves.
        churn: `consumer_id` and `probability` of everybody whom the model was asked about; zero rows where
            the simple rule serves.
        value: `consumer_id`, `expected_orders` and `value_cents` (float64) of the model's horizon, of
            everybody who ever ordered; zero rows where the simple rule serves.
    """

    wakeup_list: pl.DataFrame
    rebuy_reminders: pl.DataFrame
    rebuy_vectors: pl.DataFrame
    churn: pl.DataFrame
    value: pl.DataFrame


def score(
    lines: pl.DataFrame,
    consumers: pl.DataFrame,
    as_of: datetime,
    churn_bundle: Path | None,
    rebuy_bundle: Path | None,
    value_bundle: Path | None = None,
    *,
    tags: TagReader,
    seed: int,
    config: LifecycleConfig | None = None,
    past_offers: pl.DataFrame | None = None,
) -> LifecycleScores:
    """Score every dormant consumer and every pair of consumer and product type bought at least twice.

    Args:
        lines: As for `read_history`; rows after `as_of` are dropped.
        consumers: `consumer_id`, `merchant_id`, `registered_at`, `consent_marketing`; may have zero rows.
        as_of: Moment of knowledge, tz-aware UTC.
        churn_bundle: Folder of `lifecycle_churn`; None serves the recency curve (`simple_rule`).
        rebuy_bundle: Folder of `lifecycle_rebuy`; None serves the own rebuy rate (`rule_...`).
        value_bundle: Folder of `lifecycle_value`; None says nothing of anybody's value.
        tags: The store's reader of tags at a moment.
        seed: Seed of the control draw.
        config: Settings of the lists and of the rules; the defaults when None.
        past_offers: Rows of `uplift.offers.offered` of past lists with `as_of`; None is no experiment, and
            the assumed response serves.

    Returns:
        The frames. Works on zero rows. A dormant consumer without an order in the model's active window
        was never a question to the model: the recency curve answers, and the reason says `simple_rule`.

    Raises:
        BundleError: A bundle is missing, unfinished or of another format.
        ModelError: A required column is missing.
    """
    config = config or LifecycleConfig()
    if missing := {"consumer_id", "merchant_id", "consent_marketing"} - set(consumers.columns):
        raise ModelError(f"lifecycle: consumers lack the columns {', '.join(sorted(missing))}")
    churn = bundles.load(churn_bundle, CHURN) if churn_bundle is not None else None
    rebuy = bundles.load(rebuy_bundle, REBUY) if rebuy_bundle is not None else None
    history = read_history(lines, as_of)
    sleepers = dormant(history, as_of, config.wakeup)
    asked = _asked(history, as_of, churn, tags)
    probability, from_model = _churn(history, sleepers, as_of, churn, asked, config)
    effect = None
    if past_offers is not None:
        orders = purchases_of(history, as_of).select("consumer_id", "at")
        effect = learnt(past_offers, orders, as_of, config.wakeup.control_share)
    wakeup = wakeup_rows(
        sleepers, consumers, probability, from_model, as_of, config.wakeup, seed=seed, effect=effect
    )
    reminders, vectors = _reminders(history, as_of, rebuy, config)
    return LifecycleScores(
        _publish("wakeup_list", wakeup, ("rank",)),
        _publish("rebuy_reminders", reminders, PUBLISHED_TABLES["rebuy_reminders"].key),
        vectors,
        asked.select(consumer_id=history.consumers.gather(asked["consumer"]), probability="model"),
        _value(history, as_of, value_bundle),
    )


def _value(history: History, as_of: datetime, folder: Path | None) -> pl.DataFrame:
    """What the value model says of everybody who ever ordered."""
    if folder is None:
        return pl.DataFrame(
            schema={"consumer_id": pl.String, "expected_orders": pl.Float64, "value_cents": pl.Float64}
        )
    return load_value(folder).predict(purchases_of(history, as_of), as_of)


def _asked(history: History, as_of: datetime, bundle: bundles.Bundle | None, tags: TagReader) -> pl.DataFrame:
    """`consumer` and what the model said (`model`), for everybody it is asked about."""
    if bundle is None:
        return pl.DataFrame(schema={"consumer": pl.Int32, "model": pl.Float64})
    frame = churn_features(history, as_of, bundle.config.active_days, tags)
    said = bundle.probability(as_matrix(frame, feature_names(CHURN)))
    return frame.select("consumer", model=pl.Series(said, dtype=pl.Float64))


def _churn(
    history: History,
    sleepers: pl.DataFrame,
    as_of: datetime,
    bundle: bundles.Bundle | None,
    asked: pl.DataFrame,
    config: LifecycleConfig,
) -> tuple[FloatArray, BoolArray]:
    """Churn probability of each sleeper and whether the model said it."""
    horizon = timedelta(days=(bundle.config if bundle else config).churn.horizon_days)
    by_rule = recency_curve(history, as_of, horizon).apply(sleepers["recency_days"].to_numpy())
    if bundle is None:
        return by_rule, np.zeros(sleepers.height, np.bool_)
    joined = sleepers.select("consumer").join(asked, on="consumer", how="left", maintain_order="left")
    from_model = joined["model"].is_not_null().to_numpy().astype(np.bool_)
    return np.where(from_model, joined["model"].fill_null(0.0).to_numpy(), by_rule), from_model


def _reminders(
    history: History, as_of: datetime, bundle: bundles.Bundle | None, config: LifecycleConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reminders, and the features that the model judged them by."""
    settings = bundle.config if bundle else config
    pairs = rebuy_features(history, as_of, settings.min_purchases)
    if bundle is not None:
        probability = bundle.probability(as_matrix(pairs, feature_names(REBUY)))
    else:
        horizon = timedelta(days=settings.rebuy.horizon_days)
        curve = own_rate_curve(history, as_of, horizon, settings.min_purchases)
        probability = curve.apply(rule_scores(REBUY, pairs)[OWN_RATE])
    rows = reminder_rows(pairs, history, probability, top=config.top_reminders, from_model=bundle is not None)
    judged = rows.select("consumer_id", "category_id", "rebuy_probability")
    vectors = judged.join(named_pairs(pairs, history), on=["consumer_id", "category_id"])
    return rows, vectors if bundle is not None else vectors.clear()


def _publish(table: str, frame: pl.DataFrame, order: tuple[str, ...]) -> pl.DataFrame:
    """Columns, dtypes and order of a published table."""
    columns = PUBLISHED_TABLES[table].columns
    return frame.select(pl.col(one.name).cast(_DTYPES[one.type]) for one in columns).sort(order)
