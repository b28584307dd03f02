"""Ingest: one asset a contract table, loaded whole, or by the days that a run names.

A run with the tag `muyun/days` reloads those days of the event-like tables. The account of a load must close:
received = accepted + quarantined, and the lake, the history of the table and the quarantine really hold those
rows.
"""

from datetime import date, datetime

import dagster as dg
import polars as pl

from pipelines.clock import Clock
from pipelines.conventions import Group, Owner
from pipelines.erasure.intake import PERSON_COLUMNS
from pipelines.intake.days import days_of
from pipelines.intake.feeds import OBSERVED
from pipelines.intake.share import SHARE_CHECK, admitted, share_check
from pipelines.intake.waiting import IN_THE_FUTURE, nobody_waits_before
from pipelines.lake.tables import Lake
from pipelines.live.seed import RECORDED_CURSOR
from pipelines.settings import Settings
from pipelines.sources.connectors.declaration import FED as FED_BY_CONNECTORS
from pipelines.sources.contract import INGEST_ORDER, ContractTable, contract_table
from pipelines.sources.files.derived import PARENTS
from pipelines.sources.loading.ingest import IngestReport
from pipelines.sources.overlay import OVERLAY_TABLES
from pipelines.sources.recorded.rows import DERIVED
from pipelines.sources.recorded.streams import RECORDED
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, content_version
from pipelines.stores.sources import Sources

FED = frozenset({*(stream.table for name in ("feeds", "prices") for stream in RECORDED[name]), DERIVED})
"""Tables that rows of the operational database come into, and that the live loop brings up to date."""
OBSERVED_BY_API = frozenset(stream.table for stream in RECORDED["observations"])
"""Tables that an extraction of their own fills, which the supply watch reads between two runs."""

_CLOSES = "received_rows_are_accepted_or_quarantined"


def definitions(settings: Settings) -> dg.Definitions:
    """Every raw table."""
    generated = OVERLAY_TABLES if settings.embedded else frozenset()
    pulled = frozenset() if settings.embedded else frozenset(FED_BY_CONNECTORS)
    return dg.Definitions(
        assets=[raw_asset(contract_table(name), generated, pulled) for name in INGEST_ORDER]
    )


def raw_asset(
    table: ContractTable, generated: frozenset[str], pulled: frozenset[str] = frozenset()
) -> dg.AssetsDefinition:
    """The asset of one contract table.

    Args:
        table: The table.
        generated: Tables that the overlay fills; they hang on the observed ones, never the other way round.
        pulled: Tables that connectors may feed.
    """
    is_daily = table.is_partitioned and not table.is_weekly and not table.is_book
    parents = {dg.AssetKey(["raw", parent]) for parent in _parents(table, generated) - {table.name}}

    @dg.asset(
        key=["raw", table.name],
        group_name=Group.INGEST,
        owners=[Owner.DATA_ENGINEERING],
        kinds={"parquet"},
        description=_catalogue_text(table),
        deps=sorted(parents | _recorded_in(table) | _erased_from(table) | _pulled_into(table, pulled)),
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
            ),
            dg.AssetCheckSpec(
                SHARE_CHECK,
                asset=["raw", table.name],
                # Not `blocking`: the other tables still load, so that all causes and what they orphaned
                # are seen at once. Whatever builds on raw tables asks `Boundaries.require_intake`.
                description="Not too many rows were refused (MUYUN_MAX_QUARANTINED_SHARE, limits.yaml); "
                "else nothing is built on the raw tables.",
            ),
        ],
    )
    def load(
        context: dg.AssetExecutionContext,
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        sources: dg.ResourceParam[Sources],
        lake: dg.ResourceParam[Lake],
    ) -> dg.MaterializeResult:
        window = days_of(context.run.tags) if is_daily else None
        return steps.run(
            context,
            lambda: _load(settings, sources, lake, table, clock.as_of(context), window),
            settings={
                "source": _supplied(settings, sources, table),
                "window": [day.isoformat() for day in window] if window else None,
                "time_zone": settings.zone,
                "quarantined_share": admitted(settings, table.name),
            },
            outputs=[
                lake.accepted_path(table.name),
                *([lake.history_path(table.name)] if table.has_history else []),
            ],
            # Rows of the overlay are drawn up to now; of others, time refuses only what lies in the future.
            clock="instant" if table.name in generated else "since",
        )

    return load


def _supplied(settings: Settings, sources: Sources, table: ContractTable) -> str:
    """What the source has of a table; a folder that has nothing of it may change otherwise as it likes."""
    has_some = settings.embedded or table.name in sources.source.tables()
    return sources.source.fingerprint() if has_some else "nothing"


def _parents(table: ContractTable, generated: frozenset[str]) -> set[str]:
    """Tables that must be loaded before this one."""
    parents = {key.parent for key in table.foreign_keys}
    if table.time_parent is not None:
        parents.add(table.time_parent[1])
    if table.completed_by is not None:
        # Whether an order has a line is found out before the lines are loaded; that needs what lines name.
        parents |= {key.parent for key in contract_table(table.completed_by).foreign_keys} - {table.name}
    if table.name in generated:
        return parents | set(OBSERVED)
    return parents - generated


def _recorded_in(table: ContractTable) -> set[dg.AssetKey]:
    """The extraction that brings rows of this table from the operational database, if any does."""
    if table.is_book:
        return {dg.AssetKey(["operations", "recorded_books"])}
    if table.is_own_output:
        return {dg.AssetKey(["operations", "recorded_prices"])}
    if table.name in OBSERVED_BY_API:
        return {dg.AssetKey(["operations", "recorded_observations"])}
    return {dg.AssetKey(["operations", "recorded_feeds"])} if table.name in FED else set()


def _pulled_into(table: ContractTable, pulled: frozenset[str]) -> set[dg.AssetKey]:
    """What connectors land, of tables that they may feed and of those that are derived from such a table."""
    feeding = {table.name, PARENTS.get(table.name, table.name)} & pulled
    matched = (
        {dg.AssetKey(["operations", "matched_products"])} if table.name == "offers" and pulled else set()
    )
    return matched | ({dg.AssetKey(["operations", "pulled_feeds"])} if feeding else set())


def _erased_from(table: ContractTable) -> set[dg.AssetKey]:
    """The erasures, of which a table that names consumers must be clear before it is loaded again."""
    return {dg.AssetKey(["operations", "erasures"])} if table.name in PERSON_COLUMNS else set()


def _load(
    settings: Settings,
    sources: Sources,
    lake: Lake,
    table: ContractTable,
    as_of: datetime,
    window: tuple[date, date] | None,
) -> Outcome:
    report = sources.feeds.load(table.name, as_of, window)
    is_early = any(IN_THE_FUTURE in reason for reason in report.reasons)
    until = nobody_waits_before(lake.read_quarantine(table.name)) if is_early else None
    due = min(filter(None, (until, sources.feeds.recorded_next_at(table.name, as_of))), default=None)
    current, history = _held(lake, table, window)
    is_held = current == report.current and history == report.history + report.kept
    return Outcome(
        rows=report.accepted,
        metadata={
            "origin": report.origin,
            "received": report.received,
            "quarantined": report.quarantined,
            "older_versions": report.history,
            "unchanged": report.unchanged,
            "deleted": report.deleted,
            "reasons_md": _reasons(report),
            "first_time": report.first_time.isoformat() if report.first_time else None,
            "last_time": report.last_time.isoformat() if report.last_time else None,
            "notes": list(report.notes),
            "columns_set_aside": list(report.extra_columns),
            **_reached(sources, table),
        },
        checks=[
            CheckRecord(
                _CLOSES,
                report.received == report.accepted + report.quarantined and is_held,
                {
                    "received": report.received,
                    "accepted": report.accepted,
                    "unchanged": report.unchanged,
                    "quarantined": report.quarantined,
                    "rows_in_the_lake": current,
                    "rows_in_the_history": history,
                },
            ),
            share_check(settings, lake, report),
        ],
        version=content_version([*lake.accepted_files(table.name), *lake.history_files(table.name)]),
        clock="instant" if is_early and until is None else None,
        until=due,
    )


def _reached(sources: Sources, table: ContractTable) -> dict[str, int]:
    """How far the operational database was read into a table that it feeds."""
    if table.name not in FED:
        return {}
    manifest = (sources.recorded_prices if table.is_own_output else sources.recorded_feeds).manifest()
    return {RECORDED_CURSOR: manifest.cursor} if manifest else {}


def _held(lake: Lake, table: ContractTable, window: tuple[date, date] | None) -> tuple[int, int]:
    """Rows that stand, and versions that no longer do, of the days of a load."""
    current = lake.scan(table.name) if window is None else lake.scan_days(table.name, *window)
    history = lake.scan_history(table.name, *(window or ()))
    counts = [int(frame.select(pl.len()).collect().item()) for frame in (current, history)]
    return counts[0], counts[1]


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
