"""Reviews of agents and merchants: each month beside its peers, and what trainings brought."""

from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome
from pipelines.stores.database import Database
from pipelines.stores.scores import Scores
from pipelines.stores.training_lifts import LIFTS, state_of
from pipelines.stores.warehouse import Warehouse


@dg.asset(
    key=["published", "party_reviews"],
    group_name=Group.GROWTH,
    owners=[Owner.ANALYTICS],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"])],
)
def party_reviews_(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """The months of agents and merchants: figures, place among peers with its interval, risk of silence.

    Read by agents, merchants and whoever gives trainings. One row per party and month.
    """
    return steps.run(
        context,
        lambda: _review(clock.as_of(context), warehouse, scores),
        outputs=scores.files("party_reviews"),
        clock="day",
    )


def _review(as_of: datetime, warehouse: Warehouse, scores: Scores) -> Outcome:
    from models.reviews.config import ReviewConfig
    from models.reviews.months import party_reviews
    from pipelines.warehouse.party_months import party_month_skus, party_months

    with warehouse.open() as connection:
        months, skus = party_months(connection), party_month_skus(connection)
    found = party_reviews(months, skus, as_of, ReviewConfig())
    scores.save("party_reviews", found)
    return Outcome(
        rows=found.height,
        metadata={
            "agents": found.filter(party_type="agent")["party_id"].n_unique(),
            "merchants": found.filter(party_type="merchant")["party_id"].n_unique(),
            "ranked": found["rank"].count(),
            "too_few_peers": found["rank"].null_count(),
            "settled": found.filter(basis="settled").height,
        },
    )


@dg.asset(
    key=["published", "agent_suggestions"],
    group_name=Group.GROWTH,
    owners=[Owner.DATA_SCIENCE],
    kinds={"python", "parquet"},
    deps=[dg.AssetKey(["warehouse", "published"]), dg.AssetKey(["published", "recommendations"])],
)
def agent_suggestions_(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    warehouse: dg.ResourceParam[Warehouse],
    scores: dg.ResourceParam[Scores],
) -> dg.MaterializeResult:
    """Skus that stand in the lists of several customers of an agent, by their number; nobody is named.

    Read by agents and their merchants. One row per agent, merchant and rank.
    """
    return steps.run(
        context,
        lambda: _suggest(warehouse, scores),
        outputs=scores.files("agent_suggestions"),
        clock="none",
    )


def _suggest(warehouse: Warehouse, scores: Scores) -> Outcome:
    from models.reviews.config import ReviewConfig
    from models.reviews.suggestions import agent_suggestions
    from pipelines.warehouse.party_months import agent_customers

    with warehouse.open() as connection:
        customers = agent_customers(connection)
    found = agent_suggestions(customers, scores.get("recommendations"), ReviewConfig())
    scores.save("agent_suggestions", found)
    return Outcome(
        rows=found.height,
        metadata={
            "agents_with_customers": customers["agent_id"].n_unique(),
            "agents_told": found["agent_id"].n_unique(),
            "skus": found["sku_id"].n_unique(),
        },
    )


@dg.asset(
    key=["growth", "training_lifts"],
    group_name=Group.GROWTH,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["published", "publication"])],
)
def training_lifts(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What seats of trainings brought: kept once, before the months that tell it leave the publication.

    Read by the API, whoever gives the next seats, and the report. One row per training, the newest ones.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _lifts(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        outputs=[lake.derived_path(LIFTS)],
        clock="none",
        holds=lambda record: record.metadata["state"] == state_of(url, settings.tenant),
    )


def _lifts(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.training_lifts import keep_lifts

    found = keep_lifts(url, settings.tenant, as_of)
    lake.put(LIFTS, found.trainings)
    return Outcome(
        rows=found.trainings.height,
        metadata={
            "kept": found.kept,
            "measured": found.trainings["word"].count(),
            "state": found.state,
        },
    )
