"""Ingest: one asset a contract table; event-like tables by day.

A range of days is loaded in one run. The account of a load must close: received = accepted + quarantined, and
the lake and the quarantine really hold those rows.
"""

from datetime import date

import dagster as dg
import polars as pl

from pipelines.conventions import Group, Owner
from pipelines.feeds import OBSERVED
from pipelines.partitions import daily_partitions, single_run
from pipelines.platform import Outcome, Platform
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER, ContractTable, contract_table
from pipelines.sources.ingest import IngestReport
from pipelines.sources.operational_streams import RECORDED
from pipelines.sources.overlay import OVERLAY_TABLES
from pipelines.sources.recorded import DERIVED
from pipelines.state import CheckRecord, content_version

_CLOSES = "received_rows_are_accepted_or_quarantined"
CODE = ("pipelines/sources", "pipelines/lake.py", "pipelines/feeds.py")


@dg.definitions
def defs() -> dg.Definitions:
    """Every raw table."""
    platform = Platform(Settings())
    days = daily_partitions(platform.settings.first_day, platform.fixed_now())
    generated = OVERLAY_TABLES if platform.settings.embedded else frozenset()
    return dg.Definitions(assets=[raw_asset(contract_table(name), days, generated) for name in INGEST_ORDER])


def raw_asset(
    table: ContractTable, days: dg.DailyPartitionsDefinition, generated: frozenset[str]
) -> dg.AssetsDefinition:
    """The asset of one contract table.

    Args:
        table: The table.
        days: Its partitions, if it is kept by day.
        generated: Tables that the overlay fills; they hang on the observed ones, never the other way round.
    """
    is_daily = table.is_partitioned and not table.is_weekly and not table.is_book
    parents = {dg.AssetKey(["raw", parent]) for parent in _parents(table, generated) - {table.name}}

    @dg.asset(
        key=["raw", table.name],
        group_name=Group.INGEST,
        owners=[Owner.DATA_ENGINEERING],
        kinds={"parquet"},
        description=_catalogue_text(table),
        deps=sorted(parents | _recorded_in(table)),
        partitions_def=days if is_daily else None,
        backfill_policy=single_run() if is_daily else None,
        pool="lake",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(name, str(dtype), description=table.column_descriptions[name])
                    for name, dtype in table.dtypes.items()
                ]
            )
        },
        check_specs=[
            dg.AssetCheckSpec(
                _CLOSES,
                asset=["raw", table.name],
                blocking=True,
                description="Nothing vanishes: the lake and the quarantine hold every received row.",
            )
        ],
    )
    def load(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        window = _window(context, days) if is_daily else None
        return platform.step(
            context,
            lambda: _load(context, platform, table, window),
            code=CODE,
            settings={
                "source": platform.source.fingerprint(),
                "window": [day.isoformat() for day in window] if window else None,
                "utc_offset_hours": platform.settings.offset_hours,
            },
            outputs=[platform.lake.accepted_path(table.name)],
        )

    return load


def _parents(table: ContractTable, generated: frozenset[str]) -> set[str]:
    """Tables that must be loaded before this one."""
    parents = {key.parent for key in table.foreign_keys}
    if table.time_parent is not None:
        parents.add(table.time_parent[1])
    if table.name in generated:
        return parents | set(OBSERVED)
    return parents - generated


def _recorded_in(table: ContractTable) -> set[dg.AssetKey]:
    """The extraction that brings rows of this table from the operational database, if any does."""
    if table.is_book:
        return {dg.AssetKey(["operations", "recorded_books"])}
    fed = {stream.table for stream in RECORDED["feeds"]} | {DERIVED}
    return {dg.AssetKey(["operations", "recorded_feeds"])} if table.name in fed else set()


def _window(
    context: dg.AssetExecutionContext, days: dg.DailyPartitionsDefinition
) -> tuple[date, date] | None:
    """The days of this run; None when they are all days, so that rows before the first day come in too."""
    keys = context.partition_key_range
    if (keys.start, keys.end) == (days.get_first_partition_key(), days.get_last_partition_key()):
        return None
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def _load(
    context: dg.AssetExecutionContext,
    platform: Platform,
    table: ContractTable,
    window: tuple[date, date] | None,
) -> Outcome:
    # Whatever `make run` found loaded is no longer all that the lake holds.
    platform.lake.report_path("source").unlink(missing_ok=True)
    report = platform.feeds.load(table.name, platform.as_of(context), window)
    held = _held(platform, table, window)
    return Outcome(
        rows=report.accepted,
        metadata={
            "origin": report.origin,
            "received": report.received,
            "quarantined": report.quarantined,
            "reasons_md": _reasons(report),
            "first_time": report.first_time.isoformat() if report.first_time else None,
            "last_time": report.last_time.isoformat() if report.last_time else None,
            "notes": list(report.notes),
            "columns_set_aside": list(report.extra_columns),
        },
        checks=[
            CheckRecord(
                _CLOSES,
                report.received == report.accepted + report.quarantined and held == report.accepted,
                {
                    "received": report.received,
                    "accepted": report.accepted,
                    "quarantined": report.quarantined,
                    "rows_in_the_lake": held,
                },
            )
        ],
        version=content_version(platform.lake.accepted_files(table.name)),
    )


def _held(platform: Platform, table: ContractTable, window: tuple[date, date] | None) -> int:
    lake = platform.lake
    frame = lake.scan(table.name) if window is None else lake.scan_days(table.name, *window)
    return int(frame.select(pl.len()).collect().item())


def _reasons(report: IngestReport) -> str:
    if not report.reasons:
        return "no row was quarantined"
    rows = "\n".join(f"| {reason} | {count:,} |" for reason, count in report.reasons.items())
    return f"| reason | rows |\n|---|---|\n{rows}"


def _catalogue_text(table: ContractTable) -> str:
    key = ", ".join(table.key)
    return (
        f"{table.description}\n\nKey: {key}. Rows that break the data contract are in the quarantine with "
        "file, line, column, value and reason. Read by the warehouse."
    )
