"""The calendar of a tenant: in whose time zone its months and days begin and end.

A tenant without a zone counts in UTC. The zone cannot change once a month is closed: a moment would lie in
two months, or in none.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg

from serving.errors import ServingError

Connection = psycopg.Connection[Any]


class CalendarError(ServingError):
    """A time zone is unknown, or can no longer be changed."""


class ZoneStaysError(CalendarError):
    """A month was closed by the present time zone."""


def zone_of(conn: Connection, tenant_id: str) -> ZoneInfo:
    """The tenant's time zone; UTC where none is set."""
    return ZoneInfo(_stored(conn, tenant_id) or "UTC")


def is_settled(conn: Connection, tenant_id: str) -> bool:
    """Whether the tenant has a time zone, or closed a month without one, so that none may come any more."""
    return _stored(conn, tenant_id) is not None or _has_closed_months(conn, tenant_id)


def set_zone(conn: Connection, tenant_id: str, name: str) -> None:
    """Set the tenant's time zone, before its first month is closed.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        name: Of the IANA data base, such as `Asia/Shanghai`.

    Raises:
        CalendarError: There is no such zone.
        ZoneStaysError: A month was closed by another one.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CalendarError(f"{name!r} is no time zone; write it like Asia/Shanghai") from error
    if zone_of(conn, tenant_id).key != name and _has_closed_months(conn, tenant_id):
        raise ZoneStaysError(
            f"a month of tenant {tenant_id} is closed by its present calendar: the time zone stays"
        )
    conn.execute(
        "insert into ops.tenant_calendar (tenant_id, time_zone) values (%s, %s)"
        " on conflict (tenant_id) do update set time_zone = excluded.time_zone",
        (tenant_id, name),
    )


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The local day of a moment."""
    return moment.astimezone(zone).date()


def days_before(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same local time some days before, UTC: an hour more or less over a change of the clock."""
    local = moment.astimezone(zone)
    return (local - timedelta(days=days)).astimezone(UTC)


def month_end(month_on: date, zone: ZoneInfo) -> datetime:
    """The first moment after a local month, UTC.

    Raises:
        ValueError: `month_on` is not the first day of a month.
    """
    if month_on.day != 1:
        raise ValueError(f"{month_on} is not the first day of a month; name a month by its first day")
    return day_start((month_on + timedelta(days=32)).replace(day=1), zone)


def month_before(moment: datetime, zone: ZoneInfo) -> date:
    """First day of the last local month that is over."""
    return (local_day(moment, zone).replace(day=1) - timedelta(days=1)).replace(day=1)


def _stored(conn: Connection, tenant_id: str) -> str | None:
    row = conn.execute(
        "select time_zone from ops.tenant_calendar where tenant_id = %s", (tenant_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def _has_closed_months(conn: Connection, tenant_id: str) -> bool:
    found = conn.execute(
        "select from ledger.closed_until where tenant_id = %s"
        " union all select from agents.tier_change where tenant_id = %s and reason = 'month_close'"
        " union all select from agents.composition_review where tenant_id = %s limit 1",
        (tenant_id, tenant_id, tenant_id),
    )
    return found.fetchone() is not None
