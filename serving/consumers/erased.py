"""Who was erased, for everybody who might bring a row of theirs back. Who writes tombstones: `erasure`.

A writer holds a shared lock from the moment it looks at the tombstones until its commit, and an erasure the
exclusive one: no row of an erased person slips in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import psycopg

from serving.consumers.errors import ConsumerErasedError
from serving.db import locks


def consumer_digest(tenant_id: str, consumer_id: str) -> str:
    """How a tombstone names a person: SHA-256 over `tenant_id:consumer_id`, lower-case hex.

    The function `consumers.digest` of the database says the same.
    """
    return hashlib.sha256(f"{tenant_id}:{consumer_id}".encode()).hexdigest()


def hold_erasures(conn: psycopg.Connection[Any]) -> None:
    """Let no erasure begin before this transaction ends; waits for one that is at work."""
    locks.no_erasure(conn)


def erased_digests(conn: psycopg.Connection[Any], tenant_id: str) -> frozenset[str]:
    """The tombstones of a tenant; they hold until the end of the transaction after `hold_erasures`."""
    rows = conn.execute("select consumer_digest from consumers.erasure where tenant_id = %s", (tenant_id,))
    return frozenset(row[0] for row in rows)


def erased_among(conn: psycopg.Connection[Any], tenant_id: str, consumers: Iterable[str]) -> set[str]:
    """Which of some consumers were erased; call `hold_erasures` before."""
    wanted = {consumer_digest(tenant_id, consumer_id): consumer_id for consumer_id in consumers}
    rows = conn.execute(
        "select consumer_digest from consumers.erasure where tenant_id = %s and consumer_digest = any(%s)",
        (tenant_id, list(wanted)),
    )
    return {wanted[row[0]] for row in rows}


def require_not_erased(conn: psycopg.Connection[Any], tenant_id: str, consumer_id: str, why: str) -> None:
    """Hold erasures up, and refuse to write about a person who was erased.

    Args:
        conn: Inside a transaction of the tenant, which then writes.
        tenant_id: The tenant.
        consumer_id: Who would be written about.
        why: What cannot be done, for the message.

    Raises:
        ConsumerErasedError: The person was erased.
    """
    hold_erasures(conn)
    if erased_among(conn, tenant_id, [consumer_id]):
        raise ConsumerErasedError(f"this consumer was erased: {why}")


class Tombstone(NamedTuple):
    """A person who was erased: the digest of the id, and the name that rows about money have since."""

    digest: str
    pseudonym: str


def all_tombstones(conn: psycopg.Connection[Any], tenant_id: str) -> list[Tombstone]:
    """Everybody who was erased, in the order of their digests."""
    rows = conn.execute(
        "select consumer_digest, pseudonym from consumers.erasure where tenant_id = %s order by 1",
        (tenant_id,),
    )
    return [Tombstone(*row) for row in rows]
