"""Which entities there are at a moment, until when, and who comes later.

An entity belongs to the population while one of its rows in a population source is visible: it happened, it
was received, no newer version has come. Working tables of this package are temporary and named `tags_*`.
"""

from __future__ import annotations

from datetime import datetime

import duckdb

from feature_store.compiler import utc
from feature_store.language.definitions import Source
from feature_store.registry import Registry

ASKED = "tags_asked"
MEMBERS = "tags_members"


def find_members(
    connection: duckdb.DuckDBPyConnection, registry: Registry, as_of: datetime, *, everybody: bool
) -> None:
    """Fills `tags_members(entity_id, until, arrives_at)`.

    `until` is when the last visible row is superseded (`infinity`: never; null: no row is visible, it is no
    member); `arrives_at` is when the next row becomes visible, as far as a member's sources had to be asked.

    Args:
        connection: Sees the population sources.
        registry: The registry.
        as_of: The moment, naive UTC.
        everybody: Look at all entities instead of those in `tags_asked(entity_id)`.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {MEMBERS} (entity_id VARCHAR, until TIMESTAMP, arrives_at TIMESTAMP)"
    )
    for source in registry.population_sources():
        entity = f"CAST(s.{source.entity} AS VARCHAR)"
        asked = "" if everybody else f"SEMI JOIN {ASKED} AS a ON a.entity_id = {entity}"
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE {MEMBERS} AS
            SELECT entity_id, MAX(until) AS until, MIN(arrives_at) AS arrives_at FROM (
                SELECT * FROM {MEMBERS}
                UNION ALL
                ({_stays(source)} {asked}
                 ANTI JOIN (SELECT entity_id FROM {MEMBERS} WHERE until = 'infinity') AS m
                 ON m.entity_id = {entity}
                 WHERE s.{source.entity} IS NOT NULL)
            ) GROUP BY entity_id
            """,
            {"as_of": as_of},
        )


def _stays(source: Source) -> str:
    """Each row of a population source with its stay: from when on it is visible, and until when."""
    happened, received = utc(f"s.{source.time}"), utc(f"s.{source.received or source.time}")
    visible_from = f"GREATEST({happened}, {received})"
    until = "CAST('infinity' AS TIMESTAMP)"
    if source.superseded is not None:
        until = f"COALESCE({utc(f's.{source.superseded}')}, {until})"
    known = f"{happened} IS NOT NULL AND {received} IS NOT NULL"
    return (
        f"SELECT CAST(s.{source.entity} AS VARCHAR) AS entity_id, "
        f"CASE WHEN {known} AND {visible_from} <= $as_of AND {until} > $as_of THEN {until} END AS until, "
        f"CASE WHEN {known} AND {visible_from} > $as_of AND {until} > {visible_from} "
        f"THEN {visible_from} END AS arrives_at "
        f"FROM {source.table} AS s"
    )
