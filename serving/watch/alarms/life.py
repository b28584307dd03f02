"""What people do with alarms: see them, look after them, close them with a reason; and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.db import locks
from serving.watch.alarms.errors import AlarmClosedError
from serving.watch.alarms.records import Alarm, Whose, alarm_of, note_step

Connection = psycopg.Connection[Any]

SEEN_WITHIN = timedelta(hours=1)
"""Service level: an alarm is acknowledged within. Assumed."""
CLOSED_WITHIN = timedelta(hours=24)
"""Service level: an alarm is resolved or cleared within. Assumed."""


def acknowledge(conn: Connection, tenant_id: str, alarm_id: int, by: str, now: datetime) -> Alarm:
    """Somebody has seen it; seen before, nothing changes.

    Raises:
        UnknownAlarmError: There is none.
        AlarmClosedError: It is closed.
    """
    alarm = _open_alarm(conn, tenant_id, alarm_id)
    if alarm.acknowledged_at is None:
        conn.execute(
            "update watch.alarm set state = case when state = 'open' then 'acknowledged' else state end,"
            " acknowledged_at = %s where tenant_id = %s and alarm_id = %s",
            (now, tenant_id, alarm_id),
        )
        note_step(conn, tenant_id, alarm_id, "acknowledged", by, now)
    return alarm_of(conn, tenant_id, alarm_id, Whose())


def assign(conn: Connection, tenant_id: str, alarm_id: int, to: str, by: str, now: datetime) -> Alarm:
    """Somebody looks after it, who has seen it by that; assigned to the same before, nothing changes.

    Raises:
        UnknownAlarmError: There is none.
        AlarmClosedError: It is closed.
    """
    alarm = _open_alarm(conn, tenant_id, alarm_id)
    if alarm.assigned_to != to:
        conn.execute(
            "update watch.alarm set state = 'assigned', assigned_to = %s,"
            " acknowledged_at = coalesce(acknowledged_at, %s) where tenant_id = %s and alarm_id = %s",
            (to, now, tenant_id, alarm_id),
        )
        note_step(conn, tenant_id, alarm_id, "assigned", by, now, to=to)
    return alarm_of(conn, tenant_id, alarm_id, Whose())


def resolve(
    conn: Connection, tenant_id: str, alarm_id: int, reason_code: str, by: str, now: datetime
) -> Alarm:
    """Nothing more is to be done; resolved before for the same reason, nothing changes.

    While its cause stands no other alarm of its kind and object opens.

    Raises:
        UnknownAlarmError: There is none.
        AlarmClosedError: It is cleared, or resolved for another reason.
    """
    locks.watch(conn, tenant_id)
    alarm = alarm_of(conn, tenant_id, alarm_id, Whose())
    if alarm.state == "resolved" and alarm.reason_code == reason_code:
        return alarm
    _require_open(alarm)
    conn.execute(
        "update watch.alarm set state = 'resolved', closed_at = %(now)s, reason_code = %(reason)s,"
        " acknowledged_at = coalesce(acknowledged_at, %(now)s)"
        " where tenant_id = %(tenant)s and alarm_id = %(alarm)s",
        {"now": now, "reason": reason_code, "tenant": tenant_id, "alarm": alarm_id},
    )
    note_step(conn, tenant_id, alarm_id, "resolved", by, now, reason_code=reason_code)
    return alarm_of(conn, tenant_id, alarm_id, Whose())


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How alarms of a kind were looked after.

    Attributes:
        kind: The kind.
        opened: Alarms of the window.
        open_now: Those of them that are not closed.
        oldest_open_hours: Age of the oldest of those; None without any.
        seen_in_time: Those that a person had seen, or that cleared, within `SEEN_WITHIN`.
        closed_in_time: Those closed within `CLOSED_WITHIN`.
        median_hours_to_close: Of those that are closed; None without any.
    """

    kind: str
    opened: int
    open_now: int
    oldest_open_hours: float | None
    seen_in_time: int
    closed_in_time: int
    median_hours_to_close: float | None


def service_levels(conn: Connection, tenant_id: str, since: datetime, now: datetime) -> list[ServiceLevel]:
    """Ages and service levels of the alarms opened in a window, by kind.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        since: Alarms opened from then on.
        now: Business time.
    """
    with conn.cursor(row_factory=class_row(ServiceLevel)) as cursor:
        cursor.execute(
            "select kind, count(*) as opened, count(*) filter (where closed_at is null) as open_now,"
            " extract(epoch from max(%(now)s - opened_at) filter (where closed_at is null))::float8 / 3600"
            "  as oldest_open_hours,"
            " count(*) filter (where least(acknowledged_at, closed_at) <= opened_at + %(seen)s)"
            "  as seen_in_time,"
            " count(*) filter (where closed_at <= opened_at + %(closed)s) as closed_in_time,"
            " percentile_cont(.5) within group (order by extract(epoch from closed_at - opened_at)::float8"
            "  / 3600) as median_hours_to_close"
            " from watch.alarm where tenant_id = %(tenant)s and opened_at >= %(since)s"
            " and opened_at <= %(now)s group by kind order by kind",
            {
                "tenant": tenant_id,
                "since": since,
                "now": now,
                "seen": SEEN_WITHIN,
                "closed": CLOSED_WITHIN,
            },
        )
        return cursor.fetchall()


def _open_alarm(conn: Connection, tenant_id: str, alarm_id: int) -> Alarm:
    locks.watch(conn, tenant_id)
    alarm = alarm_of(conn, tenant_id, alarm_id, Whose())
    _require_open(alarm)
    return alarm


def _require_open(alarm: Alarm) -> None:
    if alarm.is_closed:
        raise AlarmClosedError(f"alarm {alarm.alarm_id} is {alarm.state}: {alarm.reason_code}")
