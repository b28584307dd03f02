"""Replenishment: from demand quantiles and suppliers' stock to what should be brought in, and by when."""

from datetime import datetime, timedelta

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.brake import held_back
from pipelines.stores.grades import without_gated
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.warehouse import reading


@dg.asset(
    key=["published", "reorder_suggestions"],
    group_name=Group.REPLENISHMENT,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[
        dg.AssetKey(["published", "demand_forecasts"]),
        dg.AssetKey(["warehouse", "published"]),
        dg.AssetKey(["quality", "brake"]),
        dg.AssetKey(["published", "supplier_grades"]),
    ],
)
def reorder_suggestions(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """How much of each sku its suppliers should bring in, each merchant's share, and what each sku will sell.

    Without offers there is no stock to compare with and no suggestion. Nothing is brought in of what the
    quality brake stopped, nor from a supplier that it froze or that is gated. One row per supplier and sku.
    """
    return steps.run(
        context,
        lambda: _reorder(settings, clock.as_of(context), warehouse, scores, lake),
        settings={
            "time_zone": settings.zone,
            "budget_cents": settings.reorder_budget_cents,
            "holding_cost": settings.reorder_holding_cost,
        },
        outputs=scores.files("reorder_suggestions", "reorder_merchant_shares", "sku_forecasts"),
        clock="day",
    )


def _reorder(
    settings: Settings, as_of: datetime, warehouse: Warehouse, scores: Scores, lake: Lake
) -> Outcome:
    from models.replenishment.config import ReorderConfig
    from models.replenishment.reorder import reorder

    forecasts = scores.get("demand_forecasts")
    config = ReorderConfig(
        utc_offset_hours=settings.offset_hours,
        budget_cents=settings.reorder_budget_cents,
        holding_cost=settings.reorder_holding_cost,
    )
    held = held_back(lake)
    with warehouse.open() as connection:
        lines = reading.order_lines(connection, since=as_of - timedelta(weeks=config.assortment_weeks))
        offers = without_gated(held.offers(reading.current_offers(connection)), lake)
        listings = reading.current_listings(connection, listed_only=False)
        past = timedelta(weeks=config.share_weeks + config.tuning_weeks + 1)
        weekly = reading.weekly_units(connection, since=as_of - past)
        new = reading.new_listings(
            connection,
            since=as_of - timedelta(weeks=config.assortment_weeks),
            until=as_of,
            weeks=config.newcomer_weeks,
            offset_hours=config.utc_offset_hours,
        )
        out = reading.out_of_stock(
            connection, since=as_of - timedelta(weeks=config.assortment_weeks), until=as_of
        )
    result = reorder(
        forecasts, lines, offers, listings, as_of, config, weekly, new, out, stopped=held.stopped
    )
    scores.save("reorder_suggestions", result.reorder_suggestions)
    scores.save("reorder_merchant_shares", result.reorder_merchant_shares)
    scores.save("sku_forecasts", result.sku_forecasts)
    suggestions = result.reorder_suggestions
    return Outcome(
        rows=suggestions.height,
        metadata={
            "offers": offers.height,
            "to_order": suggestions.filter(suggestions["reorder_qty"] > 0).height,
            "stalled": int(suggestions["is_stalled"].sum()),
            "cut_by_budget": suggestions["reason_code"].is_in(["reorder_cut_by_budget", "over_budget"]).sum(),
            "merchant_shares": result.reorder_merchant_shares.height,
            "skus_forecast": result.sku_forecasts["sku_id"].n_unique(),
            "skus_once_out_of_stock": out["sku_id"].n_unique(),
            "new_skus_forecast": result.sku_forecasts.filter(basis="new_in_category")["sku_id"].n_unique(),
        },
    )
