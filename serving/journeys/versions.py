"""Versions of journeys in the database: put forward, in force, paused, stopped. A document never changes.

Runs finish under the version under which they were assigned; a stopped journey ends its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.experiments.records import programmes_tested
from serving.journeys import programmes
from serving.journeys.definition.checking import Surroundings, refusals
from serving.journeys.definition.loading import digest, load
from serving.journeys.definition.steps import Journey, Send
from serving.journeys.errors import JourneyRefusedError, JourneyStateError, JourneyUnknownError, Refusal
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]
VersionState = Literal["draft", "live", "paused", "replaced", "stopped"]


@dataclass(frozen=True)
class Version:
    """A version of a journey.

    Attributes:
        journey: What it says.
        version: Its number, from 1.
        digest: sha256 of what it says.
        state: `draft`, in force as `live` or `paused`, or ended as `replaced` or `stopped`.
        made_by: Who put it forward.
        made_at: When.
        live_at: When it came into force.
        ended_at: When it ended.
        reason: Why it was paused or stopped.
    """

    journey: Journey
    version: int
    digest: str
    state: VersionState
    made_by: str
    made_at: datetime
    live_at: datetime | None
    ended_at: datetime | None
    reason: str | None


_SELECT = (
    "select document, version, digest, state, made_by, made_at, live_at, ended_at, reason"
    " from journeys.version where tenant_id = %(tenant)s"
)

_SEGMENTS: LiteralString = (
    f"select segment, member_count from scores.segments where snapshot_id = {current_snapshot('segments')}"
)
_CONSUMERS: LiteralString = (
    f"select count(*) from scores.profiles where snapshot_id = {current_snapshot('profiles')}"
)


def put_forward(
    conn: Connection, tenant_id: str, document: str | Mapping[str, Any], by: str, now: datetime
) -> Version:
    """Keep a version as a draft; the same words again are the version that has them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        document: YAML text or its mapping.
        by: Who puts it forward.
        now: Business time.

    Raises:
        JourneyRefusedError: It cannot run, with every reason.
    """
    journey = load(document)
    found = refusals(journey, surroundings(conn, tenant_id, now))
    if found:
        raise JourneyRefusedError(journey.journey_id, found)
    locks.journeys(conn, tenant_id)
    known = versions_of(conn, tenant_id, journey.journey_id)
    same = [
        one for one in known if one.digest == digest(journey) and one.state in {"draft", "live", "paused"}
    ]
    if same:
        return same[-1]
    number = known[-1].version + 1 if known else 1
    conn.execute(
        "insert into journeys.version (tenant_id, journey_id, version, document, digest, state, made_by,"
        " made_at) values (%s, %s, %s, %s, %s, 'draft', %s, %s)",
        (
            tenant_id,
            journey.journey_id,
            number,
            Jsonb(journey.model_dump(mode="json")),
            digest(journey),
            by,
            now,
        ),
    )
    return find(conn, tenant_id, journey.journey_id, number)


def put_into_force(conn: Connection, tenant_id: str, journey_id: str, version: int, now: datetime) -> Version:
    """Let a draft be the version under which consumers enter; the one before is replaced.

    Raises:
        JourneyUnknownError: There is no such version.
        JourneyStateError: It is no draft.
        JourneyRefusedError: What it refers to is not there any more.
    """
    locks.journeys(conn, tenant_id)
    found = find(conn, tenant_id, journey_id, version)
    if found.state != "draft":
        raise JourneyStateError(f"version {version} of journey {journey_id} is {found.state}, not a draft")
    # An experiment that starts at this moment waits, and then sees the journey.
    locks.experiments(conn, tenant_id)
    reasons = [
        *refusals(found.journey, surroundings(conn, tenant_id, now)),
        *_tested(conn, tenant_id, found.journey),
    ]
    if reasons:
        raise JourneyRefusedError(journey_id, reasons)
    conn.execute(
        "update journeys.version set state = 'replaced', ended_at = %s where tenant_id = %s"
        " and journey_id = %s and state in ('live', 'paused')",
        (now, tenant_id, journey_id),
    )
    conn.execute(
        "update journeys.version set state = 'live', live_at = %s where tenant_id = %s and journey_id = %s"
        " and version = %s",
        (now, tenant_id, journey_id, version),
    )
    return find(conn, tenant_id, journey_id, version)


def pause(conn: Connection, tenant_id: str, journey_id: str, reason: str) -> Version:
    """Let nobody enter and no run move, until it goes on.

    Raises:
        JourneyStateError: No version of it is in force.
    """
    return _switch(conn, tenant_id, journey_id, "paused", reason)


def go_on(conn: Connection, tenant_id: str, journey_id: str) -> Version:
    """End a pause; whoever came due meanwhile moves with the next tick, past all guards.

    Raises:
        JourneyStateError: No version of it is in force.
    """
    return _switch(conn, tenant_id, journey_id, "live", None)


def stop(conn: Connection, tenant_id: str, journey_id: str, reason: str, now: datetime) -> int:
    """End a journey and every run of it, also those under older versions; messages that wait are not sent.

    Returns:
        How many runs ended.

    Raises:
        JourneyStateError: No version of it is in force.
    """
    locks.journeys(conn, tenant_id)
    found = in_force(conn, tenant_id, journey_id)
    conn.execute(
        "update journeys.version set state = 'stopped', ended_at = %s, reason = %s where tenant_id = %s"
        " and journey_id = %s and version = %s",
        (now, reason, tenant_id, journey_id, found.version),
    )
    conn.execute(
        "update journeys.message set state = 'withheld', reason = 'stopped', next_try_at = null,"
        " xact_id = pg_current_xact_id() where tenant_id = %s and journey_id = %s and state = 'waiting'",
        (tenant_id, journey_id),
    )
    ended = conn.execute(
        "update journeys.run set step = 'end', due_at = null, ended_at = %s, reason = 'stopped'"
        " where tenant_id = %s and journey_id = %s and due_at is not null",
        (now, tenant_id, journey_id),
    )
    return ended.rowcount


def find(conn: Connection, tenant_id: str, journey_id: str, version: int) -> Version:
    """A version.

    Raises:
        JourneyUnknownError: There is none.
    """
    found = [one for one in versions_of(conn, tenant_id, journey_id) if one.version == version]
    if not found:
        raise JourneyUnknownError(f"journey {journey_id} has no version {version}")
    return found[0]


def in_force(conn: Connection, tenant_id: str, journey_id: str) -> Version:
    """The version that is live or paused.

    Raises:
        JourneyStateError: There is none.
    """
    found = [one for one in versions_of(conn, tenant_id, journey_id) if one.state in {"live", "paused"}]
    if not found:
        raise JourneyStateError(f"no version of journey {journey_id} is in force")
    return found[0]


def newest(conn: Connection, tenant_id: str, journey_id: str) -> Version:
    """The version in force, else the last one.

    Raises:
        JourneyUnknownError: There is no such journey.
    """
    found = versions_of(conn, tenant_id, journey_id)
    if not found:
        raise JourneyUnknownError(f"there is no journey {journey_id}")
    return next((one for one in found if one.state in {"live", "paused"}), found[-1])


def live(conn: Connection, tenant_id: str) -> list[Version]:
    """Versions under which consumers enter now, by id of the journey."""
    rows = conn.execute(f"{_SELECT} and state = 'live' order by journey_id".encode(), {"tenant": tenant_id})
    return [Version(load(document), *rest) for document, *rest in rows]


def versions_of(conn: Connection, tenant_id: str, journey_id: str) -> list[Version]:
    """All versions of a journey, oldest first."""
    rows = conn.execute(
        f"{_SELECT} and journey_id = %(journey)s order by version".encode(),
        {"tenant": tenant_id, "journey": journey_id},
    )
    return [Version(load(document), *rest) for document, *rest in rows]


def page(conn: Connection, tenant_id: str, *, after: str, limit: int) -> list[Version]:
    """The version in force of each journey, else its newest, by id."""
    rows = conn.execute(
        "select document, version, digest, state, made_by, made_at, live_at, ended_at, reason from ("
        " select distinct on (journey_id) * from journeys.version where tenant_id = %(tenant)s"
        " and journey_id > %(after)s order by journey_id, state in ('live', 'paused') desc,"
        " version desc) v order by journey_id limit %(limit)s",
        {"tenant": tenant_id, "after": after, "limit": limit},
    )
    return [Version(load(document), *rest) for document, *rest in rows]


def surroundings(conn: Connection, tenant_id: str, now: datetime) -> Surroundings:
    """What a journey may refer to now: published segments, coupon programmes in force."""
    values = {"tenant": tenant_id}
    segments = conn.execute(_SEGMENTS, values).fetchall()
    counted = conn.execute(_CONSUMERS, values).fetchone()
    left = programmes.in_force(conn, tenant_id, now)
    return Surroundings(
        dict(segments), counted[0] if counted else 0, {name: found.cents for name, found in left.items()}
    )


def _tested(conn: Connection, tenant_id: str, journey: Journey) -> list[Refusal]:
    """Steps that would send a coupon that an experiment gives to one arm."""
    tested = programmes_tested(conn, tenant_id)
    return [
        Refusal(
            "coupon_in_experiment",
            step.id,
            f"experiment {tested[step.coupon]} gives {step.coupon} to one arm; take another programme,"
            " or wait for its end",
        )
        for step in journey.steps
        if isinstance(step, Send) and step.coupon in tested
    ]


def _switch(
    conn: Connection, tenant_id: str, journey_id: str, state: VersionState, reason: str | None
) -> Version:
    locks.journeys(conn, tenant_id)
    found = in_force(conn, tenant_id, journey_id)
    conn.execute(
        "update journeys.version set state = %s, reason = %s where tenant_id = %s and journey_id = %s"
        " and version = %s",
        (state, reason, tenant_id, journey_id, found.version),
    )
    return find(conn, tenant_id, journey_id, found.version)
