"""A version of the programme of members comes into force when another person agrees."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

from serving.approvals.asking import Ask
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval
from serving.members.versions import Version, put_into_force
from serving.security import Role, Scope

MEMBER_PROGRAMME = Kind(
    name="member_programme",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.MEMBERS_WRITE,
    reasons=frozenset({"too_dear", "too_hard", "too_easy", "not_needed", "other"}),
    validity=timedelta(days=7),
    rails={},
    second_above_cents=None,
)
"""Levels are reached and benefits given by the rules of a version; the subject is the programme. Validity
assumed."""


def ask_of(version: Version) -> Ask:
    """What is asked when somebody wants a version in force."""
    return Ask(
        kind=MEMBER_PROGRAMME,
        subject=("member_programme", "members"),
        suggestion={"version": version.version, "document_digest": version.digest},
        value_cents=0,
        bucket="members",
    )


def put_approved_into_force(
    conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime
) -> Done:
    """Put an approved version into force.

    Raises:
        MembersError: It is no draft any more, or a coupon programme that it names is not in force any more.
    """
    return {"version": put_into_force(conn, tenant_id, approval.wanted["version"], now).version}
