"""`GET /v1/audit-log`: who did or saw what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, OptionalIdentifier, PageSize
from serving.api.transactions import note, tenant_transaction
from serving.audit import AuditEntry, AuditFilter, entries
from serving.security import Role, Scope


class AuditLine(Struct, frozen=True, kw_only=True):
    """One act."""

    audit_id: Annotated[int, Meta(description="Rises with time.")]
    at: datetime
    key_id: Annotated[str, Meta(description="Public part of the key that asked.")]
    role: Role
    party_id: str | None
    action: Annotated[str, Meta(description="What was done.", examples=["order.place"])]
    object_type: str
    object_id: str
    request_id: str
    outcome: Annotated[str, Meta(description="`done`, `repeated` or `refused`.")]
    details: Annotated[
        dict[str, str | int | bool | None], Meta(description="Ids, counts and amounts; nothing personal.")
    ]
    authority: Annotated[str | None, Meta(description="Fact that the act states; null for reads.")]


class AuditPage(Struct, frozen=True, kw_only=True):
    """A page of the audit log, newest first."""

    entries: list[AuditLine]
    next_cursor: str | None


@get(
    "/audit-log",
    opt={
        "scope": Scope.AUDIT_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR}),
        "owner": None,
    },
    tags=["Audit"],
    summary="Privileged reads and all writes",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_audit_log(
    request: Request[Any, Any, Any],
    key_id: OptionalIdentifier = None,
    action: OptionalIdentifier = None,
    object_type: OptionalIdentifier = None,
    object_id: OptionalIdentifier = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> AuditPage:
    """Every act of the tenant, newest first. Reading the log is an act as well and stands in it."""
    position = read_cursor(cursor, "audit_log")
    before = int(position.key[0]) if position else None
    wanted = AuditFilter(key_id, action, object_type, object_id)
    with tenant_transaction(request) as conn:
        found = entries(conn, principal_of(request).tenant_id, wanted, before=before, limit=limit + 1)
        note(request, conn, "audit_log.read", "audit_log", object_id or "*")
    rows = found[:limit]
    return AuditPage(
        entries=[_line(entry) for entry in rows],
        next_cursor=cursor_after(found, limit, "audit_log", lambda one: [one.audit_id]),
    )


def _line(entry: AuditEntry) -> AuditLine:
    return AuditLine(
        audit_id=entry.audit_id,
        at=entry.at,
        key_id=entry.key_id,
        role=Role(entry.role),
        party_id=entry.party_id,
        action=entry.action,
        object_type=entry.object_type,
        object_id=entry.object_id,
        request_id=entry.request_id,
        outcome=entry.outcome,
        details=dict(entry.details),
        authority=entry.authority,
    )
