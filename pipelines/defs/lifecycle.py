"""Lifecycle: train and gate churn and rebuy, then the wake-up list and the rebuy reminders."""

import dagster as dg

from pipelines import drift, reading, registration
from pipelines.conventions import Group, Owner
from pipelines.gates import gate_checks
from pipelines.platform import Outcome, Platform

MODELS = ("lifecycle_churn", "lifecycle_rebuy")
_CODE = ("models/lifecycle", "models/splits.py", "models/metrics.py", "models/gate.py")


@dg.asset(
    key=["models", "lifecycle", "churn_and_rebuy"],
    group_name=Group.LIFECYCLE,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["features", "consumer_tags"]), dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "lifecycle", "churn_and_rebuy"], MODELS),
)
def churn_and_rebuy(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Probability of no order in 28 days, and of buying a product type again within 14 days.

    Rolling origins with a purge as long as the label. One row per order line used.
    """
    return platform.step(context, lambda: _train(context, platform), code=_CODE)


def _train(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.lifecycle.training import train

    as_of = platform.as_of(context)
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection, merchandise_only=False, with_guests=False)
    outcome = registration.register(
        "lifecycle",
        MODELS,
        lambda champions: train(
            lines, as_of, platform.work_dir("lifecycle"), seed=platform.settings.seed, champions=champions
        ),
        tracker=platform.tracker,
        lake=platform.lake,
        data_version=platform.version("warehouse/published"),
        as_of=as_of,
    )
    drift.remember(platform.lake, platform.lake.get("features/consumer_tags"))
    return outcome


@dg.asset(
    key=["published", "wakeup_list"],
    group_name=Group.LIFECYCLE,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["models", "lifecycle", "churn_and_rebuy"]), dg.AssetKey(["warehouse", "published"])],
)
def wakeup_list(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Dormant consumers worth waking with offer and reasons, a randomised control share, and rebuy reminders.

    Controls are drawn before any guard and get no offer. One row per consumer.
    """
    return platform.step(
        context,
        lambda: _score(context, platform),
        code=_CODE,
        outputs=platform.score_files("wakeup_list", "rebuy_reminders"),
    )


def _score(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.lifecycle.scoring import score

    churn, churn_version = registration.champion_bundle(platform.tracker, MODELS[0])
    rebuy, rebuy_version = registration.champion_bundle(platform.tracker, MODELS[1])
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection, merchandise_only=False, with_guests=False)
        consumers = reading.consumers(connection)
    scores = score(lines, consumers, platform.as_of(context), churn, rebuy, seed=platform.settings.seed)
    platform.save_scores("wakeup_list", scores.wakeup_list)
    platform.save_scores("rebuy_reminders", scores.rebuy_reminders)
    platform.save_model_versions("lifecycle", dict(zip(MODELS, (churn_version, rebuy_version), strict=True)))
    return Outcome(
        rows=scores.wakeup_list.height,
        metadata={
            "controls": int(scores.wakeup_list["is_control"].sum()),
            "high_value": int(scores.wakeup_list["is_high_value"].sum()),
            "rebuy_reminders": scores.rebuy_reminders.height,
            MODELS[0]: churn_version,
            MODELS[1]: rebuy_version,
        },
    )
