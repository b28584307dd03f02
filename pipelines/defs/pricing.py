"""Pricing: train and gate the elasticities, then suggest a price for every listing."""

from datetime import timedelta

import dagster as dg
import polars as pl

from pipelines import reading, registration
from pipelines.conventions import Group, Owner
from pipelines.gates import gate_checks
from pipelines.platform import Outcome, Platform

MODELS = ("pricing_elasticity",)
_DEMAND_WINDOW = timedelta(days=90)
_CODE = ("models/pricing", "models/metrics.py", "models/gate.py")


@dg.asset(
    key=["models", "pricing", "elasticities"],
    group_name=Group.PRICING,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "pricing", "elasticities"], MODELS),
)
def elasticities(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Price elasticities shrunk from sku to category, backtested on held-out price moves.

    One row per order line used.
    """
    return platform.step(context, lambda: _train(context, platform), code=_CODE)


def _train(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.pricing.config import PricingConfig
    from models.pricing.training import train

    as_of = platform.as_of(context)
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection)
    return registration.register(
        "pricing",
        MODELS,
        lambda champions: [
            train(
                lines,
                as_of,
                platform.work_dir("pricing"),
                PricingConfig(),
                champion=champions.get(MODELS[0]),
            )
        ],
        tracker=platform.tracker,
        lake=platform.lake,
        data_version=platform.version("warehouse/published"),
        as_of=as_of,
    )


@dg.asset(
    key=["published", "prices"],
    group_name=Group.PRICING,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["models", "pricing", "elasticities"]), dg.AssetKey(["warehouse", "published"])],
)
def prices(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """The suggested unit price of every current listing, with each guard rail that moved it.

    Listings that nobody supplies have no row; their count is shown. One row per merchant and sku.
    """
    return platform.step(
        context,
        lambda: _price(context, platform),
        code=_CODE,
        outputs=platform.score_files("prices"),
    )


def _price(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.pricing.config import PricingConfig
    from models.pricing.inputs import count_unpriced
    from models.pricing.scoring import price

    as_of = platform.as_of(context)
    bundle, version = registration.champion_bundle(platform.tracker, MODELS[0])
    with platform.warehouse() as connection:
        listings = reading.current_listings(connection)
        offers = reading.current_offers(connection)
        rivals = reading.competitor_prices(connection)
        lines = reading.order_lines(connection, since=as_of - _DEMAND_WINDOW)
    # The offers carry the stock; a separate stock table would only overrule them.
    stock = pl.DataFrame(schema={"sku_id": pl.String, "on_hand_qty": pl.Int64})
    frame = price(listings, offers, rivals, lines, stock, as_of, bundle, PricingConfig())
    platform.save_scores("prices", frame)
    platform.save_model_versions("pricing", {MODELS[0]: version})
    return Outcome(
        rows=frame.height,
        metadata={
            "listings": listings.height,
            "unpriced": count_unpriced(listings, offers),
            "actions": dict(frame["action"].value_counts().sort("action").iter_rows()),
            "version": version,
        },
    )
