"""Recommendation: train and gate the lanes, then rank every merchant's assortment for its consumers."""

from datetime import datetime
from functools import partial

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.decisions.kept import RECOMPUTED, forget_erased, log_own, recomputed_check
from pipelines.defs.training import Family, Workshop, train
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.brake import held_back
from pipelines.stores.database import Database
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import recommendation as recommendation_training
from pipelines.trainings import registration
from pipelines.trainings.gates import gate_checks
from pipelines.warehouse import reading

MODELS = ("recommendation_repeat", "recommendation_discovery", "recommendation_session")
FAMILY = Family(
    "recommendation", MODELS, recommendation_training.recommendation, recommendation_training.reads
)


@dg.asset(
    key=["models", "recommendation", "lanes"],
    group_name=Group.RECOMMENDATION,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "recommendation", "lanes"], MODELS),
)
def lanes(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """The repeat and discovery lanes, tried on rolling cuts, and the session lane, on baskets; all in MLflow.

    A lane that does not pass the gate is not promoted: its simple rule, or the old champion, keeps serving.
    One row per order line used.
    """
    return train(FAMILY, context, Workshop(steps, settings, clock, warehouse, models, lake))


@dg.asset(
    key=["published", "recommendations"],
    group_name=Group.RECOMMENDATION,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[
        dg.AssetKey(["models", "recommendation", "lanes"]),
        dg.AssetKey(["warehouse", "published"]),
        dg.AssetKey(["quality", "brake"]),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            RECOMPUTED,
            asset=["published", "recommendations"],
            description="What the ranker of the newest two sets of lists read, made again at the same "
            "moments: no value differs.",
        )
    ],
)
def recommendations(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    scores: dg.ResourceParam[Scores],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Ranked skus for every active consumer inside each merchant's assortment, and what is popular there.

    Beside them which skus go with which: what a consumer does in a session orders the list by it.

    Made from what the consumer bought at that merchant, unless they consented to use across merchants; only
    of what has an offer in force and stock, and is not stopped by the quality brake. Read by the storefront;
    unknown consumers get the popular items. What the ranker read is logged in
    `lake/decisions/recommendations` for 90 days, what the slots that explore could have shown in
    `lake/decisions/explored_slots`; from these comes what other ways to fill them would have sold (SNIPS,
    doubly robust), or why that cannot be told. One row per merchant, consumer and rank.
    """
    return steps.run(
        context,
        lambda: _score(clock.as_of(context), warehouse, models, scores, lake, database),
        settings={"champions": models.champions(MODELS)},
        outputs=[
            *scores.files("recommendations", "popular_items", "session_links"),
            scores.versions_file("recommendation"),
        ],
        clock="day",
    )


def _score(
    as_of: datetime,
    warehouse: Warehouse,
    models: ModelStore,
    scores: Scores,
    lake: Lake,
    database: Database,
) -> Outcome:
    import polars as pl

    from models.recommendation.scoring import score
    from models.recommendation.sessions.links import NO_LINKS, load
    from pipelines.decisions import explored, own_features

    held = held_back(lake)
    repeat, repeat_version = registration.champion_bundle(models.tracker, MODELS[0])
    discovery, discovery_version = registration.champion_bundle(models.tracker, MODELS[1])
    session, session_version = registration.champion_bundle(models.tracker, MODELS[2])
    links = load(session) if session is not None else NO_LINKS
    with warehouse.open() as connection:
        lines = reading.order_lines(connection, with_guests=False)
        listings = reading.current_listings(connection)
        known = reading.known_lines(connection, merchandise_only=True)
        in_stock = reading.sellable_skus(connection, without=held.frozen)
        products = reading.product_content(connection)
        platform_wide = reading.platform_wide_consumers(connection)
    found = score(
        lines,
        listings,
        as_of,
        repeat,
        discovery,
        in_stock=in_stock,
        products=products,
        platform_wide=platform_wide,
        stopped=held.stopped,
        halved=held.limited,
    )
    log = log_own(own_features.REPEAT, found.repeat_vectors, as_of, repeat_version, lake)
    forget_erased(log, database)
    with warehouse.open() as connection:
        consented = partial(reading.platform_wide_consumers, connection)
        skews = [
            own_features.repeat_again(known, pl.read_parquet(file), consented) for file in log.files()[-2:]
        ]
    slots = log_own(explored.EXPLORED, found.explored, as_of, discovery_version, lake)
    forget_erased(slots, database)
    told = explored.estimates(explored.logged(slots), lines, as_of)
    lake.put(explored.TABLE, told)
    scores.save("recommendations", found.recommendations)
    scores.save("popular_items", found.popular_items)
    scores.save("session_links", links.frame)
    scores.save_model_versions(
        "recommendation", dict(zip(MODELS, (repeat_version, discovery_version, session_version), strict=True))
    )
    return Outcome(
        rows=found.recommendations.height,
        metadata={
            "lists": found.recommendations.select("merchant_id", "consumer_id").n_unique(),
            "popular_items": found.popular_items.height,
            "session_links": links.frame.height,
            "consumers_platform_wide": len(platform_wide),
            "stopped_skus": len(held.stopped),
            "halved_skus": len(held.limited),
            "explored_slots": found.explored.height,
            "off_policy_refused": told["refused"].drop_nulls().unique().to_list(),
            "lanes": dict(found.recommendations["lane"].value_counts().sort("lane").iter_rows()),
            MODELS[0]: repeat_version,
            MODELS[1]: discovery_version,
            MODELS[2]: session_version,
        },
        checks=[recomputed_check(skews)],
    )
