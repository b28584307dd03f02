"""Demand: train and gate the forecasters, then forecast every merchant's categories."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.defs.training import Family, Workshop, train
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import demand as demand_training
from pipelines.trainings import registration
from pipelines.trainings.gates import gate_checks
from pipelines.warehouse import reading

if TYPE_CHECKING:
    from models.demand.config import DemandConfig

MODELS = ("demand_lstm", "demand_boosted", "demand_stacked")
FAMILY = Family("demand", MODELS, demand_training.demand, demand_training.reads)


@dg.asset(
    key=["models", "demand", "forecasters"],
    group_name=Group.DEMAND,
    owners=[Owner.DATA_SCIENCE],
    kinds={"pytorch", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "demand", "forecasters"], MODELS),
)
def forecasters(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """The global LSTM, the global LightGBM and their stack with SBA and TSB, backtested at rolling origins.

    Weekly units of a category at a merchant, with quantiles. One row per order line used.
    """
    return train(
        FAMILY,
        context,
        Workshop(steps, settings, clock, warehouse, models, lake),
        deciding={"time_zone": settings.zone, "holidays": settings.holidays_of},
    )


def _config(settings: Settings) -> "DemandConfig":
    from models.demand.config import DemandConfig

    return DemandConfig(
        seed=settings.seed, utc_offset_hours=settings.offset_hours, holidays=settings.holidays_of
    )


@dg.asset(
    key=["published", "demand_forecasts"],
    group_name=Group.DEMAND,
    owners=[Owner.DATA_SCIENCE],
    kinds={"pytorch", "parquet"},
    deps=[dg.AssetKey(["models", "demand", "forecasters"]), dg.AssetKey(["warehouse", "published"])],
)
def demand_forecasts(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """Units expected in the coming weeks with their 10%, 50% and 90% points, by the model that serves.

    Also of days and months (`demand_outlook`). Read by replenishment and by analysts. One row per merchant,
    category and week.
    """
    return steps.run(
        context,
        lambda: _forecast(settings, clock.as_of(context), warehouse, models, scores, lake),
        settings={"champions": models.champions(MODELS), "time_zone": settings.zone},
        outputs=[*scores.files("demand_forecasts", "demand_outlook"), scores.versions_file("demand")],
        clock="day",
    )


def _forecast(
    settings: Settings,
    as_of: datetime,
    warehouse: Warehouse,
    models: ModelStore,
    scores: Scores,
    lake: Lake,
) -> Outcome:
    from models.demand.scoring import forecast, outlook

    bundle, name, version = serving_forecaster(models, lake)
    with warehouse.open() as connection:
        lines, promotions = reading.demand_lines(connection), reading.weekly_promotions(connection)
        out = reading.out_of_stock(connection, until=as_of)
    config = _config(settings)
    frame = forecast(lines, promotions, as_of, bundle, name, config=config, out_of_stock=out)
    scores.save("demand_forecasts", frame)
    scores.save("demand_outlook", outlook(lines, frame, as_of, config=config, out_of_stock=out))
    scores.save_model_versions("demand", {name: version})
    return Outcome(
        rows=frame.height,
        metadata={
            "series": frame.select("merchant_id", "category_id").n_unique(),
            "weeks": frame["week_start_on"].n_unique(),
            "model": name,
            "version": version,
        },
    )


def serving_forecaster(models: ModelStore, lake: Lake) -> tuple[Path | None, str, str]:
    """The forecaster that serves: bundle folder, model name, version.

    Training lists its choice first. Without a promoted model any name lets scoring pick the best simple rule.
    """
    summary = lake.read_report("models/demand") or {"models": []}
    chosen = [row["name"] for row in summary["models"]]
    for name in [*chosen, *(name for name in MODELS if name not in chosen)]:
        bundle, version = registration.champion_bundle(models.tracker, name)
        if bundle is not None:
            return bundle, name, version
    return None, "simple rule", "simple rule"
