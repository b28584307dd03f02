"""Operations: the operational core as assets. What it recorded comes in, what is due in settlement is done.

The order within a run: what the API recorded feeds the raw tables; past orders are replayed from them; a day
of settlement work is done; its books come back into the lake.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.defs.schedules import running_schedule
from pipelines.lake.tables import Lake
from pipelines.limits.boundaries import Boundaries
from pipelines.settings import Settings
from pipelines.sources.contract import TABLES
from pipelines.sources.recorded.extraction import Extraction
from pipelines.sources.recorded.rows import DERIVED
from pipelines.sources.recorded.streams import RECORDED
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version, fingerprint
from pipelines.stores.database import Database
from pipelines.stores.sources import Sources

_READ_BY_REPLAY = (
    "suppliers", "categories", "products", "merchants", "agents", "consumers", "orders", "order_lines",
    "offers", "listings", "inventory_movements", "shipments", "after_sales",
)  # fmt: skip
_SOUND = "ledger_invariants_hold"
_DONE = "nothing_due_is_stopped"


def definitions() -> dg.Definitions:
    """The assets, the job that runs them every day, and its schedule."""
    daily = dg.define_asset_job(
        "settlement_daily",
        selection=dg.AssetSelection.assets(
            ["operations", "erasures"],
            ["operations", "recorded_feeds"],
            ["operations", "recorded_observations"],
            ["operations", "recorded_prices"],
            ["operations", "settlement_day"],
            ["operations", "recorded_books"],
            *(["raw", name] for name in fed_tables()),
        ),
        description="What the API recorded comes in; what is due in settlement is done; its books come in.",
    )
    return dg.Definitions(
        assets=[
            recorded_feeds,
            recorded_observations,
            recorded_prices,
            replayed_orders,
            settlement_day,
            recorded_books,
        ],
        jobs=[daily],
        schedules=[running_schedule(daily, "0 1 * * *")],
    )


def fed_tables() -> list[str]:
    """Contract tables with rows from the operational database, in load order."""
    fed = {stream.table for group in RECORDED.values() for stream in group} | {DERIVED}
    return [name for name in TABLES if name in fed]


@dg.asset(
    key=["operations", "recorded_feeds"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
    deps=[dg.AssetKey(["operations", "erasures"]), dg.AssetKey(["quality", "feedback"])],
)
def recorded_feeds(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    sources: dg.ResourceParam[Sources],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Orders, stock movements, parcels, cases, events and topics of texts that the API recorded since.

    Once and only once, by transaction number. Read by the raw tables. One row per version of a recorded row.
    """
    return _extracted(context, steps, sources.recorded_feeds, database.url())


@dg.asset(
    key=["operations", "recorded_observations"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
)
def recorded_observations(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    sources: dg.ResourceParam[Sources],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What the API was told of parcels, capacities, stock and devices since the last extraction.

    Once and only once, by transaction number. Read by the raw table of observations. One row per observation.
    """
    return _extracted(context, steps, sources.recorded_observations, database.url())


@dg.asset(
    key=["operations", "recorded_prices"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
)
def recorded_prices(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    sources: dg.ResourceParam[Sources],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Prices in force and orders at suppliers that runs and ticks made since the last extraction.

    They are the platform's own output: a run that reads them is not made new by them. Read by the raw tables
    of price changes and of purchase lines. One row per version of a recorded row.
    """
    return _extracted(context, steps, sources.recorded_prices, database.url())


@dg.asset(
    key=["operations", "replayed_orders"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[
        dg.AssetKey(["operations", "warehouses"]),
        *(dg.AssetKey(["raw", table]) for table in _READ_BY_REPLAY),
    ],
)
def replayed_orders(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
    boundaries: dg.ResourceParam[Boundaries],
) -> dg.MaterializeResult:
    """The orders of the last days, replayed through orders and settlement, so that the books have life.

    With the parties, offers, listings, stock and agents they need. Off where MUYUN_REPLAY_DAYS is 0. Read
    by settlement. One row per order that was new.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _replay(settings, clock.as_of(context), lake, url, boundaries),
        settings={"days": settings.days_to_replay, "database": database.number(url)},
        clock="day",
    )


@dg.asset(
    key=["operations", "settlement_day"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["operations", name]) for name in ("recorded_feeds", "replayed_orders")],
    check_specs=[
        dg.AssetCheckSpec(
            _SOUND,
            asset=["operations", "settlement_day"],
            blocking=True,
            description="No account, transaction, leg or statement breaks an invariant of the ledger.",
        ),
        dg.AssetCheckSpec(
            _DONE,
            asset=["operations", "settlement_day"],
            description="Nothing that was due is stopped, such as an order whose plan cannot be read.",
        ),
    ],
)
def settlement_day(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    lake: dg.ResourceParam[Lake],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """What is due in settlement: receipts that nobody confirmed, releases, unlocks, the deadline of day 25.

    Then the sums of platform accounts are rolled and the hash chain is sealed. Read by the extraction of the
    books. One row per leg that was released.
    """
    url = database.url()
    return steps.run(
        context,
        lambda: _settle(settings, clock.as_of(context), lake, url),
        settings={"database": database.number(url)},
        clock="day",
    )


@dg.asset(
    key=["operations", "recorded_books"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
    deps=[dg.AssetKey(["operations", "erasures"]), dg.AssetKey(["operations", "settlement_day"])],
)
def recorded_books(
    context: dg.AssetExecutionContext,
    steps: dg.ResourceParam[Steps],
    sources: dg.ResourceParam[Sources],
    database: dg.ResourceParam[Database],
) -> dg.MaterializeResult:
    """Settlement legs and ledger entries since the last extraction.

    Once and only once, by transaction number, on one snapshot: no leg without its entries. Read by the raw
    tables of the books. One row per version of a recorded row.
    """
    return _extracted(context, steps, sources.recorded_books, database.url())


def _extracted(
    context: dg.AssetExecutionContext, steps: Steps, extraction: Extraction, url: str
) -> dg.MaterializeResult:
    if extraction.has_news(url):
        steps.records.forget(context.asset_key.to_user_string())
    return steps.run(context, _extract(extraction, url), outputs=extraction.files, clock="none")


def _extract(extraction: Extraction, url: str) -> Callable[[], Outcome]:
    def body() -> Outcome:
        done = extraction.extract(url)
        manifest = extraction.manifest()
        held = dict(manifest.rows) if manifest else {}
        return Outcome(
            rows=sum(held.values()),
            metadata={
                "new_rows": dict(done.rows),
                "held_rows": held,
                "from_transaction": done.from_transaction,
                "to_transaction": done.to_transaction,
                "started_over": done.is_new_start,
            },
            version=content_version(extraction.files()),
        )

    return body


def _replay(settings: Settings, as_of: datetime, lake: Lake, url: str, boundaries: Boundaries) -> Outcome:
    days = settings.days_to_replay
    if not days:
        return Outcome(rows=0, metadata={"note": "off: set MUYUN_REPLAY_DAYS to replay the last days"})
    from pipelines.replay import replay

    boundaries.require_intake()
    report = replay(
        lake,
        url,
        tenant_id=settings.tenant,
        as_of=as_of,
        days=days,
        has_generated_agents=settings.embedded,
    )
    lake.write_report("operations/replay", report.to_json())
    return Outcome(rows=report.orders, metadata={"window": str(timedelta(days=days)), **report.to_json()})


def _settle(settings: Settings, as_of: datetime, lake: Lake, url: str) -> Outcome:
    from pipelines.settlement_day import settle_day
    from serving.settings import Settings as ServingSettings

    serving = ServingSettings()
    done = settle_day(
        url,
        as_of,
        anchors=settings.home,
        tenant=settings.tenant,
        idempotency_days=serving.idempotency_days,
        unpaid=timedelta(minutes=serving.unpaid_minutes),
        bill_days=serving.bill_days,
        time_zone=settings.time_zone,
    )
    lake.write_report("operations/settlement_day", done.to_json())
    return Outcome(
        rows=done.released_legs,
        metadata=done.to_json(),
        checks=[
            CheckRecord(_SOUND, not done.violations, {"violations": list(done.violations)}),
            CheckRecord(_DONE, not done.stopped, {"stopped": list(done.stopped)}),
        ],
        version=fingerprint(done.to_json()),
    )
