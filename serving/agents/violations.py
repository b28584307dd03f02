"""Violation points: what a misdeed costs, and what follows from the sum. Pure.

Source: P11: 1, 3, 6 or 12 points; they expire after 365 days; from 3 warn, from 6 hold withdrawals for 7
    days, from 9 one tier down, from 12 terminate after a review.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from serving.settlement.plans.rules import ViolationRule


class Severity(StrEnum):
    """How bad a violation is; the plan says how many points each costs."""

    MINOR = "minor"
    SERIOUS = "serious"
    GRAVE = "grave"
    EXTREME = "extreme"


class Consequence(StrEnum):
    """What follows from a violation."""

    WARNING = "warning"
    WITHDRAWALS_HELD = "withdrawals_held"
    TIER_DOWN = "tier_down"
    TERMINATION_REVIEW = "termination_review"
    TERMINATED = "terminated"


def points_of(severity: Severity, rule: ViolationRule) -> int:
    """Points that a severity costs under the plan."""
    return rule.points_by_severity[list(Severity).index(severity)]


def expiry(occurred_at: datetime, rule: ViolationRule) -> datetime:
    """When the points of a violation end."""
    return occurred_at + timedelta(days=rule.expires_days)


def consequences(before: int, after: int, rule: ViolationRule) -> tuple[Consequence, ...]:
    """What a new violation brings, mildest first.

    Every violation from the threshold on warns and holds; the tier goes down and the review opens only when
    the sum passes the threshold, so that one misdeed is not punished twice.

    Args:
        before: Standing points without the new violation.
        after: Standing points with it.
        rule: P11 of the plan.
    """
    if after <= before:
        return ()
    found = []
    if after >= rule.warn_from:
        found.append(Consequence.WARNING)
    if after >= rule.hold_from:
        found.append(Consequence.WITHDRAWALS_HELD)
    if before < rule.demote_from <= after:
        found.append(Consequence.TIER_DOWN)
    if before < rule.terminate_from <= after:
        # A plan whose profile allows it ends the agent without a person's decision.
        reviewed = rule.terminate_needs_review
        found.append(Consequence.TERMINATION_REVIEW if reviewed else Consequence.TERMINATED)
    return tuple(found)
