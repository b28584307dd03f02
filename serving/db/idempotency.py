"""Answers given under idempotency keys: the first request does the work, its repetitions get the same answer.

The row is written in the transaction of the work itself, so a failed request leaves no trace and may be
repeated, and a concurrent repetition waits at the row until the first one has committed. Answers hold no
personal values. A key is its caller's own: another caller's same key stands for another thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from serving.errors import KeyConflictError

Connection = psycopg.Connection[Any]


class Caller(Protocol):
    """Who sends a key: the party or role that an API key speaks for, whichever of its keys it is."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        ...

    @property
    def speaks_for(self) -> str:
        """Role and party."""
        ...


@dataclass(frozen=True)
class Answer:
    """An answer under a key; `is_repeated` when an earlier request did the work."""

    status_code: int
    document: Any
    is_repeated: bool


def request_hash(body: object) -> bytes:
    """SHA-256 over a request in canonical form: neither order of keys nor blanks matter."""
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).digest()


def once(
    conn: Connection,
    caller: Caller,
    operation: str,
    key: str,
    body: object,
    work: Callable[[], tuple[int, Any]],
) -> Answer:
    """Do the work, or give the answer of the first time.

    Args:
        conn: Inside a transaction of the caller's tenant, with no lock held that the work needs.
        caller: Whose key it is.
        operation: What is asked, with the id of what it is asked of; keys of operations are apart.
        key: The caller's key.
        body: What the key stands for; any value that msgspec encodes.
        work: Does it; status and answer, which must be free of personal values.

    Returns:
        The answer as a plain document.

    Raises:
        KeyConflictError: The key stands for another body (L6).
    """
    digest = request_hash(body)
    values = {
        "tenant": caller.tenant_id,
        "caller": caller.speaks_for,
        "operation": operation,
        "key": key,
        "hash": digest,
    }
    known = _begun(conn, values)
    if known is not None:
        if known[0] != digest:
            raise KeyConflictError(
                f"the idempotency key {key!r} was used for {operation} with another body: use a new key"
            )
        return Answer(known[1], known[2], is_repeated=True)
    status_code, answer = work()
    document = msgspec.to_builtins(answer)
    conn.execute(
        "update ops.idempotency set status_code = %(status)s, response = %(response)s" + _WHERE,
        {**values, "status": status_code, "response": Jsonb(document)},
    )
    return Answer(status_code, document, is_repeated=False)


def purge(conn: Connection, days: int) -> int:
    """Forget keys of all tenants that are older than some days; a request sent again after that is a new one.

    Args:
        conn: As the tables' owner.
        days: How long a key stands for its first answer.

    Returns:
        Keys that were forgotten.
    """
    return conn.execute(
        "delete from ops.idempotency where created_at < clock_timestamp() - make_interval(days => %s)",
        (days,),
    ).rowcount


_WHERE = (
    " where tenant_id = %(tenant)s and caller = %(caller)s and operation = %(operation)s"
    " and idempotency_key = %(key)s"
)


def _begun(conn: Connection, values: dict[str, Any]) -> tuple[bytes, int, Any] | None:
    """The answer that the key has; None when this transaction is the first and now holds its row."""
    while True:
        first = conn.execute(
            "insert into ops.idempotency (tenant_id, caller, operation, idempotency_key, request_hash)"
            " values (%(tenant)s, %(caller)s, %(operation)s, %(key)s, %(hash)s)"
            " on conflict do nothing returning true",
            values,
        ).fetchone()
        if first is not None:
            return None
        known = conn.execute(
            "select request_hash, status_code, response from ops.idempotency" + _WHERE, values
        ).fetchone()
        if known is not None:  # else the purge took it in between
            return known[0], known[1], known[2]
