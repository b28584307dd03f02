"""A person sets another level for a while: with a reason, with four eyes, until a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from models.supply.brake.ladder import Level
from serving.approvals.asking import Ask
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval
from serving.db import locks
from serving.quality.errors import OverrideRefusedError
from serving.quality.records import brakes, keep, never_judged
from serving.security import Role, Scope

Connection = psycopg.Connection[Any]

LONGEST = timedelta(days=30)
"""Longest time that an override may hold; assumed."""

QUALITY_OVERRIDE = Kind(
    name="quality_override",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.QUALITY_WRITE,
    reasons=frozenset({"too_risky", "no_evidence", "not_needed", "other"}),
    validity=timedelta(days=2),
    rails={},
    second_above_cents=None,
)
"""A sku is held at another level than the estimates say; the subject is the sku. Validity assumed."""


def ask_of(sku_id: str, level: Level, reason_code: str, until: datetime, now: datetime) -> Ask:
    """What is asked when somebody wants another level.

    Raises:
        OverrideRefusedError: It would end in the past, or hold too long.
    """
    _require_end(until, now)
    return Ask(
        kind=QUALITY_OVERRIDE,
        subject=("sku", sku_id),
        suggestion={
            "sku_id": sku_id,
            "level": int(level),
            "reason_code": reason_code,
            "until": until.isoformat(),
        },
        value_cents=0,
        bucket=f"level_{int(level)}",
    )


def set_override(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Put an approved override into force; the one before ends.

    Raises:
        OverrideRefusedError: Its time is over.
    """
    wanted = approval.wanted
    until = datetime.fromisoformat(wanted["until"])
    _require_end(until, now)
    locks.brake(conn, tenant_id)
    sku_id, level = wanted["sku_id"], Level(wanted["level"])
    before = brakes(conn, tenant_id, [sku_id]).get(sku_id) or never_judged(sku_id, now)
    after = replace(
        before,
        override_level=level,
        override_until=until,
        override_reason=wanted["reason_code"],
        override_approval_id=approval.approval_id,
        level=level,
    )
    keep(conn, tenant_id, before, after, "override", now)
    return {"sku_id": sku_id, "level": int(level)}


def end_due(conn: Connection, tenant_id: str, now: datetime) -> int:
    """End overrides whose time is over; how many.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    locks.brake(conn, tenant_id)
    due = [
        brake
        for brake in brakes(conn, tenant_id).values()
        if brake.override_until is not None and brake.override_until <= now
    ]
    for brake in due:
        after = replace(
            brake,
            override_level=None,
            override_until=None,
            override_reason=None,
            override_approval_id=None,
            level=brake.held_level,
        )
        keep(conn, tenant_id, brake, after, "override_ended", now)
    return len(due)


def _require_end(until: datetime, now: datetime) -> None:
    if not now < until <= now + LONGEST:
        raise OverrideRefusedError(
            f"an override ends after now and within {LONGEST.days} days, not at {until.isoformat()}"
        )
