"""A version of a journey comes into force when another person agrees."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

from serving.approvals.asking import Ask
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind
from serving.approvals.records import Approval
from serving.journeys.versions import Version, put_into_force
from serving.security import Role, Scope

JOURNEY = Kind(
    name="journey",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.JOURNEYS_WRITE,
    reasons=frozenset({"too_many", "wrong_words", "too_dear", "not_needed", "other"}),
    validity=timedelta(days=7),
    rails={},
    second_above_cents=None,
)
"""Consumers are told something by the rules of a version; the subject is the journey. Validity assumed."""


def ask_of(version: Version) -> Ask:
    """What is asked when somebody wants a version in force."""
    return Ask(
        kind=JOURNEY,
        subject=("journey", version.journey.journey_id),
        suggestion={
            "journey_id": version.journey.journey_id,
            "version": version.version,
            "document_digest": version.digest,
        },
        value_cents=0,
        bucket=version.journey.purpose,
    )


def put_approved_into_force(
    conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime
) -> Done:
    """Put an approved version into force.

    Raises:
        JourneyStateError: It is no draft any more.
        JourneyRefusedError: What it refers to is not there any more.
    """
    wanted = approval.wanted
    found = put_into_force(conn, tenant_id, wanted["journey_id"], wanted["version"], now)
    return {"journey_id": found.journey.journey_id, "version": found.version}
