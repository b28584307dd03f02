"""Versions of the programme in the database: put forward, in force, replaced. A document never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.experiments.records import programmes_tested
from serving.journeys import programmes
from serving.members.errors import ProgrammeRefusedError, ProgrammeStateError, ProgrammeUnknownError
from serving.members.programme import Programme, digest, load

Connection = psycopg.Connection[Any]
State = Literal["draft", "live", "replaced"]


@dataclass(frozen=True)
class Version:
    """A version of the programme.

    Attributes:
        programme: What it says.
        version: Its number, from 1.
        digest: sha256 of what it says.
        state: `draft`, `live` or `replaced`.
        made_by: Who put it forward.
        made_at: When.
        live_at: When it came into force.
        ended_at: When another one took its place.
    """

    programme: Programme
    version: int
    digest: str
    state: State
    made_by: str
    made_at: datetime
    live_at: datetime | None
    ended_at: datetime | None


_SELECT = (
    "select document, version, digest, state, made_by, made_at, live_at, ended_at"
    " from members.programme where tenant_id = %(tenant)s"
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
        ProgrammeRefusedError: It cannot come into force, with every reason.
    """
    programme = load(document)
    locks.members(conn, tenant_id)
    _require_coupons(conn, tenant_id, programme, now)
    known = versions_of(conn, tenant_id)
    words = digest(programme)
    same = [one for one in known if one.digest == words and one.state != "replaced"]
    if same:
        return same[-1]
    number = known[-1].version + 1 if known else 1
    conn.execute(
        "insert into members.programme (tenant_id, version, document, digest, state, made_by, made_at)"
        " values (%s, %s, %s, %s, 'draft', %s, %s)",
        (tenant_id, number, Jsonb(programme.model_dump(mode="json")), words, by, now),
    )
    return find(conn, tenant_id, number)


def put_into_force(conn: Connection, tenant_id: str, version: int, now: datetime) -> Version:
    """Let a draft be the programme by which days are closed; the one before is replaced.

    Raises:
        ProgrammeUnknownError: There is no such version.
        ProgrammeStateError: It is no draft.
        ProgrammeRefusedError: A coupon programme that it names is not in force any more.
    """
    locks.members(conn, tenant_id)
    found = find(conn, tenant_id, version)
    if found.state != "draft":
        raise ProgrammeStateError(f"version {version} of the programme is {found.state}, not a draft")
    # An experiment that starts at this moment waits, and then sees the programme.
    locks.experiments(conn, tenant_id)
    _require_coupons(conn, tenant_id, found.programme, now)
    conn.execute(
        "update members.programme set state = 'replaced', ended_at = %s"
        " where tenant_id = %s and state = 'live'",
        (now, tenant_id),
    )
    conn.execute(
        "update members.programme set state = 'live', live_at = %s where tenant_id = %s and version = %s",
        (now, tenant_id, version),
    )
    return find(conn, tenant_id, version)


def find(conn: Connection, tenant_id: str, version: int) -> Version:
    """A version.

    Raises:
        ProgrammeUnknownError: There is none of that number.
    """
    found = next((one for one in versions_of(conn, tenant_id) if one.version == version), None)
    if found is None:
        raise ProgrammeUnknownError(f"the programme of members has no version {version}")
    return found


def in_force(conn: Connection, tenant_id: str) -> Version | None:
    """The version by which days are closed; None: no programme is in force."""
    rows = conn.execute(f"{_SELECT} and state = 'live'".encode(), {"tenant": tenant_id})
    return next((_version(row) for row in rows), None)


def versions_of(conn: Connection, tenant_id: str) -> list[Version]:
    """All versions, oldest first."""
    rows = conn.execute(f"{_SELECT} order by version".encode(), {"tenant": tenant_id})
    return [_version(row) for row in rows]


def _version(row: tuple[Any, ...]) -> Version:
    document, *rest = row
    return Version(load(document), *rest)


def _require_coupons(conn: Connection, tenant_id: str, programme: Programme, now: datetime) -> None:
    left = programmes.in_force(conn, tenant_id, now)
    tested = programmes_tested(conn, tenant_id)
    reasons = []
    for level, name in programme.coupons.items():
        if name not in left or left[name].cents <= 0:
            reasons.append(
                f"{level}: coupon programme {name} is not in force or has no budget left; open one first"
            )
        elif name in tested:
            reasons.append(
                f"{level}: experiment {tested[name]} gives {name} to one arm; take another programme, or wait"
                " for its end"
            )
    if reasons:
        raise ProgrammeRefusedError("the programme is refused: " + "; ".join(reasons))
