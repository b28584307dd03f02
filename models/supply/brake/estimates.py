"""The complaint rate of every sku over the window, corrected for complaints that have not come yet."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import beta

from models.supply.brake.config import BrakeConfig
from models.supply.brake.priors import Prior, Source, fit, prior_of

_MOMENT = pl.Datetime("us", "UTC")
DELIVERED: dict[str, pl.DataType] = {
    "sku_id": pl.String(),
    "supplier_id": pl.String(),
    "category_id": pl.String(),
    "order_id": pl.String(),
    "line_no": pl.Int64(),
    "batch_id": pl.String(),
    "units": pl.Float64(),
    "delivered_at": _MOMENT,
    "complained_at": _MOMENT,
    "harmed_at": _MOMENT,
}
"""A delivered order line: its batch where that is known, its units, its first complaint of quality and its
last one that tells of harm; null where there is none."""
ESTIMATES: dict[str, pl.DataType] = {
    "sku_id": pl.String(),
    "batch_id": pl.String(),
    "category_id": pl.String(),
    "line": pl.Float64(),
    "prior_mean": pl.Float64(),
    "prior_strength": pl.Float64(),
    "prior_source": pl.String(),
    "orders": pl.Int64(),
    "units": pl.Float64(),
    "matured_units": pl.Float64(),
    "complaints": pl.Int64(),
    "safety": pl.Int64(),
    "mean": pl.Float64(),
    "above": pl.Float64(),
    "suppliers": pl.List(pl.String()),
}
_UNIT = ["sku_id", "batch_id"]
FloatArray = npt.NDArray[np.float64]
_DAY_S = 86_400.0


def estimate(
    delivered: pl.DataFrame,
    as_of: datetime,
    config: BrakeConfig,
    counted_from: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The posterior of every sku that was delivered in the window, and of every batch of it that is known.

    A unit that was delivered `a` days ago counts as F(a) of a unit, F being the share of all complaints that
    have come after `a` days: what has had no time to be complained about is no proof of quality. The
    posterior is Beta(a0 + complaints, b0 + matured units - complaints). `mean` is told with the whole prior
    of the category, `above` with `watchful_units` of it.

    Args:
        delivered: Columns of `DELIVERED`, one row a delivered line; later ones are not looked at.
        as_of: Moment of knowledge, aware UTC; later complaints are not looked at. Harm counts by the day of
            the complaint, whenever the goods were delivered.
        config: Settings.
        counted_from: `sku_id`, `counted_from`: what was delivered before, a closed improvement case answered.

    Returns:
        Columns of `ESTIMATES`, by sku and batch: one row a sku with deliveries or harm in the window, whose
        `batch_id` is null, and one a batch. `suppliers` are those to whom a recall would point: whose goods
        harmed, or whose own raw rate lies above the line that recalls.

    Note:
        Without any history the default prior and line serve; `prior_source` says so.
    """
    known = _known(delivered, as_of, config)
    curve = maturity(known, as_of, config)
    known = known.with_columns(matured=pl.col("units") * pl.Series(np.interp(known["age"], *curve)))
    priors = _priors(known, config)
    window = known.filter(pl.col("is_judged") | pl.col("has_harmed"))
    if counted_from is not None:
        window = window.join(counted_from, on="sku_id", how="left").filter(
            (pl.col("delivered_at") >= pl.col("counted_from")).fill_null(True)
        )
    whole = window.with_columns(batch_id=pl.lit(None, pl.String))
    window = pl.concat([whole, window.filter(pl.col("batch_id").is_not_null())])
    skus = window.group_by(_UNIT).agg(
        category_id=pl.col("category_id").sort().last(),
        orders=pl.col("order_id").filter("is_judged").n_unique().cast(pl.Int64),
        units=pl.col("units").filter("is_judged").sum(),
        matured_units=pl.col("matured").filter("is_judged").sum(),
        complaints=(pl.col("has_complaint") & pl.col("is_judged")).sum().cast(pl.Int64),
        safety=pl.col("has_harmed").sum().cast(pl.Int64),
    )
    found = skus.join(priors, on="category_id", how="left", maintain_order="left")
    strength = found["prior_strength"].to_numpy()
    a, b = _posterior(found, strength)
    light = _posterior(found, np.minimum(strength, config.watchful_units))
    found = found.with_columns(
        mean=pl.Series(a / (a + b)), above=pl.Series(beta.sf(found["line"].to_numpy(), *light))
    )
    return (
        found.join(_to_blame(window, found, config), on=_UNIT, how="left", nulls_equal=True)
        .with_columns(pl.col("suppliers").fill_null([]))
        .select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items())
        .sort(_UNIT)
    )


def _posterior(found: pl.DataFrame, strength: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean, complaints = found["prior_mean"].to_numpy(), found["complaints"].cast(pl.Float64).to_numpy()
    fine = np.maximum(found["matured_units"].to_numpy() - complaints, 0.0)
    return mean * strength + complaints, (1 - mean) * strength + fine


def maturity(known: pl.DataFrame, as_of: datetime, config: BrakeConfig) -> tuple[FloatArray, FloatArray]:
    """Ages in days, and the share of complaints that have come by then: from 0 to 1 at the window's end.

    Learned from deliveries that are older than the window, whose complaints have all come; an exponential
    delay stands in where they are too few.

    Args:
        known: Delivered lines with `age`, `has_complaint` and `delay`.
        as_of: Moment of knowledge.
        config: Settings.

    Returns:
        Two arrays of shape (window_days + 1,).
    """
    days = np.arange(config.window_days + 1, dtype=np.float64)
    delays = known.filter("has_complaint", pl.col("age") >= config.window_days)["delay"].to_numpy()
    if len(delays) < config.least_delays:
        come = 1 - np.exp(-days / config.usual_delay_days)
        return days, come / come[-1]
    return days, np.searchsorted(np.sort(delays), days, side="right") / len(delays)


def _known(delivered: pl.DataFrame, as_of: datetime, config: BrakeConfig) -> pl.DataFrame:
    """Lines of the prior's days, with ages and delays in days, and what counts."""
    since = as_of - timedelta(days=max(config.prior_days, config.window_days))
    in_time = (pl.col("complained_at") <= as_of) & (pl.col("delay") <= config.window_days)
    recent = pl.col("harmed_at").is_between(as_of - timedelta(days=config.window_days), as_of, closed="right")
    return (
        delivered.with_columns(has_harmed=recent.fill_null(False))
        .filter(pl.col("delivered_at").is_between(since, as_of) | pl.col("has_harmed"))
        .with_columns(
            age=(pl.lit(as_of) - pl.col("delivered_at")).dt.total_microseconds() / (_DAY_S * 1e6),
            delay=(pl.col("complained_at") - pl.col("delivered_at")).dt.total_microseconds() / (_DAY_S * 1e6),
        )
        .with_columns(
            has_complaint=in_time.fill_null(False),
            is_judged=pl.col("age").is_between(0, config.window_days, closed="left"),
        )
    )


def _priors(known: pl.DataFrame, config: BrakeConfig) -> pl.DataFrame:
    """`category_id`, `line`, `prior_mean`, `prior_strength`, `prior_source` of every category."""
    skus = (
        known.group_by("category_id", "sku_id")
        .agg(units=pl.col("matured").sum(), complaints=pl.col("has_complaint").sum().cast(pl.Float64))
        .filter(pl.col("units") > 0)
        .sort("category_id", "sku_id")
    )
    platform = fit(skus["units"].to_numpy(), skus["complaints"].to_numpy(), config)
    rows: list[tuple[str, Prior]] = []
    for category_id in known["category_id"].unique().sort().to_list():
        part = skus.filter(pl.col("category_id") == category_id)
        own = fit(part["units"].to_numpy(), part["complaints"].to_numpy(), config)
        source: Source = "category" if own else "platform" if platform else "default"
        rows.append((category_id, prior_of(category_id, own or platform, source, config)))
    return pl.DataFrame(
        [(name, one.line, one.mean, one.strength, one.source) for name, one in rows],
        schema={
            "category_id": pl.String,
            "line": pl.Float64,
            "prior_mean": pl.Float64,
            "prior_strength": pl.Float64,
            "prior_source": pl.String,
        },
        orient="row",
    )


def _to_blame(window: pl.DataFrame, found: pl.DataFrame, config: BrakeConfig) -> pl.DataFrame:
    """Sku, batch and the suppliers whose goods harmed, or whose rate lies above the line that recalls."""
    return (
        window.filter(pl.col("supplier_id").is_not_null())
        .group_by(*_UNIT, "supplier_id")
        .agg(
            matured=pl.col("matured").sum(),
            complaints=pl.col("has_complaint").sum(),
            harmed=pl.col("has_harmed").any(),
        )
        .join(found.select(*_UNIT, "line"), on=_UNIT, nulls_equal=True)
        .filter(
            pl.col("harmed")
            | (pl.col("complaints") > pl.col("matured") * pl.col("line") * config.rules.recall_lines)
        )
        .sort(*_UNIT, "supplier_id")
        .group_by(_UNIT, maintain_order=True)
        .agg(suppliers="supplier_id")
    )
