"""Product matching: pairs of skus of different suppliers are asked about, accepted ones stand under one sku.

What was accepted is read before offers are loaded, what may match is looked for afterwards: an answer acts
with the next load.
"""

from datetime import datetime

import dagster as dg
import polars as pl

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.intake.matched import MATCHED, MATCHED_SCHEMA
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome, fingerprint
from pipelines.stores.database import Database
from pipelines.stores.sources import Sources

MATCHED_KEY = dg.AssetKey(["operations", "matched_products"])


def definitions(settings: Settings) -> dg.Definitions:
    """Both assets; none on the embedded panel, whose suppliers share no product."""
    return (
        dg.Definitions() if settings.embedded else dg.Definitions(assets=[matched_products, product_matches])
    )


@dg.asset(
    key=MATCHED_KEY,
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
)
def matched_products(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    sources: dg.ResourceParam[Sources],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Skus whose offers stand under another sku, as operators accepted.

    Read by the raw table of offers. One row per such sku.
    """
    from serving.db.operations import Operations
    from serving.supply.matches import matches_in_force

    with Operations(database.url(), size=1) as operations, operations.transaction(database.tenant_id) as conn:
        matched = matches_in_force(conn, database.tenant_id)
    return steps.run(
        context,
        lambda: _kept(lake, sources, matched),
        settings={"matched": fingerprint(matched)},
        outputs=[lake.derived_path(MATCHED)],
        clock="none",
    )


@dg.asset(
    key=["operations", "product_matches"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["raw", table]) for table in ("products", "offers", "order_lines")],
)
def product_matches(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Pairs of skus that different suppliers offer and that may be one product, put before an operator.

    Read by whoever decides (`GET /v1/approvals?kind=product_match`). One row per pair that was found.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _ask(clock.as_of(context), lake, url, database.tenant_id),
        settings={"database": database.number(url)},
        clock="none",
    )


def _kept(lake: Lake, sources: Sources, matched: dict[str, str]) -> Outcome:
    frame = pl.DataFrame(list(matched.items()), schema=MATCHED_SCHEMA, orient="row")
    lake.put(MATCHED, frame)
    sources.landed_anew()
    return Outcome(rows=frame.height, version=fingerprint(matched))


def _ask(as_of: datetime, lake: Lake, url: str, tenant_id: str) -> Outcome:
    from models.supply.matching.match import MatchingConfig, pairs_of
    from pipelines.intake.matched import offered_skus
    from serving.db.operations import Operations
    from serving.supply.matches import Match, ask_matches

    config = MatchingConfig()
    skus = offered_skus(lake)
    pairs = pairs_of(skus, config)
    lines = dict(skus.select("sku_id", "lines").iter_rows())
    found = []
    for first, second, score in pairs.iter_rows():
        # What sold more keeps its name.
        kept, other = (first, second) if lines[first] >= lines[second] else (second, first)
        found.append(Match(other, kept, int(score * 100), score >= config.cut))
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        asked = ask_matches(conn, tenant_id, found, "titles", as_of)
    done = {"sure": sum(match.is_sure for match in found), "asked": asked}
    return Outcome(rows=len(found), metadata=done, version=fingerprint({"pairs": pairs.rows()}))
