"""The close of a day: everybody's growth, the levels that follow, notices, coupons. Once, however often.

One transaction under one lock. A day that lies before the last one that was closed changes nothing: a clock
that was set back rewrites no level. The same day again moves only whom other facts move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import psycopg

from models.members.ladder import Standing, cause_of, move
from serving.consumers.erased import all_tombstones, erased_among, hold_erasures
from serving.db import locks
from serving.members import notices, records
from serving.members.benefits import NOTHING_GIVEN, Given, give_due
from serving.members.versions import Version, in_force

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Closed:
    """What a close did.

    Attributes:
        version: Version of the programme; None: none is in force, nothing was done.
        moved: How many members moved, by cause.
        notices: Notices that messages of the journey were.
        given: Coupons of levels.
        is_outdated: A later day was closed before; nothing was done.
    """

    version: int | None
    moved: Mapping[str, int] = field(default_factory=dict)
    notices: int = 0
    given: Given = NOTHING_GIVEN
    is_outdated: bool = False


def close_day(
    conn: Connection,
    tenant_id: str,
    version: int,
    growth: Mapping[str, int],
    today: date,
    zone: str,
    now: datetime,
) -> Closed:
    """Close a day of every member.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        version: Version of the programme by which `growth` was computed; where another one came into force
            meanwhile, nothing is done, and the next close takes that one.
        growth: Growth value of everybody who has any; a member who is missing has none.
        today: Local day.
        zone: IANA name of the zone of the shops.
        now: Business time.
    """
    hold_erasures(conn)
    locks.members(conn, tenant_id)
    current = in_force(conn, tenant_id)
    if current is None or current.version != version:
        return Closed(None)
    last = records.last_closed(conn, tenant_id)
    if last is not None and last > today:
        return Closed(version, is_outdated=True)
    held = records.standings(conn, tenant_id)
    noted = notices.take_from_journeys(conn, tenant_id, zone, now)
    told = notices.told_on(conn, tenant_id, zone)
    moved = _moved(conn, tenant_id, current, held, growth, told, today)
    records.keep(conn, tenant_id, moved, today, version, now)
    given = give_due(conn, tenant_id, current.programme, now)
    by_cause = Counter(str(one.cause) for one in moved)
    return Closed(version, dict(sorted(by_cause.items())), noted, given)


def _moved(
    conn: Connection,
    tenant_id: str,
    current: Version,
    held: Mapping[str, Standing],
    growth: Mapping[str, int],
    told: Mapping[str, date],
    today: date,
) -> list[records.Moved]:
    """Whom the day moves, by consumer. A pseudonym of an erased person is nobody."""
    rules = current.programme.rules
    new = {one for one, value in growth.items() if value > 0 and one not in held}
    new -= erased_among(conn, tenant_id, new)
    new -= {one.pseudonym for one in all_tombstones(conn, tenant_id)}
    noted = records.noted_to_next(conn, tenant_id)
    found = []
    for consumer_id in sorted(held.keys() | new):
        before = held.get(consumer_id)
        after = move(before, growth.get(consumer_id, 0), rules, today, told.get(consumer_id))
        missing = rules.to_next(after.level, after.growth)
        cause = cause_of(before, after)
        if cause is None and missing != noted[consumer_id]:
            cause = "growth"  # another programme asks other growth of the next level
        if cause is not None:
            found.append(records.Moved(consumer_id, cause, after, missing))
    return found
