"""Pricing: train and gate the elasticities, then suggest a price for every listing."""

from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.defs.training import Family, Workshop, train
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome
from pipelines.stores.brake import held_back
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import pricing as pricing_training
from pipelines.trainings import registration
from pipelines.trainings.gates import gate_checks

MODELS = ("pricing_elasticity",)
_COSTS = "costs_did_not_jump"
_TURNOVER = "stock_turns_over"
FAMILY = Family("pricing", MODELS, pricing_training.pricing, pricing_training.reads)


@dg.asset(
    key=["models", "pricing", "elasticities"],
    group_name=Group.PRICING,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "pricing", "elasticities"], MODELS),
)
def elasticities(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """Price elasticities shrunk from sku to category, backtested on held-out price moves.

    One row per order line used.
    """
    return train(FAMILY, context, Workshop(steps, settings, clock, warehouse, models, lake))


@dg.asset(
    key=["published", "prices"],
    group_name=Group.PRICING,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[
        dg.AssetKey(["models", "pricing", "elasticities"]),
        dg.AssetKey(["warehouse", "published"]),
        dg.AssetKey(["quality", "brake"]),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            _COSTS,
            asset=["published", "prices"],
            description="No listing waits for approval because its cost rose by over 30% since its price "
            "last changed: then the cost is to be looked at before the price.",
        ),
        dg.AssetCheckSpec(
            _TURNOVER,
            asset=["published", "prices"],
            description="No supplier holds stock of which less than 15% moved in 30 days; else the check "
            "counts the warnings, which `clearance_warnings` has with a ladder of cuts.",
        ),
    ],
)
def prices(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """The suggested unit price of every current listing, with each guard rail that moved it.

    Listings that nobody supplies have no row; their count is shown. Stock that turns over slowly is warned
    about in `clearance_warnings`, whether it is listed or not. One row per merchant and sku.
    """
    return steps.run(
        context,
        lambda: _price(clock.as_of(context), warehouse, models, scores, lake),
        settings={"champions": models.champions(MODELS)},
        outputs=[*scores.files("prices", "clearance_warnings"), scores.versions_file("pricing")],
        clock="day",
    )


def _price(as_of: datetime, warehouse: Warehouse, models: ModelStore, scores: Scores, lake: Lake) -> Outcome:
    import polars as pl

    from models.pricing.config import PricingConfig
    from pipelines.scoring.prices import read_market, score_clearance, score_market

    bundle, version = registration.champion_bundle(models.tracker, MODELS[0])
    with warehouse.open() as connection:
        market = read_market(connection, as_of, PricingConfig().policy, held=held_back(lake))
        slow, stocked = score_clearance(connection, market.listings, as_of, bundle)
    frame = score_market(market, as_of, bundle)
    scores.save("prices", frame)
    scores.save("clearance_warnings", slow)
    scores.save_model_versions("pricing", {MODELS[0]: version})
    jumped = frame.filter(pl.col("explanation").str.contains('"cause":"cost_jumped"', literal=True))
    return Outcome(
        rows=frame.height,
        metadata={
            "listings": market.listings.height,
            "unpriced": market.unpriced(),
            "unpromoted_skus": len(market.unpromoted),
            "slow_listings": frame["explanation"].str.contains('"step":"turnover"', literal=True).sum(),
            "clearance_warnings": slow.height,
            "actions": dict(frame["action"].value_counts().sort("action").iter_rows()),
            "version": version,
        },
        checks=[
            CheckRecord(
                _COSTS,
                not jumped.height,
                {
                    "listings": jumped.height,
                    "skus": jumped["sku_id"].n_unique(),
                    "first_skus": jumped["sku_id"].unique(maintain_order=True).head(20).to_list(),
                },
                is_error=False,
            ),
            CheckRecord(
                _TURNOVER,
                not slow.height,
                {
                    "warnings": slow.height,
                    "stocked": stocked,
                    "unsold": slow.filter(pl.col("sold_qty") == 0).height,
                    "stock_cost_cents": int((slow["on_hand_qty"] * slow["cost_cents"].fill_null(0)).sum()),
                },
                is_error=False,
            ),
        ],
    )
