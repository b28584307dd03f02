"""Keeps erased people out of what is published: while rows are copied, and once more before the commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from models.contracts import PUBLISHED_TABLES
from serving.consumers.erased import consumer_digest, erased_digests, hold_erasures
from serving.scores.folding import FOLDED
from serving.scores.rows import Row


class ErasureFilter:
    """Drops rows of erased people and counts what it dropped.

    Args:
        digests: Tombstones, as `erased_digests` reads them.
        tenant_id: Whose consumers the rows are about.
    """

    def __init__(self, digests: Collection[str], tenant_id: str) -> None:
        self._digests = digests
        self._tenant_id = tenant_id
        self.dropped = 0

    def keeps(self, consumer_id: str) -> bool:
        """Whether the consumer may be published."""
        return not self._digests or consumer_digest(self._tenant_id, consumer_id) not in self._digests

    def rows(self, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[Row]:
        """The rows without those of erased people; `dropped` counts items of folded lists, else rows."""
        if not self._digests or "consumer_id" not in columns:
            yield from rows
            return
        consumer = columns.index("consumer_id")
        items = columns.index("item_count") if "item_count" in columns else None
        for row in rows:
            if self.keeps(row[consumer]):
                yield row
            else:
                self.dropped += 1 if items is None else row[items]


def tombstones(connection: psycopg.Connection[Any], tenant_id: str) -> frozenset[str]:
    """The people who must not be published."""
    return erased_digests(connection, tenant_id)


def drop_erased_since(
    connection: psycopg.Connection[Any], tenant_id: str, snapshots: dict[str, int], known: Collection[str]
) -> None:
    """Hold erasures up until the commit, and take out whoever was erased while rows were copied.

    Args:
        connection: Inside the transaction that copied.
        tenant_id: Whose version was copied.
        snapshots: Table name to the snapshot that was loaded.
        known: The tombstones that the copying knew.
    """
    hold_erasures(connection)
    late = sorted(tombstones(connection, tenant_id) - set(known))
    if not late:
        return
    for name, snapshot_id in snapshots.items():
        if all(column.name != "consumer_id" for column in PUBLISHED_TABLES[name].columns):
            continue
        statement = sql.SQL(
            "with gone as (delete from {} where snapshot_id = %(id)s"
            " and consumers.digest(%(tenant)s, consumer_id) = any(%(late)s) returning {} as n)"
            " update scores.snapshot set erased_count = erased_count + (select coalesce(sum(n), 0) from gone)"
            " where snapshot_id = %(id)s"
        ).format(sql.Identifier("scores", name), sql.SQL("item_count" if name in FOLDED else "1"))
        connection.execute(statement, {"id": snapshot_id, "tenant": tenant_id, "late": late})
