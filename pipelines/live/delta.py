"""From the live store to readers: what changed since the revision that they have, as one delta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from datetime import date
from typing import Any

import duckdb

from feature_store.contracts import RefreshClass
from feature_store.offline import tags_without_source
from models.contracts import PUBLISHED_TABLES
from pipelines.live.store import Standing
from serving.scores.live import Delta, LiveResult, live_pointer, publish_delta

_PRICE_COLUMNS = ", ".join(column.name for column in PUBLISHED_TABLES["prices"].columns)
_BATCH = 2_000


def publish(
    connection: duckdb.DuckDBPyConnection,
    url: str,
    tenant_id: str,
    standing: Standing,
    classes: Sequence[RefreshClass],
    *,
    begins: bool,
) -> LiveResult:
    """Publish what changed since the revision that readers have.

    Args:
        connection: The live store after the tick's commit.
        url: The serving database.
        tenant_id: Whose readers.
        standing: Where the store stands.
        classes: Refresh classes that the ticks keep up to date.
        begins: Whether this is the first delta of a generation: whatever lay over its publication goes.
    """
    since = 0 if begins else seen_revision(url, tenant_id, standing.base_version)
    return publish_delta(
        url,
        Delta(
            base_version=standing.base_version,
            revision=standing.tick,
            # A class that was not refreshed because nothing was due is right up to the tick all the same.
            as_of=dict.fromkeys(classes, standing.as_of),
            profiles=_profiles(
                connection, classes, since, set(tags_without_source(connection, standing.as_of))
            ),
            removed=_removed(connection, since),
            prices=_prices(connection, since),
            prices_as_of=standing.as_of,
            replaces=begins,
        ),
        tenant_id=tenant_id,
    )


def seen_revision(url: str, tenant_id: str, base_version: str) -> int:
    """The revision that readers of a publication have; 0 before its first delta."""
    pointer = live_pointer(url, base_version, tenant_id=tenant_id)
    return pointer.revision if pointer else 0


def _profiles(
    connection: duckdb.DuckDBPyConnection, classes: Sequence[RefreshClass], since: int, silent: Set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Consumers whose tags of any class changed after a revision, with all tags of that class.

    As in a publication, tags of which a source never reported are left out: readers tell them as `no_source`.
    """
    changed: dict[str, dict[str, Any]] = {}
    for refresh in classes:
        found = connection.execute(
            f'select * exclude (due_at, revision) from tags."consumer_{refresh}" where revision > ?', [since]
        )
        names = [column[0] for column in found.description or ()]
        while rows := found.fetchmany(_BATCH):
            for consumer_id, *values in rows:
                tags = dict(zip(names[1:], map(_json_value, values), strict=True))
                told = {name: value for name, value in tags.items() if name not in silent}
                changed.setdefault(consumer_id, {}).update(told)
    yield from changed.items()


def _removed(connection: duckdb.DuckDBPyConnection, since: int) -> list[str]:
    rows = connection.execute(
        "select entity_id from tags.removed where entity = 'consumer' and revision > ? order by 1", [since]
    ).fetchall()
    return [row[0] for row in rows]


def _prices(connection: duckdb.DuckDBPyConnection, since: int) -> Iterator[tuple[Any, ...]]:
    found = connection.execute(
        f"select {_PRICE_COLUMNS} from live.price where revision > ? order by merchant_id, sku_id", [since]
    )
    while rows := found.fetchmany(_BATCH):
        yield from rows


def _json_value(value: Any) -> Any:
    """A tag as its profile document has it."""
    return value.isoformat() if isinstance(value, date) else value
