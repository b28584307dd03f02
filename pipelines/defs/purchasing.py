"""Purchasing: what is suggested is ordered at suppliers, by the policy of each category."""

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
    key=["operations", "purchases"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[
        dg.AssetKey(["published", "publication"]),
        dg.AssetKey(["operations", "replayed_orders"]),
        dg.AssetKey(["raw", "inventory_movements"]),
        dg.AssetKey(["raw", "offers"]),
    ],
)
def purchases(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What the publication suggests to reorder, ordered or asked for; what is on order is not ordered again.

    Read by suppliers (`/v1/suppliers/{id}/purchase-orders`, webhooks) and by whoever approves. On the
    embedded panel its suppliers answer. One row per purchase order that was placed.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _order(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


def _order(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from dataclasses import asdict

    from pipelines.replay.purchases import Played, play, state_policy
    from serving.db.operations import Operations
    from serving.purchasing.placing import order_suggested

    with Operations(url, size=2) as operations:
        if settings.embedded:
            with operations.transaction(settings.tenant) as connection:
                state_policy(connection, as_of)
        with operations.transaction(settings.tenant) as connection:
            ordered = order_suggested(connection, settings.tenant, as_of)
        played = (
            play(lambda: operations.transaction(settings.tenant), lake, as_of)
            if settings.embedded
            else Played()
        )
    done = {**asdict(ordered), "demonstration": played.to_json()}
    lake.write_report("operations/purchases", done)
    return Outcome(rows=ordered.orders, metadata=done, version=fingerprint(done))
