"""Operations: the operational core as assets. What it recorded comes in, what is due in settlement is done.

The order within a run: what the API recorded feeds the raw tables; past orders are replayed from them; a day
of settlement work is done; its books come back into the lake.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from pipelines.conventions import SINGLE_RUN_END_TAG, SINGLE_RUN_START_TAG, Group, Owner
from pipelines.partitions import daily_partitions
from pipelines.platform import Outcome, Platform
from pipelines.settings import Settings
from pipelines.sources.contract import TABLES
from pipelines.sources.operational import Extraction
from pipelines.sources.operational_streams import RECORDED
from pipelines.sources.recorded import DERIVED
from pipelines.state import CheckRecord, content_version

EXTRACTION_CODE = ("pipelines/sources/operational.py", "pipelines/sources/operational_streams.py")
REPLAY_CODE = ("pipelines/replay",)
_READ_BY_REPLAY = (
    "suppliers", "categories", "products", "merchants", "agents", "consumers", "orders", "order_lines",
    "offers", "listings", "inventory_movements", "shipments", "after_sales",
)  # fmt: skip
_SOUND = "ledger_invariants_hold"


@dg.definitions
def defs() -> dg.Definitions:
    """The assets, the job that runs them every day, and its schedule."""
    settings = Settings()
    platform = Platform(settings)
    daily = dg.define_asset_job(
        "settlement_daily",
        selection=dg.AssetSelection.assets(
            ["operations", "recorded_feeds"],
            ["operations", "settlement_day"],
            ["operations", "recorded_books"],
            *(["raw", name] for name in fed_tables()),
        ),
        partitions_def=daily_partitions(settings.first_day, platform.fixed_now()),
        description="What the API recorded comes in; what is due in settlement is done; its books come in.",
    )
    return dg.Definitions(
        assets=[recorded_feeds, replayed_orders, settlement_day, recorded_books],
        jobs=[daily],
        schedules=[_every_night(daily)],
    )


def fed_tables() -> list[str]:
    """Contract tables with rows from the operational database, in load order."""
    fed = {stream.table for group in RECORDED.values() for stream in group} | {DERIVED}
    return [name for name in TABLES if name in fed]


def _every_night(job: Any) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule="0 1 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_timezone="UTC",
    )
    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """One run over all days: what was recorded may belong to any of them."""
        platform = Platform(Settings())
        days = daily_partitions(platform.settings.first_day, platform.fixed_now())
        return dg.RunRequest(
            tags={
                SINGLE_RUN_START_TAG: str(days.get_first_partition_key()),
                SINGLE_RUN_END_TAG: str(days.get_last_partition_key()),
            }
        )

    return ask


@dg.asset(
    key=["operations", "recorded_feeds"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
)
def recorded_feeds(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Orders, stock movements, parcels, cases and events that the API recorded since the last extraction.

    Once and only once, by transaction number. Read by the raw tables. One row per version of a recorded row.
    """
    return _extracted(context, platform, platform.recorded_feeds)


@dg.asset(
    key=["operations", "replayed_orders"],
    group_name=Group.OPERATIONS,
    owners=[Owner.PLATFORM],
    kinds={"postgres"},
    pool="ledger",
    deps=[dg.AssetKey(["raw", table]) for table in _READ_BY_REPLAY],
)
def replayed_orders(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """The orders of the last days, replayed through orders and settlement, so that the books have life.

    With the parties, offers, listings, stock and agents they need. Off where MUYUN_REPLAY_DAYS is 0. Read
    by settlement. One row per order that was new.
    """
    url = platform.database_url()
    return platform.step(
        context,
        lambda: _replay(context, platform, url),
        code=REPLAY_CODE,
        settings={"days": platform.settings.days_to_replay, "database": platform.database_number(url)},
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
        )
    ],
)
def settlement_day(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """What is due in settlement: receipts that nobody confirmed, releases, unlocks, the deadline of day 25.

    Then the sums of platform accounts are rolled and the hash chain is sealed. Read by the extraction of the
    books. One row per leg that was released.
    """
    url = platform.database_url()
    return platform.step(
        context,
        lambda: _settle(context, platform, url),
        code=("pipelines/settlement_day.py",),
        settings={"database": platform.database_number(url)},
    )


@dg.asset(
    key=["operations", "recorded_books"],
    group_name=Group.OPERATIONS,
    owners=[Owner.DATA_ENGINEERING],
    kinds={"postgres", "parquet"},
    pool="lake",
    deps=[dg.AssetKey(["operations", "settlement_day"])],
)
def recorded_books(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Settlement legs and ledger entries since the last extraction.

    Once and only once, by transaction number, on one snapshot: no leg without its entries. Read by the raw
    tables of the books. One row per version of a recorded row.
    """
    return _extracted(context, platform, platform.recorded_books)


def _extracted(
    context: dg.AssetExecutionContext, platform: Platform, extraction: Extraction
) -> dg.MaterializeResult:
    url = platform.database_url()
    if extraction.has_news(url):
        platform.state.forget(context.asset_key.to_user_string())
    return platform.step(context, _extract(extraction, url), code=EXTRACTION_CODE, uses_clock=False)


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


def _replay(context: dg.AssetExecutionContext, platform: Platform, url: str) -> Outcome:
    days = platform.settings.days_to_replay
    if not days:
        return Outcome(rows=0, metadata={"note": "off: set MUYUN_REPLAY_DAYS to replay the last days"})
    from pipelines.replay import replay

    report = replay(
        platform.lake,
        url,
        as_of=platform.as_of(context),
        days=days,
        has_generated_agents=platform.settings.embedded,
    )
    platform.lake.write_report("operations/replay", report.to_json())
    return Outcome(rows=report.orders, metadata={"window": str(timedelta(days=days)), **report.to_json()})


def _settle(context: dg.AssetExecutionContext, platform: Platform, url: str) -> Outcome:
    from pipelines.settlement_day import settle_day

    done = settle_day(url, platform.as_of(context), anchors=platform.settings.home)
    platform.lake.write_report("operations/settlement_day", done.to_json())
    return Outcome(
        rows=done.released_legs,
        metadata=done.to_json(),
        checks=[CheckRecord(_SOUND, not done.violations, {"violations": list(done.violations)})],
    )
