"""Violations in the database and what they set off: holds, a lower tier, the review of a termination.

Points and thresholds are decided in `violations`. Every consequence carries a reason code; an operator
withdraws a violation (appeal) or decides the review.

Source: P11.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import AgentConflictError, ReviewError, UnknownAgentError
from serving.agents.party_holds import hold_agent, lift_holds, standing_holds
from serving.agents.tiers import one_tier_down
from serving.agents.violations import Consequence, Severity, consequences, expiry, points_of
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.settlement.plans.rules import ViolationRule

WITHDRAWALS_HELD = "violation_points"
TERMINATION_REVIEW = "termination_review"
_STANDING = (
    "occurred_at <= %(at)s and expires_at > %(at)s and (withdrawn_at is null or withdrawn_at > %(at)s)"
)


@dataclass(frozen=True, slots=True)
class Report:
    """A violation as an operator reports it.

    Attributes:
        agent_id: Whose.
        severity: How bad.
        reason_code: What was done.
        occurred_at: When it was done, UTC.
        reference: The operator's number of the case; the same number again changes nothing.
    """

    agent_id: str
    severity: Severity
    reason_code: str
    occurred_at: datetime
    reference: str


@dataclass(frozen=True, slots=True)
class RecordedViolation:
    """A violation as stored."""

    violation_id: int
    agent_id: str
    points: int
    reason_code: str
    reference: str
    occurred_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a report or a withdrawal led to; `points` is the sum that stands now."""

    violation: RecordedViolation
    points: int
    consequences: tuple[Consequence, ...]
    is_new: bool


def standing_points(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, at: datetime) -> int:
    """Points of an agent that stand at a moment."""
    row = conn.execute(
        "select coalesce(sum(points), 0) from agents.violation"
        f" where tenant_id = %(tenant)s and agent_id = %(agent)s and {_STANDING}",
        {"tenant": tenant_id, "agent": agent_id, "at": at},
    ).fetchone()
    return int(row[0]) if row else 0


def standing_points_of_all(conn: psycopg.Connection[Any], tenant_id: str, at: datetime) -> dict[str, int]:
    """Points that stand at a moment, by agent; agents without any are left out."""
    rows = conn.execute(
        f"select agent_id, sum(points) from agents.violation where tenant_id = %(tenant)s and {_STANDING}"
        " group by agent_id",
        {"tenant": tenant_id, "at": at},
    )
    return {agent_id: int(points) for agent_id, points in rows}


def violations_of(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str) -> list[RecordedViolation]:
    """Every violation of an agent, also expired and withdrawn ones, newest first."""
    return _violations(conn, tenant_id, agent_id, "true", {})


def record_violation(
    conn: psycopg.Connection[Any], tenant_id: str, report: Report, rule: ViolationRule, now: datetime
) -> Outcome:
    """Note a violation and let its consequences follow; once per reference.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        report: What was found.
        rule: P11 of the plan.
        now: Time of the report; holds and the lower tier begin then.

    Raises:
        UnknownAgentError: There is no such agent.
        AgentConflictError: The reference stands for another violation of the agent.
    """
    tier = _locked_tier(conn, tenant_id, report.agent_id)
    points = points_of(report.severity, rule)
    before = standing_points(conn, tenant_id, report.agent_id, now)
    added = conn.execute(
        "insert into agents.violation (tenant_id, agent_id, points, reason_code, reference, occurred_at,"
        " expires_at) values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (
            *(tenant_id, report.agent_id, points, report.reason_code, report.reference),
            *(report.occurred_at, expiry(report.occurred_at, rule)),
        ),
    ).rowcount
    (stored,) = _violations(
        conn, tenant_id, report.agent_id, "reference = %(reference)s", {"reference": report.reference}
    )
    if not added:
        if (stored.points, stored.reason_code, stored.occurred_at) != (
            points,
            report.reason_code,
            report.occurred_at,
        ):
            raise AgentConflictError(
                f"reference {report.reference} stands for another violation of agent {report.agent_id}; "
                "give every case a number of its own"
            )
        return Outcome(stored, before, (), False)
    after = standing_points(conn, tenant_id, report.agent_id, now)
    found = consequences(before, after, rule)
    if Consequence.WITHDRAWALS_HELD in found:
        hold_agent(
            conn,
            tenant_id,
            report.agent_id,
            "violation",
            f"{WITHDRAWALS_HELD}:{stored.violation_id}",
            now,
            now + timedelta(days=rule.hold_days),
        )
    if Consequence.TIER_DOWN in found and tier != "none":
        _lower_tier(conn, tenant_id, report.agent_id, tier, stored, now)
    if Consequence.TERMINATED in found:
        _terminate(conn, tenant_id, report.agent_id, now)
    if Consequence.TERMINATION_REVIEW in found:
        hold_agent(conn, tenant_id, report.agent_id, "violation", TERMINATION_REVIEW, now, None)
    return Outcome(stored, after, found, True)


def withdraw_violation(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    violation_id: int,
    rule: ViolationRule,
    now: datetime,
    by: str,
) -> Outcome:
    """Take a violation back (appeal granted): its points end, and so do holds that no longer have a cause.

    A tier that was lowered rises again at the next month close, by the rule of tiers.

    Raises:
        UnknownAgentError: There is no such agent, or no such violation of the agent.
    """
    _locked_tier(conn, tenant_id, agent_id)
    changed = conn.execute(
        "update agents.violation set withdrawn_at = %s"
        " where tenant_id = %s and agent_id = %s and violation_id = %s and withdrawn_at is null",
        (now, tenant_id, agent_id, violation_id),
    ).rowcount
    found = _violations(conn, tenant_id, agent_id, "violation_id = %(id)s", {"id": violation_id})
    if not found:
        raise UnknownAgentError(f"agent {agent_id} has no violation {violation_id}")
    points = standing_points(conn, tenant_id, agent_id, now)
    ended = []
    if points < rule.hold_from:
        ended += [
            hold.reason_code
            for hold in standing_holds(conn, tenant_id, agent_id, now)
            if hold.source == "violation" and hold.reason_code.startswith(f"{WITHDRAWALS_HELD}:")
        ]
    else:
        ended.append(f"{WITHDRAWALS_HELD}:{violation_id}")
    if points < rule.terminate_from:
        ended.append(TERMINATION_REVIEW)
    lift_holds(conn, tenant_id, agent_id, "violation", ended, now, by)
    return Outcome(found[0], points, (), changed == 1)


def decide_termination(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, *, terminate: bool, now: datetime, by: str
) -> None:
    """Close the review of a termination; the hold on payment ends either way, since what was earned is owed.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent_id: Whose review.
        terminate: The agent ends: sells nothing from now on and is paid by no later order.
        now: Time of the decision.
        by: Who decides.

    Raises:
        UnknownAgentError: There is no such agent.
        ReviewError: No review of the agent is open.
    """
    _locked_tier(conn, tenant_id, agent_id)
    locks.party(conn, tenant_id, "agent", agent_id)
    if not lift_holds(conn, tenant_id, agent_id, "violation", [TERMINATION_REVIEW], now, by):
        raise ReviewError(f"no termination of agent {agent_id} is under review; nothing was decided")
    if terminate:
        _terminate(conn, tenant_id, agent_id, now)


def _terminate(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, now: datetime) -> None:
    """The agent sells nothing from now on; what was earned stays owed."""
    conn.execute(
        "insert into parties.party (tenant_id, party_type, party_id, is_natural_person, is_active,"
        " ended_at) values (%s, 'agent', %s, true, false, %s)"
        " on conflict (tenant_id, party_type, party_id)"
        " do update set is_active = false, ended_at = excluded.ended_at",
        (tenant_id, agent_id, now),
    )


def _locked_tier(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str) -> str:
    """The agent's tier; the row stays locked, so that two reports add their points one after the other."""
    locks.agent(conn, tenant_id, agent_id)
    row = conn.execute(
        "select tier from agents.agent where tenant_id = %s and agent_id = %s", (tenant_id, agent_id)
    ).fetchone()
    if row is None:
        raise UnknownAgentError(f"there is no agent {agent_id}; agents join with POST /v1/agents")
    return str(row[0])


def _lower_tier(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    tier: str,
    violation: RecordedViolation,
    now: datetime,
) -> None:
    lower = one_tier_down(tier)
    conn.execute(
        "update agents.agent set tier = %s where tenant_id = %s and agent_id = %s",
        (lower, tenant_id, agent_id),
    )
    conn.execute(
        "insert into agents.tier_change (tenant_id, agent_id, month_on, tier_before, tier_after, "
        "end_customers,"
        " net_sales_cents, reason, changed_at) values (%s, %s, %s, %s, %s, 0, 0, %s, %s)",
        (
            *(tenant_id, agent_id, local_day(now, zone_of(conn, tenant_id)).replace(day=1), tier, lower),
            f"violation:{violation.violation_id}",
            now,
        ),
    )


def _violations(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, condition: str, values: dict[str, object]
) -> list[RecordedViolation]:
    with conn.cursor(row_factory=class_row(RecordedViolation)) as cursor:
        return cursor.execute(
            "select violation_id, agent_id, points, reason_code, reference, occurred_at, expires_at, "
            "withdrawn_at"
            " from agents.violation where tenant_id = %(tenant)s and agent_id = %(agent)s"
            f" and {condition} order by occurred_at desc, violation_id desc",
            {**values, "tenant": tenant_id, "agent": agent_id},
        ).fetchall()
