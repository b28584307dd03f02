"""Plan versions in the database: publishing, which one is in force, and which plan a merchant is settled by.

Reading and refusing a document lives in `loader`; which version applies lives in `plan`.

Source: common rules, notice and profiles; L12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import psycopg

from serving.db import locks
from serving.settlement.errors import PlanConflictError, PlanNotInForceError, PlanRefusedError, Refusal
from serving.settlement.plans.loader import check_no_overlap, load_plan, plan_document
from serving.settlement.plans.plan import PlanVersion, version_in_force
from serving.settlement.plans.refusals import NOTICE

ALL_OTHERS = ""
"""Stands for every merchant without a plan of its own."""


def publish_plan(
    conn: psycopg.Connection, tenant_id: str, document: str | Mapping[str, Any], now: datetime
) -> PlanVersion:
    """Store a plan version; it is immutable from then on.

    The first version of a plan may take effect in the past (nobody was settled by it); every later one is
    announced now and takes effect 7 days from now or later. The same version with the same content is stored
    once.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        document: YAML text, or its mapping.
        now: Moment of publication.

    Raises:
        PlanRefusedError: With every reason.

    Source: common rules, notice, profiles; L12.
    """
    plan = load_plan(document)
    # Publications of one plan come one after another, so that none overlooks another.
    locks.plans(conn, tenant_id)
    existing = plan_versions(conn, tenant_id, plan.plan_id)
    for version in existing:
        if version.version == plan.version and version.content_hash == plan.content_hash:
            return version
    check_no_overlap(existing, plan)
    reasons = _refusals(conn, tenant_id, plan, bool(existing), now)
    if reasons:
        raise PlanRefusedError(f"{plan.plan_id} version {plan.version}", tuple(reasons))
    conn.execute(
        "insert into settlement.plan_version (tenant_id, plan_id, version, profile, document, content_hash,"
        " published_at, effective_at, legal_review_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            plan.plan_id,
            plan.version,
            plan.profile,
            json.dumps(plan_document(plan), sort_keys=True, ensure_ascii=False),
            plan.content_hash,
            plan.published_at,
            plan.effective_at,
            plan.legal_review,
        ),
    )
    return plan


def plan_versions(conn: psycopg.Connection, tenant_id: str, plan_id: str) -> list[PlanVersion]:
    """Every version of a plan, oldest first.

    Raises:
        PlanRefusedError: A stored document was altered.
    """
    rows = conn.execute(
        "select document from settlement.plan_version where tenant_id = %s and plan_id = %s order by version",
        (tenant_id, plan_id),
    )
    return [_parsed(document) for (document,) in rows]


def plan_version(conn: psycopg.Connection, tenant_id: str, plan_id: str, version: int) -> PlanVersion:
    """One version, by name: the one that an order was frozen with.

    Raises:
        PlanNotInForceError: There is no such version.
    """
    row = conn.execute(
        "select document from settlement.plan_version where tenant_id = %s and plan_id = %s and version = %s",
        (tenant_id, plan_id, version),
    ).fetchone()
    if row is None:
        raise PlanNotInForceError(f"plan {plan_id} has no version {version}; publish it first")
    return _parsed(row[0])


def plan_in_force(conn: psycopg.Connection, tenant_id: str, merchant_id: str, at: datetime) -> PlanVersion:
    """The version that settles an order of a merchant paid at `at`.

    Raises:
        PlanNotInForceError: Neither the merchant nor the tenant has a plan, or none of its versions is in
            force.
    """
    row = conn.execute(
        "select plan_id from settlement.merchant_plan where tenant_id = %s and merchant_id = any(%s)"
        " order by merchant_id desc limit 1",
        (tenant_id, [merchant_id, ALL_OTHERS]),
    ).fetchone()
    if row is None:
        raise PlanNotInForceError(
            f"merchant {merchant_id} has no plan and the tenant has none for all; set one with set_plan"
        )
    return version_in_force(plan_versions(conn, tenant_id, row[0]), at)


def set_plan(conn: psycopg.Connection, tenant_id: str, merchant_id: str, plan_id: str) -> None:
    """Settle the future orders of a merchant by a plan (`ALL_OTHERS`: of every merchant without its own).

    Raises:
        PlanNotInForceError: The plan has no version.
    """
    if not plan_versions(conn, tenant_id, plan_id):
        raise PlanNotInForceError(f"plan {plan_id} has no version; publish one first")
    conn.execute(
        "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id) values (%s, %s, %s)"
        " on conflict (tenant_id, merchant_id) do update set plan_id = excluded.plan_id",
        (tenant_id, merchant_id, plan_id),
    )


def put_legal_review(
    conn: psycopg.Connection,
    tenant_id: str,
    review_id: str,
    plan_id: str,
    signed_by: str,
    signed_at: datetime,
    reference: str,
) -> bool:
    """Record a signed legal review of a plan; a review that is on file stays as it is.

    Returns:
        Whether it is new.

    Raises:
        PlanConflictError: The id stands for a review of another plan or by somebody else.
    """
    added = conn.execute(
        "insert into settlement.legal_review (tenant_id, review_id, plan_id, signed_by, signed_at, reference)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        (tenant_id, review_id, plan_id, signed_by, signed_at, reference),
    ).rowcount
    stored = conn.execute(
        "select plan_id, signed_by, signed_at, reference from settlement.legal_review"
        " where tenant_id = %s and review_id = %s",
        (tenant_id, review_id),
    ).fetchone()
    if stored != (plan_id, signed_by, signed_at, reference):
        raise PlanConflictError(f"legal review {review_id} is on file and says something else; take a new id")
    return added == 1


def _refusals(
    conn: psycopg.Connection, tenant_id: str, plan: PlanVersion, is_successor: bool, now: datetime
) -> list[Refusal]:
    reasons = []
    if plan.published_at > now:
        message = f"published_at {plan.published_at.isoformat()} lies after now, {now.isoformat()}"
        reasons.append(Refusal("published_later", None, message))
    # A document that claims an earlier notice than it gives would take the seven days away.
    if is_successor and plan.effective_at < now + NOTICE:
        message = (
            f"it takes effect at {plan.effective_at.isoformat()}, less than 7 days after now, "
            f"{now.isoformat()}; move effective_at"
        )
        reasons.append(Refusal("short_notice", None, message))
    if plan.legal_review is not None:
        found = conn.execute(
            "select 1 from settlement.legal_review"
            " where tenant_id = %s and review_id = %s and plan_id = %s and signed_at <= %s",
            (tenant_id, plan.legal_review, plan.plan_id, now),
        ).fetchone()
        if found is None:
            message = f"legal review {plan.legal_review} of this plan is not on file; record it signed"
            reasons.append(Refusal("no_legal_review", None, message))
    return reasons


@lru_cache(maxsize=256)
def _parsed(document: str) -> PlanVersion:
    """Plan versions are immutable, so a text is read once."""
    return load_plan(json.loads(document))
