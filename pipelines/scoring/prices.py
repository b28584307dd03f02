"""Suggested prices from the warehouse: all of them, or those of some skus."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import duckdb
import polars as pl

from models.pricing.bundle import load_bundle
from models.pricing.config import PolicyConfig, PricingConfig
from models.pricing.inputs import count_unpriced, learning_week
from models.pricing.rules.markdown import clearance_warnings
from models.pricing.scoring import price
from pipelines.stores.brake import NOTHING_HELD, HeldBack
from pipelines.warehouse import reading


@dataclass(frozen=True)
class Market:
    """What a price is made from; frames as `models.pricing.scoring.price` takes them."""

    listings: pl.DataFrame
    supply: pl.DataFrame
    competitor_prices: pl.DataFrame
    sold: pl.DataFrame
    periods: pl.DataFrame
    unpromoted: Collection[str]

    def unpriced(self) -> dict[str, int]:
        """Listings that get no price, by reason."""
        return count_unpriced(self.listings, self.supply)


def read_market(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    policy: PolicyConfig,
    skus: Sequence[str] | None = None,
    held: HeldBack = NOTHING_HELD,
) -> Market:
    """Listings, offers with their stock, competitor prices and sales up to a moment.

    Args:
        connection: A DuckDB in UTC with the schemas core and intermediate of the warehouse.
        as_of: Business moment, aware UTC.
        policy: The windows.
        skus: Only these; None means all.
        held: What the quality brake holds back.
    """
    sold_days = timedelta(days=max(policy.demand_days, policy.turnover_days))
    rival_days = timedelta(days=policy.competitor_days)
    week = datetime.combine(learning_week(as_of), time(), UTC)
    return Market(
        reading.listings_in_force(connection, as_of=as_of, skus=skus),
        held.offers(reading.current_offers(connection, skus=skus)),
        reading.competitor_prices(connection, since=as_of - rival_days, until=as_of, skus=skus),
        reading.units_sold(connection, since=as_of - sold_days, until=as_of, skus=skus),
        reading.price_periods(
            connection, since=week - timedelta(days=policy.learning_days), until=week, skus=skus
        ),
        held.unpromoted,
    )


def score_market(market: Market, as_of: datetime, bundle: Path | None) -> pl.DataFrame:
    """Suggest a price for every listing of a market; see `models.pricing.scoring.price`."""
    return price(
        market.listings,
        market.supply,
        market.competitor_prices,
        market.sold,
        as_of,
        bundle,
        PricingConfig(),
        market.periods,
        market.unpromoted,
    )


def score_clearance(
    connection: duckdb.DuckDBPyConnection, listings: pl.DataFrame, as_of: datetime, bundle: Path | None
) -> tuple[pl.DataFrame, int]:
    """Warnings about stock that turns over slowly; see `models.pricing.rules.markdown.clearance_warnings`.

    Args:
        connection: The published warehouse.
        listings: Of `read_market`.
        as_of: Business moment, aware UTC.
        bundle: Folder of promoted elasticities; None means those that cost plus implies.

    Returns:
        The columns of the published table `clearance_warnings`, and how many pairs of a supplier and a sku
        were judged: all that have stock.

    Raises:
        BundleError: The bundle cannot be read.
    """
    config = PricingConfig()
    since = as_of - timedelta(days=config.policy.turnover_days)
    stock = reading.stock_movements(connection, since=since, until=as_of)
    elasticities = None if bundle is None else load_bundle(bundle)
    return clearance_warnings(stock, listings, elasticities, config), stock.height


def score_prices(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    bundle: Path | None,
    skus: Sequence[str] | None,
    held: HeldBack = NOTHING_HELD,
) -> pl.DataFrame:
    """Suggest prices for the listings of some skus and of everything that is priced together with them.

    Scarcity and the change budget are judged within a category, so news of one sku may move the price of
    another. What comes back is therefore complete: every listing of the categories of `skus`, equal to those
    rows of a run over all.

    Args:
        connection: A DuckDB in UTC with the schemas core and intermediate of the warehouse.
        as_of: Business moment, aware UTC.
        bundle: Folder of promoted elasticities; None means cost plus.
        skus: Skus with news; None means all.
        held: What the quality brake holds back.

    Returns:
        The columns of the published table `prices`, sorted by merchant_id and sku_id.

    Raises:
        BundleError: The bundle cannot be read.
        ModelError: A listing appears twice.
    """
    group = None if skus is None else reading.pricing_group(connection, skus)
    return score_market(read_market(connection, as_of, PricingConfig().policy, group, held), as_of, bundle)
