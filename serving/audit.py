"""The audit log: who did or saw what, written in the transaction of the act itself. No route lives here.

Recorded are every write through the API and every privileged read (personal values, the ledger, statements of
other parties, this log). Rows cannot be changed or removed, by privilege and by trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from serving.errors import AuditError
from serving.security.principal import Principal

Connection = psycopg.Connection[Any]
Outcome = Literal["done", "repeated", "refused"]
Detail = str | int | bool | None

_LONGEST_TEXT = 200
_PERSONAL = ("name", "phone", "mobile", "address", "email", "recipient", "birthday", "secret", "password")


@dataclass(frozen=True)
class AuditEntry:
    """One act.

    Attributes:
        audit_id: Rises with time; the order of the log.
        at: When the database wrote it, in UTC.
        key_id: Public part of the key that asked.
        role: Role of that key.
        party_id: Party of that key; None for operators and auditors.
        action: What was done, as `<object>.<verb>`.
        object_type: Kind of the thing.
        object_id: Id of the thing.
        request_id: The request, as in the log of the API.
        outcome: `done`, `repeated` (an idempotent repetition) or `refused`.
        details: Further ids, counts and amounts; never a personal value.
        authority: Fact of `serving.authority` that the act states; None for reads and for jobs.
    """

    audit_id: int
    at: datetime
    key_id: str
    role: str
    party_id: str | None
    action: str
    object_type: str
    object_id: str
    request_id: str
    outcome: str
    details: Mapping[str, Detail]
    authority: str | None = None


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted; None takes all."""

    key_id: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None


def record(
    conn: Connection,
    principal: Principal,
    action: str,
    object_type: str,
    object_id: str,
    *,
    request_id: str,
    outcome: Outcome = "done",
    details: Mapping[str, Detail] | None = None,
    authority: str | None = None,
) -> None:
    """Note an act in the transaction in which it happens: both are kept, or neither.

    Args:
        conn: Connection inside a transaction of the principal's tenant.
        principal: Who acts.
        action: What is done, as `<object>.<verb>`, e.g. `order.place`.
        object_type: Kind of the thing, e.g. `order`.
        object_id: Id of the thing.
        request_id: Of the request, for finding it in the log of the API.
        outcome: `repeated` for the repetition of an idempotent write.
        details: Further ids, counts and amounts.
        authority: Fact of `serving.authority` that the act states.

    Raises:
        AuditError: A detail is named after a personal value, or is a text longer than 200 characters.
    """
    noted = dict(details or {})
    _refuse_personal(noted)
    conn.execute(
        "insert into ops.audit_log (tenant_id, key_id, role, party_id, action, object_type, object_id,"
        " request_id, outcome, details, authority) values (%(tenant)s, %(key)s, %(role)s, %(party)s,"
        " %(action)s, %(object_type)s, %(object_id)s, %(request)s, %(outcome)s, %(details)s, %(authority)s)",
        {
            "tenant": principal.tenant_id,
            "key": principal.key_id,
            "role": str(principal.role),
            "party": principal.party_id,
            "action": action,
            "object_type": object_type,
            "object_id": object_id,
            "request": request_id,
            "outcome": outcome,
            "details": Jsonb(noted),
            "authority": authority,
        },
    )


def entries(
    conn: Connection, tenant_id: str, wanted: AuditFilter, *, before: int | None, limit: int
) -> Sequence[AuditEntry]:
    """A page of the log, newest first.

    Args:
        conn: Connection inside a transaction of the tenant.
        tenant_id: Whose log.
        wanted: Filter.
        before: Only entries with a smaller `audit_id`; None begins with the newest.
        limit: Most entries.
    """
    rows = conn.execute(
        "select audit_id, at, key_id, role, party_id, action, object_type, object_id, request_id, outcome,"
        " details, authority from ops.audit_log where tenant_id = %(tenant)s"
        " and (%(before)s::bigint is null or audit_id < %(before)s)"
        " and (%(key)s::text is null or key_id = %(key)s)"
        " and (%(action)s::text is null or action = %(action)s)"
        " and (%(object_type)s::text is null or object_type = %(object_type)s)"
        " and (%(object_id)s::text is null or object_id = %(object_id)s)"
        " order by audit_id desc limit %(limit)s",
        {
            "tenant": tenant_id,
            "before": before,
            "key": wanted.key_id,
            "action": wanted.action,
            "object_type": wanted.object_type,
            "object_id": wanted.object_id,
            "limit": limit,
        },
    ).fetchall()
    return [AuditEntry(*row) for row in rows]


def _refuse_personal(details: Mapping[str, Detail]) -> None:
    for key, value in details.items():
        if any(word in key.lower() for word in _PERSONAL):
            raise AuditError(f"detail {key!r} of an audit entry sounds personal: record ids and amounts only")
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise AuditError(f"detail {key!r} of an audit entry is longer than {_LONGEST_TEXT} characters")
