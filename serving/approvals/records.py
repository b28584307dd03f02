"""Requests and decisions as rows: reading, locking, pages. Who may decide what: `decisions`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from serving.approvals.errors import UnknownApprovalError, Winner
from serving.approvals.states import Move, State
from serving.approvals.suggestions import Suggestion, digest_of
from serving.db import locks

SYSTEM = "system"
"""Stands for nobody's key in the log: the clock, or what a newer request brought about."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A request.

    Attributes:
        approval_id: Rises with time.
        kind: Name of its `Kind`.
        subject_type: Kind of the thing that it is about.
        subject_id: Id of the thing.
        party_type: Kind of the party that it is about, or None.
        party_id: That party, or None.
        suggestion: What was asked, codes and numbers.
        adjusted: What a decider made of it inside the rails, or None.
        digest: Of what a decider is shown, SHA-256 in hex.
        source: Version of the publication or of whatever else it was made from.
        value_cents: Value at stake, fen.
        bucket: Group in which it is looked at; batches never mix them.
        state: Where it stands.
        version: Rises with every move.
        asked_by: Key of whoever asked, or `job:<name>`.
        asked_at: When, in UTC.
        expires_at: From then on it cannot be decided.
        effect_at: When it takes effect; None: with the final approval.
        approvals_needed: Persons who must approve, 1 or 2.
        asker_may_decide: Whether `asked_by` may be one of them.
        snoozed_until: While snoozed.
        first_approver: Key that gave the first half, or the whole.
        second_approver: Key that gave the second half.
        superseded_by: The newer request.
        effect: What taking effect made, as ids and numbers.
    """

    approval_id: int
    kind: str
    subject_type: str
    subject_id: str
    party_type: str | None
    party_id: str | None
    suggestion: Suggestion
    adjusted: Suggestion | None
    digest: str
    source: str
    value_cents: int
    bucket: str
    state: State
    version: int
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    effect_at: datetime | None
    approvals_needed: int
    asker_may_decide: bool
    snoozed_until: datetime | None
    first_approver: str | None
    second_approver: str | None
    superseded_by: int | None
    effect: Suggestion | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))

    @property
    def party(self) -> tuple[str, str] | None:
        """Type and id of the party that it is about."""
        return None if self.party_type is None or self.party_id is None else (self.party_type, self.party_id)

    @property
    def wanted(self) -> Suggestion:
        """What an approval approves: the adjusted suggestion, or the suggestion."""
        return self.suggestion if self.adjusted is None else self.adjusted

    def __str__(self) -> str:
        return f"approval {self.approval_id} ({self.kind} {self.subject_id})"


@dataclass(frozen=True, slots=True)
class Decision:
    """One move of a request, as the log has it; `from_state` is None for the asking itself."""

    version: int
    action: str
    from_state: str | None
    to_state: str
    decided_by: str
    role: str
    decided_at: datetime
    digest: str
    reason_code: str | None
    batch_id: int | None
    details: Suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which requests are wanted; None takes all."""

    kind: str | None = None
    state: str | None = None
    bucket: str | None = None
    party_type: str | None = None
    party_id: str | None = None


_COLUMNS = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Approval))
_SELECT = sql.SQL("select {} from approvals.request ").format(_COLUMNS)
_MOVE = sql.SQL(
    "update approvals.request set adjusted = %s, digest = %s, state = %s, version = version + 1,"
    " snoozed_until = %s, first_approver = %s, second_approver = %s, superseded_by = %s, effect = %s"
    " where tenant_id = %s and approval_id = %s and version = %s returning {}"
).format(_COLUMNS)
_DECISIONS = sql.SQL(
    "select version, action, from_state, to_state, decided_by, role, decided_at, digest, reason_code,"
    " batch_id, details from approvals.decision where tenant_id = %s and approval_id = %s order by version"
)
_MATCHES = sql.SQL(
    "where tenant_id = %(tenant)s and (%(kind)s::text is null or kind = %(kind)s)"
    " and (%(state)s::text is null or state = %(state)s)"
    " and (%(bucket)s::text is null or bucket = %(bucket)s)"
    " and (%(party_type)s::text is null or party_type = %(party_type)s)"
    " and (%(party_id)s::text is null or party_id = %(party_id)s) "
)


def shown_digest(
    kind: str, subject: tuple[str, str], wanted: Suggestion, source: str, value_cents: int, bucket: str
) -> str:
    """Digest of what a decider is shown."""
    return digest_of(
        {
            "kind": kind,
            "subject": list(subject),
            "wanted": wanted,
            "source": source,
            "value_cents": value_cents,
            "bucket": bucket,
        }
    )


def read_approval(conn: psycopg.Connection, tenant_id: str, approval_id: int) -> Approval:
    """A request.

    Raises:
        UnknownApprovalError: There is none of that id.
    """
    return _one(
        conn, sql.SQL("where tenant_id = %s and approval_id = %s"), (tenant_id, approval_id), approval_id
    )


def lock_approval(conn: psycopg.Connection, tenant_id: str, approval_id: int) -> Approval:
    """A request, locked until the transaction ends.

    Raises:
        UnknownApprovalError: There is none of that id.
    """
    locks.approvals(conn, tenant_id, [approval_id])
    return read_approval(conn, tenant_id, approval_id)


def newest_of_subject(
    conn: psycopg.Connection, tenant_id: str, kind: str, subject: tuple[str, str]
) -> Approval | None:
    """The last request about a subject, locked; None when nobody asked yet."""
    row = conn.execute(
        "select max(approval_id) from approvals.request"
        " where tenant_id = %s and kind = %s and subject_type = %s and subject_id = %s",
        (tenant_id, kind, *subject),
    ).fetchone()
    return None if row is None or row[0] is None else lock_approval(conn, tenant_id, row[0])


def in_effect_of_subject(
    conn: psycopg.Connection, tenant_id: str, kind: str, subject: tuple[str, str]
) -> Approval | None:
    """The request about a subject that is in effect, not locked; None without one."""
    found = _all(
        conn,
        sql.SQL(
            "where tenant_id = %s and kind = %s and subject_type = %s and subject_id = %s"
            " and state = 'in_effect' order by approval_id desc limit 1"
        ),
        (tenant_id, kind, *subject),
    )
    return found[0] if found else None


def standing_of_subject(conn: psycopg.Connection, tenant_id: str, approval: Approval) -> list[Approval]:
    """Older requests of the same kind and subject that are approved or in effect; `approval` is locked."""
    return _all(
        conn,
        sql.SQL(
            "where tenant_id = %s and kind = %s and subject_type = %s and subject_id = %s"
            " and approval_id < %s and state in ('approved', 'in_effect') order by approval_id"
        ),
        (tenant_id, approval.kind, approval.subject_type, approval.subject_id, approval.approval_id),
    )


def page_of_approvals(
    conn: psycopg.Connection, tenant_id: str, wanted: ApprovalFilter, *, before: int | None, limit: int
) -> list[Approval]:
    """A page of requests, newest first; only ids below `before`."""
    condition = _MATCHES + sql.SQL(
        "and (%(before)s::bigint is null or approval_id < %(before)s)"
        " order by approval_id desc limit %(limit)s"
    )
    return _all(conn, condition, {**_values(tenant_id, wanted), "before": before, "limit": limit})


def approvals_by_value(
    conn: psycopg.Connection, tenant_id: str, wanted: ApprovalFilter, now: datetime, *, limit: int
) -> list[Approval]:
    """Valid requests, those with the most at stake first."""
    condition = _MATCHES + sql.SQL(
        "and expires_at > %(now)s order by value_cents desc, approval_id limit %(limit)s"
    )
    return _all(conn, condition, {**_values(tenant_id, wanted), "now": now, "limit": limit})


def count_approvals(conn: psycopg.Connection, tenant_id: str, wanted: ApprovalFilter, now: datetime) -> int:
    """How many valid requests fit."""
    row = conn.execute(
        sql.SQL("select count(*) from approvals.request ") + _MATCHES + sql.SQL("and expires_at > %(now)s"),
        {**_values(tenant_id, wanted), "now": now},
    ).fetchone()
    return int(row[0]) if row else 0


def due_approvals(conn: psycopg.Connection, tenant_id: str, now: datetime, *, limit: int) -> list[Approval]:
    """Requests whose validity or snooze is over, locked; not those that others hold."""
    return _all(
        conn,
        sql.SQL(
            "where tenant_id = %(tenant)s and ((state in ('pending', 'half_approved', 'snoozed')"
            " and expires_at <= %(now)s) or (state = 'snoozed' and snoozed_until <= %(now)s))"
            " order by approval_id limit %(limit)s"
        )
        + sql.SQL(locks.CLAIMED),
        {"tenant": tenant_id, "now": now, "limit": limit},
    )


def due_effects(conn: psycopg.Connection, tenant_id: str, now: datetime) -> list[int]:
    """Ids of approved requests whose time of effect came, by that time."""
    rows = conn.execute(
        "select approval_id from approvals.request where tenant_id = %s and state = 'approved'"
        " and effect_at <= %s order by effect_at, approval_id",
        (tenant_id, now),
    )
    return [approval_id for (approval_id,) in rows]


def read_decisions(conn: psycopg.Connection, tenant_id: str, approval_id: int) -> list[Decision]:
    """Every move of a request, in order."""
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(_DECISIONS, (tenant_id, approval_id)).fetchall()


def last_winner(conn: psycopg.Connection, tenant_id: str, approval: Approval) -> Winner:
    """Who moved a request last, when, and how."""
    last = read_decisions(conn, tenant_id, approval.approval_id)[-1]
    return Winner(last.decided_by, last.decided_at, last.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who moves a request, when, and what goes into the log beside it."""

    key: str
    role: str
    at: datetime
    reason_code: str | None = None
    batch_id: int | None = None


def write_move(
    conn: psycopg.Connection, tenant_id: str, old: Approval, new: Approval, move: Move, by: By
) -> Approval:
    """Store a moved request with its entry in the log; the row is locked by the caller.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        old: As it was.
        new: As it shall be, but for the version.
        move: What happened.
        by: Who and when.

    Returns:
        The request with its new version.
    """
    with conn.cursor(row_factory=class_row(Approval)) as cursor:
        moved = cursor.execute(
            _MOVE,
            (
                None if new.adjusted is None else Jsonb(new.adjusted),
                new.digest,
                new.state,
                new.snoozed_until,
                new.first_approver,
                new.second_approver,
                new.superseded_by,
                None if new.effect is None else Jsonb(new.effect),
                tenant_id,
                old.approval_id,
                old.version,
            ),
        ).fetchone()
    assert moved is not None, "the row is locked, so nobody else moved it"
    details: dict[str, Any] = {}
    if move is Move.ADJUST and new.adjusted is not None:
        before = old.wanted
        details = {name: found for name, found in new.adjusted.items() if before.get(name) != found}
    elif move is Move.TAKE_EFFECT and new.effect is not None:
        details = dict(new.effect)
    elif move is Move.SUPERSEDE and new.superseded_by is not None:
        details = {"superseded_by": new.superseded_by}
    write_decision(conn, tenant_id, moved, moved.version, move, old.state, by, details)
    return moved


def write_decision(
    conn: psycopg.Connection,
    tenant_id: str,
    approval: Approval,
    version: int,
    action: str,
    from_state: State | None,
    by: By,
    details: Suggestion,
) -> None:
    """One entry of the log."""
    conn.execute(
        "insert into approvals.decision (tenant_id, approval_id, version, action, from_state, to_state,"
        " decided_by, role, decided_at, digest, reason_code, batch_id, details)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            approval.approval_id,
            version,
            action,
            from_state,
            approval.state,
            by.key,
            by.role,
            by.at,
            approval.digest,
            by.reason_code,
            by.batch_id,
            Jsonb(details),
        ),
    )


def _values(tenant_id: str, wanted: ApprovalFilter) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "kind": wanted.kind,
        "state": wanted.state,
        "bucket": wanted.bucket,
        "party_type": wanted.party_type,
        "party_id": wanted.party_id,
    }


def _one(
    conn: psycopg.Connection, condition: sql.SQL, parameters: tuple[Any, ...], approval_id: int
) -> Approval:
    found = _all(conn, condition, parameters)
    if not found:
        raise UnknownApprovalError(f"there is no request for approval {approval_id}")
    return found[0]


def _all(conn: psycopg.Connection, condition: sql.Composable, parameters: Any) -> list[Approval]:
    with conn.cursor(row_factory=class_row(Approval)) as cursor:
        return cursor.execute(_SELECT + condition, parameters).fetchall()
