"""Demand: train and gate the forecasters, then forecast every merchant's categories."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from pipelines import reading, registration
from pipelines.conventions import Group, Owner
from pipelines.gates import gate_checks
from pipelines.platform import Outcome, Platform

if TYPE_CHECKING:
    from models.demand.config import DemandConfig

MODELS = ("demand_lstm", "demand_lightgbm")
_CODE = ("models/demand", "models/metrics.py", "models/gate.py")


@dg.asset(
    key=["models", "demand", "forecasters"],
    group_name=Group.DEMAND,
    owners=[Owner.DATA_SCIENCE],
    kinds={"pytorch", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "demand", "forecasters"], MODELS),
)
def forecasters(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """The global LSTM and the global LightGBM, backtested at rolling origins beside the simple rules.

    Weekly units of a category at a merchant, with quantiles. One row per order line used.
    """
    return platform.step(context, lambda: _train(context, platform), code=_CODE)


def read_inputs(platform: Platform) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Merchandise order lines and weekly promotions, the inputs of training and forecasting."""
    with platform.warehouse() as connection:
        return reading.order_lines(connection), reading.weekly_promotions(connection)


def _config(platform: Platform) -> "DemandConfig":
    from models.demand.config import DemandConfig

    return DemandConfig(seed=platform.settings.seed, utc_offset_hours=platform.settings.offset_hours)


def _train(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.demand.training import train

    as_of = platform.as_of(context)
    lines, promotions = read_inputs(platform)
    return registration.register(
        "demand",
        MODELS,
        lambda champions: train(
            lines,
            promotions,
            as_of,
            platform.work_dir("demand"),
            _config(platform),
            champion=champions.get(MODELS[0]),
        ),
        tracker=platform.tracker,
        lake=platform.lake,
        data_version=platform.version("warehouse/published"),
        as_of=as_of,
    )


@dg.asset(
    key=["published", "demand_forecasts"],
    group_name=Group.DEMAND,
    owners=[Owner.DATA_SCIENCE],
    kinds={"pytorch", "parquet"},
    deps=[dg.AssetKey(["models", "demand", "forecasters"]), dg.AssetKey(["warehouse", "published"])],
)
def demand_forecasts(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Units expected in the coming weeks with their 10%, 50% and 90% points, by the model that serves.

    Read by replenishment and by analysts. One row per merchant, category and week.
    """
    return platform.step(
        context,
        lambda: _forecast(context, platform),
        code=_CODE,
        outputs=platform.score_files("demand_forecasts"),
    )


def _forecast(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.demand.scoring import forecast

    bundle, name, version = serving_forecaster(platform)
    lines, promotions = read_inputs(platform)
    frame = forecast(lines, promotions, platform.as_of(context), bundle, name, config=_config(platform))
    platform.save_scores("demand_forecasts", frame)
    platform.save_model_versions("demand", {name: version})
    return Outcome(
        rows=frame.height,
        metadata={
            "series": frame.select("merchant_id", "category_id").n_unique(),
            "weeks": frame["week_start_on"].n_unique(),
            "model": name,
            "version": version,
        },
    )


def serving_forecaster(platform: Platform) -> tuple[Path | None, str, str]:
    """The forecaster that serves: bundle folder, model name, version.

    Training lists its choice first. Without a promoted model any name lets scoring pick the best simple rule.
    """
    summary = platform.lake.read_report("models/demand") or {"models": []}
    chosen = [row["name"] for row in summary["models"]]
    for name in [*chosen, *(name for name in MODELS if name not in chosen)]:
        bundle, version = registration.champion_bundle(platform.tracker, name)
        if bundle is not None:
            return bundle, name, version
    return None, "simple rule", "simple rule"
