"""Replenishment: from demand quantiles and suppliers' stock to what should be brought in, and by when."""

from datetime import timedelta

import dagster as dg

from pipelines import reading
from pipelines.conventions import Group, Owner
from pipelines.platform import Outcome, Platform

_SHARE_WINDOW = timedelta(days=90)
_CODE = ("models/replenishment", "models/demand/series.py")


@dg.asset(
    key=["published", "reorder_suggestions"],
    group_name=Group.REPLENISHMENT,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["published", "demand_forecasts"]), dg.AssetKey(["warehouse", "published"])],
)
def reorder_suggestions(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """How much of each sku its suppliers should bring in, and each merchant's share of it.

    Without offers there is no stock to compare with and no suggestion. One row per supplier and sku.
    """
    return platform.step(
        context,
        lambda: _reorder(context, platform),
        code=_CODE,
        outputs=platform.score_files("reorder_suggestions", "reorder_merchant_shares"),
    )


def _reorder(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.replenishment.config import ReorderConfig
    from models.replenishment.reorder import reorder

    as_of = platform.as_of(context)
    forecasts = platform.lake.get("scores/demand_forecasts")
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection, since=as_of - _SHARE_WINDOW)
        offers = reading.current_offers(connection)
        listings = reading.current_listings(connection, listed_only=False)
    config = ReorderConfig(utc_offset_hours=platform.settings.offset_hours)
    result = reorder(forecasts, lines, offers, listings, as_of, config)
    platform.save_scores("reorder_suggestions", result.reorder_suggestions)
    platform.save_scores("reorder_merchant_shares", result.reorder_merchant_shares)
    suggestions = result.reorder_suggestions
    return Outcome(
        rows=suggestions.height,
        metadata={
            "offers": offers.height,
            "to_order": suggestions.filter(suggestions["reorder_qty"] > 0).height,
            "slow_movers": int(suggestions["is_slow_mover"].sum()),
            "merchant_shares": result.reorder_merchant_shares.height,
        },
    )
