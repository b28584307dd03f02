"""Deciding: approve, adjust, reject, snooze, withdraw; and what follows: taking effect and expiring.

A decision names the version and the digest that its maker was shown. Whoever comes second learns who decided
what and when. The effect happens in the transaction of the final approval: both are kept, or neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from serving.approvals.effects import Effects
from serving.approvals.errors import (
    ApprovalExpiredError,
    LostRaceError,
    OwnRequestError,
    SecondPersonError,
    SuggestionError,
    UnknownApprovalError,
)
from serving.approvals.records import (
    SYSTEM,
    Approval,
    By,
    last_winner,
    lock_approval,
    shown_digest,
    standing_of_subject,
    write_move,
)
from serving.approvals.states import Move, State, after
from serving.security import PARTY_ROLES, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the decider was shown of a request."""

    approval_id: int
    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Who decides, and when; `batch_id` when a whole selection is decided."""

    principal: Principal
    now: datetime
    batch_id: int | None = None

    def by(self, reason_code: str | None = None) -> By:
        """How the log names it."""
        return By(
            key=self.principal.key_id,
            role=str(self.principal.role),
            at=self.now,
            reason_code=reason_code,
            batch_id=self.batch_id,
        )


def approve(conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider) -> Approval:
    """Give an approval, or a half of it; the final one takes effect in the same transaction.

    Args:
        conn: Inside a transaction of the tenant.
        effects: What approvals do.
        seen: What was shown.
        decider: Who decides.

    Returns:
        The request: half approved, approved (it takes effect later) or in effect.

    Raises:
        LostRaceError: It is no longer what was shown.
        OwnRequestError: The decider asked for it.
        SecondPersonError: The decider gave the first half.
        NotAllowedError: The kind is not for this key.
        ApprovalExpiredError: It is no longer valid.
        ImpossibleMoveError: It does not wait.
        ServingError: Whatever the effect refuses.
    """
    found = _locked(conn, effects, seen, decider)
    key = decider.principal.key_id
    if found.first_approver == key:
        raise SecondPersonError(f"{found}: the second half must come from somebody else than the first")
    persons = effects.kind(found.kind).persons(found.approvals_needed, found.wanted)
    is_half = persons == 2 and found.state is not State.HALF_APPROVED
    move = Move.HALF_APPROVE if is_half else Move.APPROVE
    new = replace(found, state=after(str(found), found.state, move))
    if found.state is State.HALF_APPROVED:
        new = replace(new, second_approver=key)
    else:
        new = replace(new, first_approver=key)
    moved = write_move(conn, decider.principal.tenant_id, found, new, move, decider.by())
    if moved.state is State.APPROVED and (moved.effect_at is None or moved.effect_at <= decider.now):
        return take_effect(conn, effects, decider.principal.tenant_id, moved, decider.by())
    return moved


def adjust(
    conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider, wanted: Mapping[str, int]
) -> Approval:
    """Change numbers inside the rails of the kind; a half that was given meant other numbers and is void.

    Args:
        conn: Inside a transaction of the tenant.
        effects: What approvals do.
        seen: What was shown.
        decider: Who decides.
        wanted: Field of the suggestion to its new number.

    Raises:
        SuggestionError: A field cannot be adjusted, or leaves its rails.
        ApprovalError: As `approve`.
    """
    found = _locked(conn, effects, seen, decider)
    adjusted = effects.kind(found.kind).adjusted(found.suggestion, {**_numbers(found), **wanted})
    new = replace(
        found,
        state=after(str(found), found.state, Move.ADJUST),
        adjusted=adjusted,
        first_approver=None,
        digest=shown_digest(
            found.kind,
            (found.subject_type, found.subject_id),
            adjusted,
            found.source,
            found.value_cents,
            found.bucket,
        ),
    )
    return write_move(conn, decider.principal.tenant_id, found, new, Move.ADJUST, decider.by())


def reject(
    conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider, reason_code: str
) -> Approval:
    """Say no, with a reason of the kind.

    Raises:
        SuggestionError: The kind does not know the reason.
        ApprovalError: As `approve`.
    """
    found = _locked(conn, effects, seen, decider)
    reasons = effects.kind(found.kind).reasons
    if reason_code not in reasons:
        raise SuggestionError(
            f"a {found.kind} is rejected for {', '.join(sorted(reasons))}, not {reason_code}"
        )
    new = replace(found, state=after(str(found), found.state, Move.REJECT))
    return write_move(conn, decider.principal.tenant_id, found, new, Move.REJECT, decider.by(reason_code))


def snooze(
    conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider, until: datetime
) -> Approval:
    """Look at it later; it expires all the same.

    Raises:
        SuggestionError: `until` does not lie between now and the end of the validity.
        ApprovalError: As `approve`.
    """
    found = _locked(conn, effects, seen, decider)
    if not decider.now < until < found.expires_at:
        raise SuggestionError(
            f"snoozed until {until.isoformat()}: choose a moment after now and before"
            f" {found.expires_at.isoformat()}"
        )
    new = replace(found, state=after(str(found), found.state, Move.SNOOZE), snoozed_until=until)
    return write_move(conn, decider.principal.tenant_id, found, new, Move.SNOOZE, decider.by())


def withdraw(conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider) -> Approval:
    """Take a request back before it takes effect: whoever asked, or whoever may decide.

    Raises:
        ApprovalError: As `approve`, but whoever asked may.
    """
    found = lock_approval(conn, decider.principal.tenant_id, seen.approval_id)
    if found.asked_by != decider.principal.key_id:
        _require_visible(found, decider.principal)
        effects.kind(found.kind).require_decider(decider.principal, found.party)
    _require_as_shown(conn, found, seen, decider)
    new = replace(found, state=after(str(found), found.state, Move.WITHDRAW), snoozed_until=None)
    return write_move(conn, decider.principal.tenant_id, found, new, Move.WITHDRAW, decider.by())


def take_effect(
    conn: psycopg.Connection, effects: Effects, tenant_id: str, approval: Approval, by: By
) -> Approval:
    """Do what was approved; what was in effect for the subject before is superseded.

    Args:
        conn: Inside a transaction of the tenant.
        effects: What approvals do.
        tenant_id: The tenant.
        approval: Approved, and locked by the caller.
        by: Who brought it about, and when.

    Raises:
        ImpossibleMoveError: It is not approved.
        ServingError: Whatever the effect refuses; the transaction is lost.
    """
    state = after(str(approval), approval.state, Move.TAKE_EFFECT)
    for older in standing_of_subject(conn, tenant_id, approval):
        closed = replace(
            older, state=after(str(older), older.state, Move.SUPERSEDE), superseded_by=approval.approval_id
        )
        write_move(conn, tenant_id, older, closed, Move.SUPERSEDE, by)
    done = effects.carry_out(conn, tenant_id, approval, by.at)
    new = replace(approval, state=state, effect=dict(done))
    return write_move(conn, tenant_id, approval, new, Move.TAKE_EFFECT, by)


def end_or_wake(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Approval:
    """What the clock does to an open, locked request: it expires, or its snooze ends; else nothing."""
    by = By(key=SYSTEM, role=SYSTEM, at=now)
    if approval.expires_at <= now:
        move = Move.EXPIRE
    elif (
        approval.state is State.SNOOZED
        and approval.snoozed_until is not None
        and approval.snoozed_until <= now
    ):
        move = Move.WAKE
    else:
        return approval
    new = replace(approval, state=after(str(approval), approval.state, move), snoozed_until=None)
    return write_move(conn, tenant_id, approval, new, move, by)


def _locked(conn: psycopg.Connection, effects: Effects, seen: Seen, decider: Decider) -> Approval:
    """The request, locked, when it is as shown, valid, and this key may decide about it."""
    found = lock_approval(conn, decider.principal.tenant_id, seen.approval_id)
    _require_visible(found, decider.principal)
    effects.kind(found.kind).require_decider(decider.principal, found.party)
    _require_as_shown(conn, found, seen, decider)
    if found.asked_by == decider.principal.key_id and not found.asker_may_decide:
        raise OwnRequestError(f"{found} was asked for by this key: somebody else must decide")
    if found.expires_at <= decider.now:
        raise ApprovalExpiredError(f"{found} was valid until {found.expires_at.isoformat()}")
    return found


def _require_visible(found: Approval, principal: Principal) -> None:
    if principal.role in PARTY_ROLES and (found.party is None or not principal.owns(*found.party)):
        raise UnknownApprovalError(f"there is no request for approval {found.approval_id}")


def _require_as_shown(conn: psycopg.Connection, found: Approval, seen: Seen, decider: Decider) -> None:
    if (found.version, found.digest) != (seen.version, seen.digest):
        raise LostRaceError(str(found), last_winner(conn, decider.principal.tenant_id, found))


def _numbers(found: Approval) -> Mapping[str, int]:
    """What earlier adjustments changed."""
    before = found.adjusted or {}
    return {name: number for name, number in before.items() if found.suggestion.get(name) != number}
