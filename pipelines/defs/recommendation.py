"""Recommendation: train and gate the two lanes, then rank every merchant's assortment for its consumers."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from pipelines import reading, registration
from pipelines.conventions import Group, Owner
from pipelines.gates import gate_checks
from pipelines.platform import Outcome, Platform

if TYPE_CHECKING:
    from models.recommendation.config import RecommendationConfig

MODELS = ("recommendation_repeat", "recommendation_discovery")
_CODE = ("models/recommendation", "models/splits.py", "models/metrics.py", "models/gate.py")


@dg.asset(
    key=["models", "recommendation", "lanes"],
    group_name=Group.RECOMMENDATION,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "recommendation", "lanes"], MODELS),
)
def lanes(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """The repeat and the discovery lane, backtested on rolling cuts and registered in MLflow.

    A lane that does not pass the gate is not promoted: its simple rule, or the old champion, keeps serving.
    One row per order line used.
    """
    return platform.step(context, lambda: _train(context, platform), code=_CODE)


def _train(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.training import train

    as_of = platform.as_of(context)
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection, with_guests=False)
    return registration.register(
        "recommendation",
        MODELS,
        lambda champions: train(
            lines,
            as_of,
            platform.work_dir("recommendation"),
            RecommendationConfig(seed=platform.settings.seed),
            champion=(_settings_of(champions[MODELS[0]]) if MODELS[0] in champions else None),
        ),
        tracker=platform.tracker,
        lake=platform.lake,
        data_version=platform.version("warehouse/published"),
        as_of=as_of,
    )


def _settings_of(document: dict[str, Any]) -> "RecommendationConfig":
    """The settings of a champion; what validation chose is evidence, not a setting."""
    from models.recommendation.config import RecommendationConfig

    return RecommendationConfig.from_dict({k: v for k, v in document.items() if k != "chosen"})


@dg.asset(
    key=["published", "recommendations"],
    group_name=Group.RECOMMENDATION,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["models", "recommendation", "lanes"]), dg.AssetKey(["warehouse", "published"])],
)
def recommendations(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Ranked skus for every active consumer inside each merchant's assortment, and what is popular there.

    Read by the storefront; unknown consumers get the popular items. One row per merchant, consumer and rank.
    """
    return platform.step(
        context,
        lambda: _score(context, platform),
        code=_CODE,
        outputs=platform.score_files("recommendations", "popular_items"),
    )


def _score(context: dg.AssetExecutionContext, platform: Platform) -> Outcome:
    from models.recommendation.scoring import score

    repeat, repeat_version = registration.champion_bundle(platform.tracker, MODELS[0])
    discovery, discovery_version = registration.champion_bundle(platform.tracker, MODELS[1])
    with platform.warehouse() as connection:
        lines = reading.order_lines(connection, with_guests=False)
        listings = reading.current_listings(connection)
    scores = score(lines, listings, platform.as_of(context), repeat, discovery)
    platform.save_scores("recommendations", scores.recommendations)
    platform.save_scores("popular_items", scores.popular_items)
    platform.save_model_versions(
        "recommendation", dict(zip(MODELS, (repeat_version, discovery_version), strict=True))
    )
    return Outcome(
        rows=scores.recommendations.height,
        metadata={
            "lists": scores.recommendations.select("merchant_id", "consumer_id").n_unique(),
            "popular_items": scores.popular_items.height,
            "lanes": dict(scores.recommendations["lane"].value_counts().sort("lane").iter_rows()),
            MODELS[0]: repeat_version,
            MODELS[1]: discovery_version,
        },
    )
