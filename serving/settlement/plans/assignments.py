"""From when a merchant is settled by which plan; putting a plan into force in one act.

The notice of seven days binds the choice of a plan as well as its versions: whoever sells already is told
before. Nothing takes effect in the past, and what was assigned stays on record.

Source: common rules, notice; E-Commerce Law §34.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from serving.db import locks
from serving.settlement.errors import PlanConflictError, PlanNotInForceError, PlanRefusedError, Refusal
from serving.settlement.plans.loader import read_yaml
from serving.settlement.plans.plan import version_in_force
from serving.settlement.plans.profiles import DEFAULT_PLAN, shipped_text
from serving.settlement.plans.refusals import NOTICE
from serving.settlement.plans.store import ALL_OTHERS, plan_heads, publish_plan, put_legal_review


class Assignment(NamedTuple):
    """A merchant (or `ALL_OTHERS`) is settled by a plan from a moment on."""

    merchant_id: str
    plan_id: str
    effective_at: datetime


class LegalReview(NamedTuple):
    """A signed legal review."""

    review_id: str
    signed_by: str
    signed_at: datetime
    reference: str


def assign_plan(
    conn: psycopg.Connection,
    tenant_id: str,
    merchant_id: str,
    plan_id: str,
    effective_at: datetime | None,
    now: datetime,
) -> Assignment:
    """Settle the orders of a merchant by a plan from a moment on (`ALL_OTHERS`: of all without their own).

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Whose orders.
        plan_id: A published plan with a version in force by then.
        effective_at: From when; None: as soon as may be.
        now: Moment of the act.

    Returns:
        The assignment; the one that stands when the merchant is settled by that plan already.

    Raises:
        PlanNotInForceError: The plan has no version in force by then.
        PlanRefusedError: It would take effect in the past, or without seven days' notice to who sells.
        PlanConflictError: Another plan takes effect at that very moment.
    """
    locks.plans(conn, tenant_id)
    standing = assignments_of(conn, tenant_id, merchant_id)
    earliest = now + NOTICE if _sells(conn, tenant_id, merchant_id) else now
    wanted = earliest if effective_at is None else effective_at
    before = [one for one in standing if one.effective_at <= wanted]
    if before and before[-1].plan_id == plan_id:
        return before[-1]
    _check_moment(plan_id, wanted, earliest, now)
    heads = plan_heads(conn, tenant_id, plan_id)
    if not heads:
        raise PlanNotInForceError(f"plan {plan_id} has no version; publish one first")
    version_in_force(heads, wanted)
    if any(one.effective_at == wanted for one in standing):
        raise PlanConflictError(
            f"another plan takes effect for merchant {merchant_id or '(all others)'} at {wanted.isoformat()}"
        )
    conn.execute(
        "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
        " values (%s, %s, %s, %s)",
        (tenant_id, merchant_id, plan_id, wanted),
    )
    return Assignment(merchant_id, plan_id, wanted)


def assignments_of(
    conn: psycopg.Connection, tenant_id: str, merchant_id: str | None = None
) -> list[Assignment]:
    """Every assignment, by merchant and time; of one merchant when it is named."""
    rows = conn.execute(
        "select merchant_id, plan_id, effective_at from settlement.merchant_plan where tenant_id = %s"
        " and (%s::text is null or merchant_id = %s) order by merchant_id, effective_at",
        (tenant_id, merchant_id, merchant_id),
    )
    return [Assignment(*row) for row in rows]


def put_into_force(
    conn: psycopg.Connection,
    tenant_id: str,
    now: datetime,
    *,
    document: str | Mapping[str, Any] | None = None,
    review: LegalReview | None = None,
    merchant_id: str = ALL_OTHERS,
    effective_at: datetime | None = None,
) -> Assignment:
    """Publish a plan, put its legal review on file and settle a merchant by it, all or nothing.

    Everything has a default: the strict plan that ships, for everybody, as soon as may be.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Moment of the act.
        document: The plan; None: the default that ships.
        review: Its signed legal review, where its profile needs one.
        merchant_id: Whose orders.
        effective_at: From when; None: as soon as plan and notice allow.

    Raises:
        PlanRefusedError: With every reason.
        PlanConflictError: The review or another assignment says something else.

    Source: common rules, notice and profiles.
    """
    text = shipped_text(DEFAULT_PLAN) if document is None else document
    if review is not None:
        put_legal_review(conn, tenant_id, review.review_id, _plan_id(text), *review[1:])
    plan = publish_plan(conn, tenant_id, text, now)
    wanted = effective_at
    if wanted is None and plan.effective_at > now:
        earliest = now + NOTICE if _sells(conn, tenant_id, merchant_id) else now
        wanted = max(earliest, plan.effective_at)
    return assign_plan(conn, tenant_id, merchant_id, plan.plan_id, wanted, now)


def is_settled(conn: psycopg.Connection, tenant_id: str) -> bool:
    """Whether the tenant has a plan for every merchant, now or announced."""
    return bool(assignments_of(conn, tenant_id, ALL_OTHERS))


def _plan_id(document: str | Mapping[str, Any]) -> str:
    raw = read_yaml(document) if isinstance(document, str) else document
    return str(raw.get("plan_id", ""))


def _sells(conn: psycopg.Connection, tenant_id: str, merchant_id: str) -> bool:
    """Whether somebody who would be settled by another plan has been settled already."""
    row = conn.execute(
        "select exists (select 1 from orders.customer_order o where o.tenant_id = %(tenant)s"
        " and o.paid_at is not null and (o.merchant_id = %(merchant)s or %(merchant)s = '' and not exists"
        " (select 1 from settlement.merchant_plan m where m.tenant_id = o.tenant_id"
        "  and m.merchant_id = o.merchant_id))"
        # Orders of the past that were replayed before any plan was chosen tell nobody anything.
        " and exists (select 1 from settlement.merchant_plan m where m.tenant_id = o.tenant_id"
        "  and m.merchant_id in (o.merchant_id, '')))",
        {"tenant": tenant_id, "merchant": merchant_id},
    ).fetchone()
    return bool(row and row[0])


def _check_moment(plan_id: str, wanted: datetime, earliest: datetime, now: datetime) -> None:
    reason = None
    if wanted < now:
        message = f"it would take effect at {wanted.isoformat()}, before now, {now.isoformat()}"
        reason = Refusal("in_the_past", None, f"{message}; move effective_at")
    elif wanted < earliest:
        message = (
            f"it would take effect at {wanted.isoformat()}, less than 7 days after now, {now.isoformat()}"
        )
        reason = Refusal("short_notice", None, f"{message}; merchants who sell already are told before")
    if reason is not None:
        raise PlanRefusedError(plan_id, (reason,))
