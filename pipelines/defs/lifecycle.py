"""Lifecycle: train and gate churn, rebuy and value, then the wake-up list and the rebuy reminders."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from feature_store.predicted import ELASTICITY
from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.decisions.kept import RECOMPUTED, forget_erased, log_own, recomputed_check
from pipelines.decisions.matured import CAME_TRUE
from pipelines.defs.training import Family, Workshop, train
from pipelines.lake.tables import Lake
from pipelines.scoring.predicted import TABLE, predicted_tags
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.database import Database
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import drift, registration, retraining
from pipelines.trainings import lifecycle as lifecycle_training
from pipelines.trainings.gates import gate_checks
from pipelines.warehouse import reading

if TYPE_CHECKING:
    import polars as pl

    from pipelines.decisions.log import DecisionLog

MODELS = ("lifecycle_churn", "lifecycle_rebuy", "lifecycle_value")
OFFERS = "wakeup_offers"
"""The log of who got an offer and who was held back, by which the effect of offers is measured."""
FAMILY = Family("lifecycle", MODELS, lifecycle_training.lifecycle, lifecycle_training.reads)


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
    """Probability of no order in 28 days, of buying a product type again within 14; orders and spend of 90.

    Rolling origins with a purge as long as the label. One row per order line used.
    """
    return train(
        FAMILY,
        context,
        Workshop(steps, settings, clock, warehouse, models, lake),
        keeps=[drift.yardstick(lake)],
        has_drifted=retraining.has_drifted(steps.records),
        after=lambda: _remember_what_is_read(models, lake),
    )


def _remember_what_is_read(models: ModelStore, lake: Lake) -> None:
    """Keep the distribution of the tags that the champions read, for drift to be told from."""
    from models.lifecycle.bundle import features_of

    bundles = [registration.champion_bundle(models.tracker, name)[0] for name in MODELS[:2]]
    read = [name for bundle in bundles if bundle is not None for name in features_of(bundle)]
    drift.remember(lake, lake.get("features/consumer_tags"), read)


@dg.asset(
    key=["published", "wakeup_list"],
    group_name=Group.LIFECYCLE,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[
        dg.AssetKey(["models", "lifecycle", "churn_and_rebuy"]),
        dg.AssetKey(["models", "pricing", "elasticities"]),
        dg.AssetKey(["features", "consumer_tags"]),
        dg.AssetKey(["warehouse", "published"]),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            RECOMPUTED,
            asset=["published", "wakeup_list"],
            description="What the newest two wake-up lists and rebuy reminders were decided from, made again "
            "at the same moments: no value differs.",
        ),
        dg.AssetCheckSpec(
            CAME_TRUE,
            asset=["published", "wakeup_list"],
            description="Consumers whom the model gave a probability of leaving left about as often as it "
            "said; judged when the days that it spoke of are over. A warning asks for a training.",
        ),
    ],
)
def wakeup_list(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Dormant consumers worth waking with offer and reasons, a randomised control share, and rebuy reminders.

    What the champions say of each consumer is kept as predicted tags for the profiles.

    Controls are drawn before any guard and get no offer. What the models decided from is logged in
    `lake/decisions/wakeup_list` and `rebuy_reminders` for 90 days; erased persons leave the logs. One row per
    consumer.
    """
    return steps.run(
        context,
        lambda: _score(settings, clock.as_of(context), warehouse, models, scores, lake, database),
        settings={"champions": models.champions((*MODELS, ELASTICITY))},
        outputs=[
            *scores.files("wakeup_list", "rebuy_reminders"),
            scores.versions_file("lifecycle"),
            lake.derived_path(TABLE),
        ],
        clock="day",
    )


def _score(
    settings: Settings,
    as_of: datetime,
    warehouse: Warehouse,
    models: ModelStore,
    scores: Scores,
    lake: Lake,
    database: Database,
) -> Outcome:
    import polars as pl

    from models.lifecycle.config import LifecycleConfig
    from models.lifecycle.scoring import score
    from models.lifecycle.uplift import offers
    from pipelines.decisions import matured, own_features, skew
    from pipelines.decisions.log import DecisionLog
    from pipelines.scoring.tags import tags_of

    churn, churn_version = registration.champion_bundle(models.tracker, MODELS[0])
    rebuy, rebuy_version = registration.champion_bundle(models.tracker, MODELS[1])
    value, value_version = registration.champion_bundle(models.tracker, MODELS[2])
    table = lake.get("features/consumer_tags")
    with warehouse.open() as connection:
        lines = reading.known_lines(connection)
        consumers = reading.consumers(connection)
        offered = DecisionLog(lake, OFFERS)
        found = score(
            lines,
            consumers,
            as_of,
            churn,
            rebuy,
            value,
            tags=tags_of(table),
            seed=settings.seed,
            past_offers=offered.read(),
        )
        offered.write(offers.offered(found.wakeup_list).with_columns(as_of=pl.lit(as_of)), as_of)
        log = _logged(found.wakeup_list, table, churn, churn_version, lake)
        reminded = log_own(own_features.REBUY, found.rebuy_vectors, as_of, rebuy_version, lake)
        promised = log_own(matured.CHURN, found.churn, as_of, churn_version, lake)
        forget_erased(log, database)
        forget_erased(promised, database)
        forget_erased(offered, database)
        forget_erased(reminded, database)
        skews = [
            *(skew.recomputed(connection, pl.read_parquet(file), settings.zone) for file in log.files()[-2:]),
            *(own_features.rebuy_again(lines, pl.read_parquet(file)) for file in reminded.files()[-2:]),
        ]
        horizon_days = LifecycleConfig().churn.horizon_days
        came_true = matured.churn_came_true(promised, lines, as_of, horizon_days)
    versions = dict(zip(MODELS, (churn_version, rebuy_version, value_version), strict=True))
    prices, price_version = registration.champion_bundle(models.tracker, ELASTICITY)
    lake.put(
        TABLE,
        predicted_tags(
            found.churn,
            found.rebuy_vectors,
            _sensitivity(lines, as_of, prices),
            found.value,
            versions | {ELASTICITY: price_version},
        ),
    )
    scores.save("wakeup_list", found.wakeup_list)
    scores.save("rebuy_reminders", found.rebuy_reminders)
    scores.save_model_versions("lifecycle", versions)
    return Outcome(
        rows=found.wakeup_list.height,
        metadata={
            "controls": int(found.wakeup_list["is_control"].sum()),
            "high_value": int(found.wakeup_list["is_high_value"].sum()),
            "rebuy_reminders": found.rebuy_reminders.height,
            **versions,
        },
        checks=[recomputed_check(skews), matured.came_true_check(came_true)],
    )


def _sensitivity(lines: "pl.DataFrame", as_of: datetime, bundle: Path | None) -> "pl.DataFrame":
    """Elasticity of what each consumer bought; zero rows where no elasticities serve."""
    import polars as pl

    from models.pricing.bundle import load_bundle
    from models.pricing.elasticities.sensitivity import price_sensitivity

    if bundle is None:
        return pl.DataFrame(schema={"consumer_id": pl.String, "elasticity": pl.Float64})
    return price_sensitivity(lines, as_of, load_bundle(bundle))


def _logged(
    decided: "pl.DataFrame", table: "pl.DataFrame", churn: Path | None, version: str, lake: Lake
) -> "DecisionLog":
    """Log the tags of every consumer on the list whom the model judged; without a model nothing is logged."""
    import polars as pl

    from models.lifecycle.bundle import features_of
    from pipelines.decisions import skew
    from pipelines.decisions.log import DecisionLog

    log = DecisionLog(lake, "wakeup_list")
    if churn is None or table.is_empty():
        return log
    judged = decided.filter(pl.col("reason_codes").str.contains('"model"', literal=True))
    rows = judged.select("consumer_id", "churn_probability").join(table, on="consumer_id", how="inner")
    logged = skew.vectors(rows, rows.select(features_of(churn))).with_columns(
        rows["churn_probability"], model_version=pl.lit(version)
    )
    log.write(logged, table["as_of"][0])
    return log
