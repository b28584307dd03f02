"""The kinds of decisions about money that need two people. What each does: `serving.jobs.effects`.

Validities are assumptions of ours.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from serving.approvals.kinds import Kind, Rail
from serving.security import Role, Scope

_OPERATORS = frozenset({Role.OPERATOR})
_REASONS = frozenset({"wrong_amount", "wrong_party", "no_evidence", "not_needed", "other"})
_WEEK = timedelta(days=7)

MANUAL_POSTING = Kind(
    name="manual_posting",
    roles=_OPERATORS,
    scope=Scope.LEDGER_POST,
    reasons=_REASONS,
    validity=_WEEK,
    rails={},
    second_above_cents=0,
    is_unique=True,
)
"""A transaction posted by hand; the subject is its idempotency key."""

PLAN_VERSION = Kind(
    name="plan_version",
    roles=_OPERATORS,
    scope=Scope.PLANS_WRITE,
    reasons=frozenset({"wrong_rate", "no_legal_review", "short_notice", "not_needed", "other"}),
    validity=_WEEK,
    rails={},
    second_above_cents=0,
)
"""A plan version is published; the subject is plan and version."""

PLAN_ASSIGNMENT = replace(PLAN_VERSION, name="plan_assignment")
"""A merchant, or all others, are settled by a plan; the subject is the merchant."""

PAYOUT_BATCH = Kind(
    name="payout_batch",
    roles=_OPERATORS,
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=_REASONS,
    validity=timedelta(days=2),
    rails={},
    second_above_cents=0,
    is_unique=True,
)
"""Transfers to parties; the subject is the batch id."""

PENALTY = Kind(
    name="penalty",
    roles=_OPERATORS,
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=_REASONS,
    validity=_WEEK,
    rails={"amount_cents": Rail(1, "most_cents")},
    second_above_cents=0,
    is_unique=True,
)
"""A penalty of a party; the subject is the id of the fee. A decider may lower it."""

MISFIT_ACT = Kind(
    name="misfit_act",
    roles=_OPERATORS,
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=_REASONS,
    validity=_WEEK,
    rails={},
    second_above_cents=0,
)
"""Money leaves suspense to or from a party or the platform; the subject is the misfit."""

REGION_COMPENSATION = replace(PENALTY, name="region_compensation", rails={"share_bps": Rail(1, "most_bps")})
"""Part of a seller's share goes to the agent of a protected region; the subject is the id of the fee."""

WRITE_OFF = replace(PENALTY, name="write_off")
"""A debt of a party, or a part of it, is given up; the subject is the id of the write-off."""
