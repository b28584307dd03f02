"""Asking: a request for approval is made, or found, or supersedes the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from serving.approvals.errors import RequestConflictError, SuggestionError
from serving.approvals.kinds import Kind
from serving.approvals.records import (
    SYSTEM,
    Approval,
    By,
    newest_of_subject,
    read_approval,
    read_decisions,
    shown_digest,
    write_decision,
    write_move,
)
from serving.approvals.states import OPEN, Move, State, after
from serving.approvals.suggestions import Suggestion, check_suggestion
from serving.db import locks
from serving.security import Principal

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked.

    Attributes:
        kind: Its kind.
        subject: Type and id of the thing that it is about.
        party: Type and id of the party that it is about, who may see it; None: nobody but operators.
        suggestion: Codes and numbers; never prose or personal values.
        value_cents: Value at stake, fen, 0 or more.
        bucket: Group in which it is looked at.
        source: Version of the publication or whatever else it was made from.
        expires_at: None: after the validity of the kind.
        effect_at: When it shall take effect; None: with the final approval.
    """

    kind: Kind
    subject: tuple[str, str]
    party: tuple[str, str] | None = None
    suggestion: Suggestion
    value_cents: int
    bucket: str = "all"
    source: str = "stated"
    expires_at: datetime | None = None
    effect_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request; `is_new` is False when it had been asked before, or stays rejected for a while yet."""

    approval: Approval
    is_new: bool


def request(
    conn: psycopg.Connection, tenant_id: str, ask: Ask, asked_by: Principal | str, now: datetime
) -> Asked:
    """Ask for an approval.

    The same suggestion about the same subject is asked once. Another one supersedes the open request, or is a
    conflict when the subject of the kind is an idempotency key. What was rejected is not asked again in the
    quiet time of the kind, unless it moved by more than the kind says: then the rejected request comes back.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        ask: What.
        asked_by: The principal who asks; a job says its name.
        now: Business time.

    Returns:
        The request, which waits; an old one may stand anywhere.

    Raises:
        SuggestionError: The suggestion holds something else than codes and numbers, or is not valid any more.
        RequestConflictError: Another suggestion was made under the same idempotency key.
    """
    kind = ask.kind
    check_suggestion(ask.suggestion)
    expires_at = ask.expires_at or now + kind.validity
    if expires_at <= now or ask.value_cents < 0:
        raise SuggestionError("a request has a value of 0 or more and expires later than now")
    digest = shown_digest(kind.name, ask.subject, ask.suggestion, ask.source, ask.value_cents, ask.bucket)
    # Whoever asks about one subject asks one after another.
    locks.approval_subject(conn, tenant_id, kind.name, ask.subject)
    known = newest_of_subject(conn, tenant_id, kind.name, ask.subject)
    if known is not None:
        if kind.is_unique and known.suggestion != ask.suggestion:
            raise RequestConflictError(
                f"{ask.subject[0]} {ask.subject[1]} was asked about before with another body"
            )
        if kind.is_unique or (known.state in OPEN and _asks_the_same(known, ask) and known.expires_at > now):
            return Asked(known, is_new=False)
        if known.state is State.REJECTED and _is_quiet(conn, tenant_id, kind, known, ask, now):
            return Asked(known, is_new=False)
    key, role = (
        (asked_by.key_id, str(asked_by.role))
        if isinstance(asked_by, Principal)
        else (f"job:{asked_by}", SYSTEM)
    )
    if known is not None and known.state in OPEN:
        # The index knows one open request: the old one closes first, and learns who followed it.
        closed = replace(known, state=after(str(known), known.state, Move.SUPERSEDE), snoozed_until=None)
        write_move(conn, tenant_id, known, closed, Move.SUPERSEDE, By(key=key, role=role, at=now))
    new = Approval(
        approval_id=0,
        kind=kind.name,
        subject_type=ask.subject[0],
        subject_id=ask.subject[1],
        party_type=ask.party[0] if ask.party else None,
        party_id=ask.party[1] if ask.party else None,
        suggestion=dict(ask.suggestion),
        adjusted=None,
        digest=digest,
        source=ask.source,
        value_cents=ask.value_cents,
        bucket=ask.bucket,
        state=State.PENDING,
        version=1,
        asked_by=key,
        asked_at=now,
        expires_at=expires_at,
        effect_at=ask.effect_at,
        approvals_needed=kind.approvals_needed(ask.value_cents, by_a_person=isinstance(asked_by, Principal)),
        asker_may_decide=kind.asker_may_decide,
        snoozed_until=None,
        first_approver=None,
        second_approver=None,
        superseded_by=None,
        effect=None,
    )
    made = _insert(conn, tenant_id, new)
    write_decision(conn, tenant_id, made, 1, "ask", None, By(key=key, role=role, at=now), {})
    if known is not None and known.state in OPEN:
        conn.execute(
            "update approvals.request set superseded_by = %s where tenant_id = %s and approval_id = %s",
            (made.approval_id, tenant_id, known.approval_id),
        )
    return Asked(made, is_new=True)


def ask_or_act(
    conn: psycopg.Connection,
    tenant_id: str,
    ask: Ask,
    asked_by: Principal | str,
    now: datetime,
    *,
    alone_cents: int | None,
    act: Callable[[], T],
) -> T | Approval:
    """Act at once when the value lies within what one person does alone, else ask.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        ask: What is asked.
        asked_by: As for `request`.
        now: Business time.
        alone_cents: Most that one person does alone, fen; None: nothing.
        act: Does it; also tried, and undone, before asking, so that what would be refused is refused at once.

    Returns:
        What `act` returns, or the request.

    Raises:
        ServingError: Whatever `act` refuses, or `request`.
    """
    if alone_cents is not None and ask.value_cents <= alone_cents:
        return act()
    with conn.transaction(force_rollback=True):
        act()
    return request(conn, tenant_id, ask, asked_by, now).approval


def _asks_the_same(known: Approval, ask: Ask) -> bool:
    return (known.suggestion, known.source, known.value_cents, known.bucket, known.effect_at) == (
        ask.suggestion,
        ask.source,
        ask.value_cents,
        ask.bucket,
        ask.effect_at,
    )


def _is_quiet(
    conn: psycopg.Connection, tenant_id: str, kind: Kind, rejected: Approval, ask: Ask, now: datetime
) -> bool:
    """Whether what was rejected shall not be asked about again yet."""
    if kind.quiet <= timedelta(0):
        return False
    at = read_decisions(conn, tenant_id, rejected.approval_id)[-1].decided_at
    before = (rejected.suggestion, rejected.value_cents)
    return now < at + kind.quiet and not kind.has_moved(before, (ask.suggestion, ask.value_cents))


def _insert(conn: psycopg.Connection, tenant_id: str, new: Approval) -> Approval:
    names = [field.name for field in fields(Approval) if field.name != "approval_id"]
    values: list[Any] = [getattr(new, name) for name in names]
    values = [Jsonb(found) if isinstance(found, dict) else found for found in values]
    row = conn.execute(
        f"insert into approvals.request (tenant_id, {', '.join(names)})"
        f" values (%s{', %s' * len(names)}) returning approval_id",
        (tenant_id, *values),
    ).fetchone()
    assert row is not None
    return read_approval(conn, tenant_id, row[0])
