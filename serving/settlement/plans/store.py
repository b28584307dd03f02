"""Plan versions in the database: publishing, which one is in force, and which plan a merchant is settled by.

Reading and refusing a document lives in `loader`; which version applies lives in `plan`; from when a merchant
is settled by a plan in `assignments`. Which version applies is known without reading any: a version that
cannot be read keeps nothing from working but what needs it.

Source: common rules, notice and profiles; L12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import psycopg

from serving.db import locks
from serving.settlement.errors import (
    PlanConflictError,
    PlanNotInForceError,
    PlanRefusedError,
    PlanUnreadableError,
    Refusal,
)
from serving.settlement.plans.loader import (
    check_no_overlap,
    content_hash,
    load_plan,
    plan_document,
    read_stored,
)
from serving.settlement.plans.plan import PlanVersion, version_in_force
from serving.settlement.plans.profiles import SHIPPED_PLANS, load_shipped
from serving.settlement.plans.refusals import NOTICE

ALL_OTHERS = ""
"""Stands for every merchant without a plan of its own."""


class StoredHead(NamedTuple):
    """What is known of a stored version without reading its rules."""

    plan_id: str
    version: int
    effective_at: datetime
    ends_at: datetime | None
    content_hash: str
    document: str


def publish_plan(
    conn: psycopg.Connection, tenant_id: str, document: str | Mapping[str, Any], now: datetime
) -> PlanVersion:
    """Store a plan version; it is immutable from then on.

    A version takes effect now or later, one that follows another 7 days from now or later. Only a plan that
    ships with the product, as it ships, has been in effect before. The same version with the same content is
    stored once.

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
    known = published(conn, tenant_id, plan)
    if known is not None:
        return known
    existing = plan_heads(conn, tenant_id, plan.plan_id)
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


def published(conn: psycopg.Connection, tenant_id: str, plan: PlanVersion) -> PlanVersion | None:
    """The stored version that says the same as a plan, whatever release wrote it; None for a new one."""
    for head in plan_heads(conn, tenant_id, plan.plan_id):
        if head.version == plan.version and _is_same(head, plan):
            return _read(head)
    return None


def plan_heads(conn: psycopg.Connection, tenant_id: str, plan_id: str) -> list[StoredHead]:
    """Every version of a plan, oldest first, none of them read."""
    rows = conn.execute(
        "select plan_id, version, effective_at, document, content_hash from settlement.plan_version"
        " where tenant_id = %s and plan_id = %s order by version",
        (tenant_id, plan_id),
    )
    return [
        StoredHead(name, version, effective_at, _end_of(document), stored, document)
        for name, version, effective_at, document, stored in rows
    ]


def plan_version(conn: psycopg.Connection, tenant_id: str, plan_id: str, version: int) -> PlanVersion:
    """One version, by name: the one that an order was frozen with.

    Raises:
        PlanNotInForceError: There is no such version.
        PlanUnreadableError: It was altered, or this release cannot read it.
    """
    row = conn.execute(
        "select document, content_hash from settlement.plan_version"
        " where tenant_id = %s and plan_id = %s and version = %s",
        (tenant_id, plan_id, version),
    ).fetchone()
    if row is None:
        raise PlanNotInForceError(f"plan {plan_id} has no version {version}; publish it first")
    return _named(plan_id, version, *row)


def plan_in_force(conn: psycopg.Connection, tenant_id: str, merchant_id: str, at: datetime) -> PlanVersion:
    """The version that settles an order of a merchant paid at `at`.

    Raises:
        PlanNotInForceError: Neither the merchant nor the tenant has a plan, or none of its versions is in
            force.
        PlanUnreadableError: The version was altered, or this release cannot read it.
    """
    row = conn.execute(
        "select plan_id from settlement.merchant_plan where tenant_id = %s and merchant_id = any(%s)"
        " and effective_at <= %s order by merchant_id desc, effective_at desc limit 1",
        (tenant_id, [merchant_id, ALL_OTHERS], at),
    ).fetchone()
    if row is None:
        raise PlanNotInForceError(
            f"merchant {merchant_id} has no plan at {at.isoformat()} and the tenant has none for all; put one"
            " in force with POST /v1/plans/in-force or python -m serving.jobs setup"
        )
    return _read(version_in_force(plan_heads(conn, tenant_id, row[0]), at))


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
    elif plan.effective_at < now and plan.content_hash not in _shipped_hashes():
        message = (
            f"it takes effect at {plan.effective_at.isoformat()}, before now, {now.isoformat()}; "
            "move effective_at"
        )
        reasons.append(Refusal("in_the_past", None, message))
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


def _is_same(head: StoredHead, plan: PlanVersion) -> bool:
    """Whether a stored version says the same, whatever release wrote it."""
    try:
        return content_hash(_read(head)) == plan.content_hash
    except PlanUnreadableError:
        return False


def _end_of(document: str) -> datetime | None:
    """Until when a stored version lasts; a document that cannot be read lasts until the next one."""
    try:
        found = json.loads(document)["ends_at"]
        return None if found is None else datetime.fromisoformat(found)
    except (ValueError, KeyError, TypeError):
        return None


def _read(head: StoredHead) -> PlanVersion:
    return _named(head.plan_id, head.version, head.document, head.content_hash)


def _named(plan_id: str, version: int, document: str, stored_hash: str) -> PlanVersion:
    try:
        return _parsed(document, stored_hash)
    except PlanUnreadableError as error:
        raise PlanUnreadableError(f"plan {plan_id} version {version}: {error}") from error


@lru_cache(maxsize=256)
def _parsed(document: str, stored_hash: str) -> PlanVersion:
    """Plan versions are immutable, so a text is read once."""
    return read_stored(document, stored_hash)


@cache
def _shipped_hashes() -> frozenset[str]:
    """The plans that ship, as they ship; one that needs a legal review ships without."""
    found = set()
    for name in SHIPPED_PLANS:
        try:
            found.add(load_shipped(name).content_hash)
        except PlanRefusedError:
            continue
    return frozenset(found)
