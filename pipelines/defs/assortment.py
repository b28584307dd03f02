"""Matching: train and gate the ranking, then tell each merchant what it should take in."""

from dataclasses import replace
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
from pipelines.stores.database import Database
from pipelines.stores.decided import decided, decision_count
from pipelines.stores.grades import without_gated
from pipelines.stores.models import ModelStore
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import registration
from pipelines.trainings import supply as supply_training
from pipelines.trainings.gates import gate_checks
from pipelines.warehouse import reading

MODELS = ("supply_assortment",)
FAMILY = Family("supply", MODELS, supply_training.supply, supply_training.reads)

_SPARED = "no_offer_gives_more_than_it_can_spare"


@dg.asset(
    key=["models", "supply", "assortment"],
    group_name=Group.SUPPLY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "mlflow"},
    deps=[dg.AssetKey(["warehouse", "published"])],
    check_specs=gate_checks(["models", "supply", "assortment"], MODELS),
)
def assortment(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    models: dg.ResourceParam[ModelStore],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult:
    """Which skus a merchant starts to sell: learnt from windows that are over, judged on later ones.

    Against what is popular in the scene and at similar merchants, by recall of 50 and units captured; where
    it is refused, the better rule serves. One row per order line used.
    """
    return train(FAMILY, context, Workshop(steps, settings, clock, warehouse, models, lake))


@dg.asset(
    key=["published", "assortment_suggestions"],
    group_name=Group.SUPPLY,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[
        dg.AssetKey(["models", "supply", "assortment"]),
        dg.AssetKey(["warehouse", "published"]),
        dg.AssetKey(["published", "supplier_grades"]),
        dg.AssetKey(["quality", "brake"]),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            _SPARED,
            asset=["published", "assortment_suggestions"],
            blocking=True,
            description="The expected units of an offer's suggestions are within what it can spare beside "
            "what sells already.",
        )
    ],
)
def assortment_suggestions(
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
    """What each merchant should take in, from which supplier with which backups, and what it may bring.

    Assigned for the largest expected margin within what offers can spare and a category's share of a list;
    nothing that the quality brake limits, from nobody gated or of grade D. What a merchant took, or refused
    within 90 days, stays away. Read by merchants. One row per merchant and rank.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _suggest(settings, clock.as_of(context), warehouse, models, scores, lake, url),
        settings={
            "champions": models.champions(MODELS),
            "database": database.number(url),
            "seed": settings.seed,
            "least_units": settings.assortment_least_units,
            "least_margin_cents": settings.assortment_least_margin_cents,
        },
        outputs=[*scores.files("assortment_suggestions"), scores.versions_file("supply")],
        clock="day",
        holds=lambda record: record.metadata["decisions"] == decision_count(url, settings.tenant),
    )


def _suggest(
    settings: Settings,
    as_of: datetime,
    warehouse: Warehouse,
    models: ModelStore,
    scores: Scores,
    lake: Lake,
    url: str,
) -> Outcome:
    import polars as pl

    from models.errors import InsufficientDataError
    from models.supply.assortment import ranking
    from models.supply.assortment.config import AssortmentConfig
    from models.supply.assortment.feedback import DECISIONS
    from models.supply.assortment.suggestions import SUGGESTIONS, scored, suggest
    from pipelines.warehouse import matching

    bundle, version = registration.champion_bundle(models.tracker, MODELS[0])
    champion = None if bundle is None else ranking.load(bundle)
    config = replace(
        AssortmentConfig(seed=settings.seed) if champion is None else champion.config,
        least_units=settings.assortment_least_units,
        least_margin_cents=settings.assortment_least_margin_cents,
    )
    count, decisions = decided(url, settings.tenant, DECISIONS)
    held = held_back(lake)
    with warehouse.open() as connection:
        read = matching.world(connection)
        offers = without_gated(held.offers(reading.current_offers(connection)), lake)
        supply = matching.supply(
            connection,
            offers,
            scores.get("channel_scores"),
            tuple(sorted({*held.limited, *held.stopped})),
            config.window_days,
        )
    left_out = 0
    try:
        found = scored(read, as_of, champion, config)
        done = suggest(found, supply, decisions, as_of, config)
        told, left_out, note = done.rows, done.left_out, found.basis
    except InsufficientDataError as error:
        told, note = pl.DataFrame(schema=SUGGESTIONS), str(error)
    scores.save("assortment_suggestions", told)
    scores.save_model_versions("supply", {MODELS[0]: version})
    asked = told.group_by("supplier_id", "sku_id").agg(pl.col("expected_qty").sum())
    over = asked.join(supply.offers, on=["supplier_id", "sku_id"], how="left").filter(
        ~(pl.col("expected_qty") <= pl.col("spare_qty") + 1e-6)
    )
    return Outcome(
        rows=told.height,
        metadata={
            "basis": note,
            MODELS[0]: version,
            "below_the_least": left_out,
            "merchants": told["merchant_id"].n_unique(),
            "new_products": int(told["is_new_product"].sum()),
            "expected_qty": round(float(told["expected_qty"].sum()), 1),
            "expected_margin_cents": int(told["expected_margin_cents"].sum()),
            "decisions": count,
            "refused_or_taken": decisions.height,
            "reasons": dict(told["reason_code"].value_counts().sort("reason_code").iter_rows()),
        },
        checks=[CheckRecord(_SPARED, not over.height, {"offers": over.height})],
    )
