"""Ticks of the resident worker as Dagster sees them: a materialisation and its checks, without a run.

A run of Dagster costs seconds and a dozen events; a tick every few minutes is told as three. What is older
than a week goes, so that the history does not grow with the number of ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable

from pipelines.live.log import Tick
from pipelines.steps.results import as_metadata

LIVE = dg.AssetKey(["live", "profiles_and_prices"])
"""What the live loop keeps up to date."""

LAG_CHECK = "lag_is_at_most_15_minutes"
EQUAL_CHECK = "live_store_equals_the_nightly_rebuild"

MOST_LAG = timedelta(minutes=15)
KEPT = timedelta(days=7)


def facts(tick: Tick) -> dict[str, Any]:
    """A tick as metadata of its materialisation."""
    dirty, changed = sum(tick.dirty.values()), sum(tick.changed.values())
    lag = {} if tick.lag_s is None else {"lag_s": tick.lag_s}
    return as_metadata(
        {
            "tick": tick.number,
            "as_of": tick.as_of.isoformat(),
            "found": tick.found,
            **lag,
            "wall_s": tick.wall_s,
            "cpu_s": tick.cpu_s,
            "peak_rss_mb": tick.peak_rss_mb,
            "new_rows": sum(tick.rows.values()),
            "rows_by_table": tick.rows,
            "rows_that_wait": tick.waiting,
            "entities_looked_at": dirty,
            "entities_changed": changed,
            "profiles_removed": tick.removed,
            "prices_changed": tick.prices,
            "seconds_by_stage": tick.stages,
            "wants_full_run": tick.wants_full_run,
        }
    )


def verdicts(tick: Tick) -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """The checks that a tick made: name, whether it passed, facts."""
    if tick.lag_s is not None:
        yield LAG_CHECK, tick.lag_s <= MOST_LAG.total_seconds(), {"lag_s": round(tick.lag_s, 1)}
    compared = tick.comparison
    if compared is not None:
        yield (
            EQUAL_CHECK,
            not compared.differences,
            {"rows": compared.rows, "differences": compared.differences, "not_compared": compared.reason},
        )


def tell(instance: dg.DagsterInstance, tick: Tick) -> None:
    """Report a tick that no run of Dagster did."""
    instance.report_runless_asset_event(dg.AssetMaterialization(LIVE, metadata=facts(tick)))
    for name, passed, values in verdicts(tick):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=LIVE,
                check_name=name,
                passed=passed,
                severity=dg.AssetCheckSeverity.ERROR,
                metadata=as_metadata(values),
            )
        )


def forget_old(instance: dg.DagsterInstance, now: datetime | None = None) -> int:
    """Remove events of ticks that are older than a week; how many went.

    Dagster has no retention for events without a run, so this goes to its own table of events; what the UI
    shows as latest lies elsewhere and stays.
    """
    storage = instance.event_log_storage
    before = (now or datetime.now(UTC)) - KEPT
    events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    key = LIVE.to_string()
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        gone = connection.execute(
            SqlEventLogStorageTable.delete().where(
                events.asset_key == key,
                events.run_id == RUNLESS_RUN_ID,
                events.timestamp < before.replace(tzinfo=None),
            )
        )
        latest = db.select(db.func.max(checks.id)).where(checks.asset_key == key).group_by(checks.check_name)
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                checks.asset_key == key,
                checks.create_timestamp < before.replace(tzinfo=None),
                checks.id.not_in(latest.scalar_subquery()),
            )
        )
    return int(gone.rowcount)
