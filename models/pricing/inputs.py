"""The inputs of a price, joined to one row a listing. No price is computed here."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from models.errors import ModelError
from models.pricing.bundle import OVERALL, PricingBundle
from models.pricing.config import PolicyConfig
from models.pricing.elasticities.learning import learn
from models.pricing.rules.policy import log_beliefs

_LISTING_OPTIONS: dict[str, pl.DataType] = {
    "current_price_cents": pl.Int64(),
    "week_low_price_cents": pl.Int64(),
    "week_high_price_cents": pl.Int64(),
    "map_cents": pl.Int64(),
    "legal_max_cents": pl.Int64(),
    "valid_from": pl.Datetime("us", "UTC"),
    "cost_at_change_cents": pl.Int64(),
}


def listing_inputs(
    listings: pl.DataFrame,
    supply: pl.DataFrame,
    competitor_prices: pl.DataFrame,
    sold: pl.DataFrame,
    as_of: datetime,
    bundle: PricingBundle | None,
    policy: PolicyConfig,
    periods: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Join everything known about each listing that can be priced.

    Args:
        listings: As for `scoring.price`.
        supply: As for `scoring.price`.
        competitor_prices: As for `scoring.price`.
        sold: As for `scoring.price`.
        as_of: Business moment, aware UTC.
        bundle: Fitted elasticities, if promoted.
        policy: Windows of demand and of competitor prices, and how beliefs are learnt.
        periods: As for `scoring.price`.

    Returns:
        One row a listing with a list price and an offer, sorted by merchant_id and sku_id.

    Raises:
        ModelError: A listing appears twice.

    Note:
        Nothing after `as_of` is read from orders or competitor prices.
    """
    rows = listings.filter(pl.col("list_price_cents").fill_null(0) > 0).with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in _LISTING_OPTIONS.items()
        if name not in listings.columns
    )
    rows = rows.select(
        "merchant_id",
        "sku_id",
        pl.col("list_price_cents").cast(pl.Int64),
        pl.col("pricing_mode").fill_null("approve"),
        *(pl.col(name).cast(dtype) for name, dtype in _LISTING_OPTIONS.items()),
    ).sort("merchant_id", "sku_id")
    twice = rows.filter(pl.struct("merchant_id", "sku_id").is_duplicated())
    if twice.height:
        merchant, sku = twice.select("merchant_id", "sku_id").row(0)
        raise ModelError(f"prices: merchant {merchant} lists sku {sku} twice; pass current listings only")
    window = units_sold(sold, as_of, policy.demand_days)
    skus = sku_supply(supply).join(
        window.group_by("sku_id").agg(demand_qty=_units("qty_milli")), on="sku_id", how="left"
    )
    skus = skus.with_columns(pl.col("demand_qty").fill_null(0.0))
    if bundle is not None:
        skus = _beliefs(sku_elasticities(skus, bundle), bundle, as_of, policy, periods)
    both = (pl.col("demand_qty") > 0) & (pl.col("supply_qty") > 0)
    skus = skus.with_columns(
        typical_ratio=(pl.col("demand_qty") / pl.col("supply_qty")).filter(both).median().over("group_id")
    ).join(_competitors(competitor_prices, as_of, policy.competitor_days), on="sku_id", how="left")
    own = window.group_by("merchant_id", "sku_id").agg(own_qty=_units("qty_milli"))
    return (
        rows.join(skus, on="sku_id", how="inner", maintain_order="left")
        .join(own, on=["merchant_id", "sku_id"], how="left", maintain_order="left")
        .with_columns(
            pl.col("own_qty").fill_null(0.0),
            current_price_cents=pl.coalesce("current_price_cents", "list_price_cents").clip(1),
            days_since_change=(pl.lit(as_of) - pl.col("valid_from")).dt.total_seconds() / 86_400.0,
        )
        .with_columns(
            pl.coalesce(name, "current_price_cents").clip(1).alias(name)
            for name in ("week_low_price_cents", "week_high_price_cents")
        )
    )


def count_unpriced(listings: pl.DataFrame, supply: pl.DataFrame) -> dict[str, int]:
    """Listings that get no row from `price`, by reason.

    Args:
        listings: As for `price`.
        supply: As for `price`.

    Returns:
        `without_list_price` and `without_offer`; a listing is counted once, in this order.
    """
    priced = pl.col("list_price_cents").fill_null(0) > 0
    sellable = listings.filter(priced)
    supplied = sellable.join(sku_supply(supply), on="sku_id", how="semi")
    return {
        "without_list_price": listings.height - sellable.height,
        "without_offer": sellable.height - supplied.height,
    }


def sku_supply(supply: pl.DataFrame) -> pl.DataFrame:
    """Cost, stock and pricing group of each sku with an offer.

    Args:
        supply: As for `scoring.price`.

    Returns:
        sku_id, category_l3_id (nullable), group_id (the category, or the sku itself without one), cost_cents
        (of the cheapest offer in stock, else of the cheapest), supply_qty (units in stock); sorted by sku_id.
    """
    offers = supply.filter(pl.col("supply_price_cents").fill_null(0) > 0).with_columns(
        pl.col("on_hand_qty").fill_null(0).clip(0).cast(pl.Int64), pl.col("supply_price_cents").cast(pl.Int64)
    )
    in_stock = pl.col("supply_price_cents").filter(pl.col("on_hand_qty") > 0).min()
    return (
        offers.group_by("sku_id")
        .agg(
            pl.col("category_l3_id").min(),
            cost_cents=pl.coalesce(in_stock, pl.col("supply_price_cents").min()),
            supply_qty=pl.col("on_hand_qty").sum(),
        )
        .with_columns(group_id=pl.coalesce("category_l3_id", "sku_id"))
        .sort("sku_id")
    )


def units_sold(sold: pl.DataFrame, as_of: datetime, days: int) -> pl.DataFrame:
    """The rows of `sold` within the last `days` days up to `as_of`."""
    return sold.filter((pl.col("placed_at") <= as_of) & (pl.col("placed_at") > as_of - timedelta(days=days)))


def sku_elasticities(skus: pl.DataFrame, bundle: PricingBundle) -> pl.DataFrame:
    """Elasticity and deviation of each sku; a new sku takes its category's, else that of all skus.

    Args:
        skus: sku_id, category_l3_id (nullable), one row a sku.
        bundle: Fitted elasticities.

    Returns:
        `skus` with elasticity and deviation, float64, never null.
    """
    overall = bundle.level(OVERALL)
    return (
        skus.join(bundle.skus.select("sku_id", "elasticity", "deviation"), on="sku_id", how="left")
        .join(bundle.level("l3"), left_on="category_l3_id", right_on="category_id", how="left", suffix="_l3")
        .select(
            *skus.columns,
            *(
                pl.coalesce(name, f"{name}_l3", pl.lit(overall.get_column(name).item()))
                for name in ("elasticity", "deviation")
            ),
        )
    )


def learning_week(as_of: datetime) -> date:
    """Monday of the week that beliefs and their draw hold for."""
    return as_of.date() - timedelta(days=as_of.weekday())


def _beliefs(
    skus: pl.DataFrame,
    bundle: PricingBundle,
    as_of: datetime,
    policy: PolicyConfig,
    periods: pl.DataFrame | None,
) -> pl.DataFrame:
    """With log_size and log_deviation: from the fitted elasticities, then from the platform's moves."""
    fitted = log_beliefs(
        skus.get_column("elasticity").to_numpy(),
        skus.get_column("deviation").to_numpy(),
        bundle.max_elasticity,
    )
    skus = skus.with_columns(
        log_size=pl.Series(fitted.log_size), log_deviation=pl.Series(fitted.log_deviation)
    )
    if periods is None or skus.is_empty():
        return skus
    week = learning_week(as_of)
    seen = pl.col("week_start_on").is_between(
        week - timedelta(days=policy.learning_days), week, closed="left"
    )
    return learn(skus, periods.filter(seen), policy)


def _units(column: str) -> pl.Expr:
    """Sum in units of a column in thousandths; summed in whole numbers, so that no order of rows matters."""
    return pl.col(column).sum() / 1000.0


def _competitors(competitor_prices: pl.DataFrame, as_of: datetime, days: int) -> pl.DataFrame:
    """Mean of each competitor's latest price, and the mean of all prices of the window, a sku."""
    seen = competitor_prices.filter(
        (pl.col("observed_at") <= as_of)
        & (pl.col("observed_at") > as_of - timedelta(days=days))
        & (pl.col("price_cents") > 0)
    )
    latest = (
        seen.sort("observed_at", "price_cents")
        .group_by("sku_id", "competitor")
        .agg(pl.col("price_cents").last())
        .group_by("sku_id")
        .agg(competitor_cents=pl.col("price_cents").cast(pl.Float64).mean())
    )
    market = seen.group_by("sku_id").agg(market_mean_cents=pl.col("price_cents").cast(pl.Float64).mean())
    return latest.join(market, on="sku_id")
