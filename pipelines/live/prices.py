"""Prices of a tick: listings whose stock, cost, sales or rivals have news, and all of them hourly.

The same function prices the whole assortment at night. Some guards look at the clock (how long a price has
stood), which is why everything is priced again when an hour has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from models.contracts import PUBLISHED_TABLES
from pipelines.scoring.prices import score_prices
from pipelines.stores.brake import NOTHING_HELD, HeldBack

_COLUMNS = tuple(column.name for column in PUBLISHED_TABLES["prices"].columns)
_KEY = PUBLISHED_TABLES["prices"].key
_DECIDED = tuple(name for name in _COLUMNS if name not in (*_KEY, "explanation"))
"""What makes a price another one; its explanation alone does not."""


def begin(connection: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Start from the prices that the publication has.

    Args:
        connection: A draft of the live store.
        published: Its Parquet file of prices.
    """
    columns = ", ".join(_COLUMNS)
    connection.execute(
        f"create table live.price as select {columns}, 0::bigint as revision from read_parquet(?)",
        [str(published)],
    )


def touched_skus(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Skus with news in this tick."""
    rows = connection.execute("select distinct entity_id from live.touched where entity = 'sku' order by 1")
    return [row[0] for row in rows.fetchall()]


def is_hour_begun(before: datetime, now: datetime) -> bool:
    """Whether an hour of business time has begun between two ticks."""
    return before.replace(minute=0, second=0, microsecond=0) < now.replace(minute=0, second=0, microsecond=0)


def reprice(
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    bundle: Path | None,
    skus: Sequence[str] | None,
    tick: int,
    held: HeldBack = NOTHING_HELD,
) -> int:
    """Price again and keep what has changed under the tick's number; part of the tick's transaction.

    Args:
        connection: The live store with the facts of the tick.
        as_of: Business time of the tick (UTC).
        bundle: Folder of the champion; None means cost plus.
        skus: Skus with news; None means all.
        tick: Number of the tick.
        held: What the quality brake holds back since the last night.

    Returns:
        Prices that changed or are new.
    """
    if skus is not None and not skus:
        return 0
    fresh = score_prices(connection, as_of, bundle, skus, held)
    connection.register("fresh_prices", fresh)
    same = " and ".join(f"old.{name} is not distinct from fresh.{name}" for name in _DECIDED)
    key = " and ".join(f"old.{name} = fresh.{name}" for name in _KEY)
    connection.execute(
        "create or replace temp table changed_prices as select * from fresh_prices as fresh"
        f" where not exists (select 1 from live.price as old where {key} and {same})"
    )
    connection.unregister("fresh_prices")
    key = " and ".join(f"live.price.{name} = changed_prices.{name}" for name in _KEY)
    connection.execute(f"delete from live.price using changed_prices where {key}")
    columns = ", ".join(_COLUMNS)
    connection.execute(f"insert into live.price select {columns}, ? from changed_prices", [tick])
    found = connection.execute("select count(*) from changed_prices").fetchone()
    return int(found[0]) if found else 0
