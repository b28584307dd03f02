"""Lifecycle: train and gate churn and rebuy, then the wake-up list and the rebuy reminders."""

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import drift, due, registration, retraining
from pipelines.trainings import lifecycle as lifecycle_training
from pipelines.trainings.gates import gate_checks
from pipelines.warehouse import reading

MODELS = ("lifecycle_churn", "lifecycle_rebuy")


@dg.asset(
    key=["models", "lifecycle", "churn_and_rebuy"],
    group_name=Group.LIFECYCLE,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["features", "consumer_tags"]), dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "lifecycle", "churn_and_rebuy"], MODELS),
)
def churn_and_rebuy(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """Probability of no order in 28 days, and of buying a product type again within 14 days.

    Rolling origins with a purge as long as the label. One row per order line used.
    """

    def work() -> Outcome:
        return _train(
            settings,
            clock.as_of(context),
            warehouse,
            models,
            lake,
            steps.records.version("warehouse/published"),
            due.facts(steps.records, lake),
        )

    return steps.run(
        context,
        work,
        outputs=lambda: [
            *models.bundles(MODELS),
            lake.report_path("models/lifecycle"),
            drift.yardstick(lake),
        ],
        clock="none",
        waits=due.waits(
            steps.records, lake, context.run.tags, has_drifted=retraining.has_drifted(steps.records)
        ),
    )


def _train(
    settings: Settings,
    as_of: datetime,
    warehouse: Warehouse,
    models: ModelStore,
    lake: Lake,
    data_version: str,
    facts: Mapping[str, object],
) -> Outcome:
    outcome = registration.train_and_register(
        "lifecycle",
        MODELS,
        lifecycle_training.lifecycle,
        step="models/lifecycle/churn_and_rebuy",
        settings=settings,
        warehouse=warehouse.published(),
        models=models,
        lake=lake,
        data_version=data_version,
        as_of=as_of,
        facts=facts,
    )
    drift.remember(lake, lake.get("features/consumer_tags"))
    return outcome


@dg.asset(
    key=["published", "wakeup_list"],
    group_name=Group.LIFECYCLE,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["models", "lifecycle", "churn_and_rebuy"]), dg.AssetKey(["warehouse", "published"])],
)
def wakeup_list(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """Dormant consumers worth waking with offer and reasons, a randomised control share, and rebuy reminders.

    Controls are drawn before any guard and get no offer. One row per consumer.
    """
    return steps.run(
        context,
        lambda: _score(settings, clock.as_of(context), warehouse, models, scores),
        settings={"champions": models.champions(MODELS)},
        outputs=[*scores.files("wakeup_list", "rebuy_reminders"), scores.versions_file("lifecycle")],
        clock="day",
    )


def _score(
    settings: Settings, as_of: datetime, warehouse: Warehouse, models: ModelStore, scores: Scores
) -> Outcome:
    from models.lifecycle.scoring import score

    churn, churn_version = registration.champion_bundle(models.tracker, MODELS[0])
    rebuy, rebuy_version = registration.champion_bundle(models.tracker, MODELS[1])
    with warehouse.open() as connection:
        lines = reading.order_lines(connection, merchandise_only=False, with_guests=False)
        consumers = reading.consumers(connection)
    found = score(lines, consumers, as_of, churn, rebuy, seed=settings.seed)
    scores.save("wakeup_list", found.wakeup_list)
    scores.save("rebuy_reminders", found.rebuy_reminders)
    scores.save_model_versions("lifecycle", dict(zip(MODELS, (churn_version, rebuy_version), strict=True)))
    return Outcome(
        rows=found.wakeup_list.height,
        metadata={
            "controls": int(found.wakeup_list["is_control"].sum()),
            "high_value": int(found.wakeup_list["is_high_value"].sum()),
            "rebuy_reminders": found.rebuy_reminders.height,
            MODELS[0]: churn_version,
            MODELS[1]: rebuy_version,
        },
    )
