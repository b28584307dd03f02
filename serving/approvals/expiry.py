"""What the clock does: requests expire, snoozes end, and what was approved for later takes effect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from serving.approvals.decisions import end_or_wake, take_effect
from serving.approvals.effects import Effects
from serving.approvals.records import SYSTEM, By, due_approvals, due_effects, lock_approval
from serving.approvals.states import State
from serving.errors import ServingError

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ClockWork:
    """What was done; `refused` says which approved requests could not take effect, and why."""

    expired: int
    woken: int
    in_effect: int
    refused: tuple[str, ...]


def run_clock(
    transactions: Callable[[], AbstractContextManager[psycopg.Connection]],
    effects: Effects,
    tenant_id: str,
    now: datetime,
) -> ClockWork:
    """Let the clock act on the requests of a tenant; again is safe, and others may run it as well.

    Every effect has a transaction of its own: one that is refused stays approved and is told.

    Args:
        transactions: Opens a transaction of the tenant.
        effects: What approvals do.
        tenant_id: The tenant.
        now: Business time.
    """
    expired = woken = 0
    while True:
        with transactions() as conn:
            due = due_approvals(conn, tenant_id, now, limit=_AT_ONCE)
            moved = [end_or_wake(conn, tenant_id, approval, now) for approval in due]
        expired += sum(approval.state is State.EXPIRED for approval in moved)
        woken += sum(approval.state is State.PENDING for approval in moved)
        if len(due) < _AT_ONCE:
            break
    with transactions() as conn:
        waiting = due_effects(conn, tenant_id, now)
    in_effect, refused = 0, []
    for approval_id in waiting:
        try:
            with transactions() as conn:
                approval = lock_approval(conn, tenant_id, approval_id)
                if approval.state is State.APPROVED:
                    take_effect(conn, effects, tenant_id, approval, By(key=SYSTEM, role=SYSTEM, at=now))
                    in_effect += 1
        except ServingError as error:
            refused.append(f"approval {approval_id}: {error}")
    return ClockWork(expired, woken, in_effect, tuple(refused))
