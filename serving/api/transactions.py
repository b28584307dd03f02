"""What handlers of the operational core share: a transaction of the asking tenant, and the audit of it.

Such handlers are synchronous (`sync_to_thread=True`); scores are read by `serving.api.answers.reader_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import psycopg
from litestar import Request

from serving.api.answers import principal_of
from serving.audit import Detail, Outcome, record
from serving.db.operations import Operations
from serving.privacy.data_keys import Vault
from serving.security import stated_authority


def tenant_transaction(
    request: Request[Any, Any, Any], *, repeatable_read: bool = False
) -> AbstractContextManager[psycopg.Connection[Any]]:
    """A transaction for the tenant of the key; committed at the end, rolled back by an exception."""
    operations: Operations = request.app.state.operations
    return operations.transaction(principal_of(request).tenant_id, repeatable_read=repeatable_read)


def note(
    request: Request[Any, Any, Any],
    conn: psycopg.Connection[Any],
    action: str,
    object_type: str,
    object_id: str,
    *,
    outcome: Outcome = "done",
    details: Mapping[str, Detail] | None = None,
) -> None:
    """Record an act of this request in its transaction; every write and every privileged read calls it.

    The log names the authority that the route uses.

    Args:
        request: Whose key and request id are noted.
        conn: Connection of the transaction in which the act happens.
        action: As `<object>.<verb>`, e.g. `order.place`.
        object_type: Kind of the thing, e.g. `order`.
        object_id: Id of the thing.
        outcome: `repeated` for the repetition of an idempotent write.
        details: Further ids, counts and amounts; no personal values.
    """
    authority = stated_authority(request.route_handler)
    record(
        conn,
        principal_of(request),
        action,
        object_type,
        object_id,
        request_id=request.scope["state"].get("request_id", ""),
        outcome=outcome,
        details=details,
        authority=authority.fact if authority is not None else None,
    )


def vault_of(request: Request[Any, Any, Any]) -> Vault:
    """Seals and opens personal values."""
    vault: Vault = request.app.state.vault
    return vault
