"""Answers given under idempotency keys: the first request does the work, its repetitions get the same answer.

The row is written in the transaction of the work itself, so a failed request leaves no trace and may be
repeated, and a concurrent repetition waits at the row until the first one has committed. Answers hold no
personal values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from serving.orders.errors import DuplicateKeyError

Connection = psycopg.Connection[Any]


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
    tenant_id: str,
    operation: str,
    key: str,
    body: object,
    work: Callable[[], tuple[int, Any]],
) -> Answer:
    """Do the work, or give the answer of the first time.

    Args:
        conn: Inside a transaction of the tenant, with no lock held that the work needs.
        tenant_id: The tenant.
        operation: What is asked, with the id of what it is asked of; keys of operations are apart.
        key: The caller's key.
        body: What the key stands for; any value that msgspec encodes.
        work: Does it; status and answer, which must be free of personal values.

    Returns:
        The answer as a plain document.

    Raises:
        DuplicateKeyError: The key stands for another body (L6).
    """
    digest = request_hash(body)
    values = {"tenant": tenant_id, "operation": operation, "key": key}
    first = conn.execute(
        "insert into orders.idempotency (tenant_id, operation, idempotency_key, request_hash)"
        " values (%(tenant)s, %(operation)s, %(key)s, %(hash)s) on conflict do nothing returning true",
        {**values, "hash": digest},
    ).fetchone()
    where = " where tenant_id = %(tenant)s and operation = %(operation)s and idempotency_key = %(key)s"
    if first is None:
        known = conn.execute(
            "select request_hash, status_code, response from orders.idempotency" + where, values
        ).fetchone()
        assert known is not None, "rows of this table are never removed"
        if known[0] != digest:
            raise DuplicateKeyError(operation, key)
        return Answer(known[1], known[2], is_repeated=True)
    status_code, answer = work()
    document = msgspec.to_builtins(answer)
    conn.execute(
        "update orders.idempotency set status_code = %(status)s, response = %(response)s" + where,
        {**values, "status": status_code, "response": Jsonb(document)},
    )
    return Answer(status_code, document, is_repeated=False)
