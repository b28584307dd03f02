"""Transfers: what should lie in another warehouse of its supplier is asked for."""

from datetime import datetime

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import Outcome, fingerprint
from pipelines.stores.database import Database


@dg.asset(
    key=["operations", "transfers"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres", "ortools"},
    pool="ledger",
    deps=[
        dg.AssetKey(["operations", "replayed_orders"]),
        dg.AssetKey(["operations", "warehouses"]),
    ],
)
def transfers(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Units that should go to another warehouse of their supplier, of skus that it counts by warehouse.

    The flow from what warehouses can spare to what others will run short of, by the demand of the last four
    weeks. Each is asked for as an approval (`/v1/approvals?kind=transfer`); what is approved its supplier
    sees (`/v1/suppliers/{id}/transfers`). One row per transfer that is suggested.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _suggest(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


def _suggest(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from dataclasses import asdict

    from serving.db.operations import Operations
    from serving.transfers.suggesting import ask_suggested

    with (
        Operations(url, size=1) as operations,
        operations.transaction(settings.tenant) as connection,
    ):
        found = ask_suggested(connection, settings.tenant, as_of)
    done = asdict(found)
    lake.write_report("operations/transfers", done)
    return Outcome(rows=found.suggested, metadata=done, version=fingerprint(done))
