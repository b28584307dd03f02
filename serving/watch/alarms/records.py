"""Alarms as rows, and the steps of their life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from serving.watch.alarms.errors import UnknownAlarmError

Connection = psycopg.Connection[Any]
Kind = Literal["delay", "capacity"]
Event = Literal["opened", "acknowledged", "assigned", "resolved", "cleared", "alternative_taken"]

WATCH = "watch"
"""Who opens and clears."""
CLOSED = frozenset({"resolved", "cleared"})


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm.

    Attributes:
        alarm_id: Its number.
        kind: `delay` of a parcel, `capacity` of whoever states one.
        object_id: The parcel; or supplier, warehouse and sku of the capacity between slashes; empty where
            not stated, the last ones with their slashes left out.
        supplier_id: Whose it is.
        order_id: Of a parcel: its order.
        merchant_id: Of a parcel: whose order.
        state: `open`, `acknowledged`, `assigned`, `resolved` (by a person), `cleared` (the cause is gone).
        evidence: The numbers of the newest judgement.
        opened_at: Business time.
        judged_at: Of the newest judgement.
        acknowledged_at: When somebody said to have seen it.
        assigned_to: Who looks after it.
        closed_at: When it was resolved or cleared.
        reason_code: Why it was closed.
        cleared_at: When its cause was gone.
    """

    alarm_id: int
    kind: Kind
    object_id: str
    supplier_id: str | None
    order_id: str | None
    merchant_id: str | None
    state: str
    evidence: Mapping[str, Any]
    opened_at: datetime
    judged_at: datetime
    acknowledged_at: datetime | None
    assigned_to: str | None
    closed_at: datetime | None
    reason_code: str | None
    cleared_at: datetime | None

    @property
    def is_closed(self) -> bool:
        """Whether nobody has to do anything about it any more."""
        return self.state in CLOSED


_COLUMNS = (
    "alarm_id, kind, object_id, supplier_id, order_id, merchant_id, state, evidence, opened_at, judged_at,"
    " acknowledged_at, assigned_to, closed_at, reason_code, cleared_at"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an alarm's life; `by` is a key, or `watch`."""

    event: str
    happened_at: datetime
    by: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Whose:
    """Alarms that somebody may see: of a supplier, of a merchant, or all."""

    supplier_id: str | None = None
    merchant_id: str | None = None


def standing(conn: Connection, tenant_id: str) -> dict[tuple[str, str], Alarm]:
    """Alarms whose cause is not gone, by kind and object; whoever changes them holds `locks.watch`."""
    with conn.cursor(row_factory=class_row(Alarm)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from watch.alarm where tenant_id = %s and cleared_at is null"
            " order by alarm_id",
            (tenant_id,),
        )
        return {(alarm.kind, alarm.object_id): alarm for alarm in cursor}


def alarms_page(
    conn: Connection,
    tenant_id: str,
    whose: Whose,
    *,
    kind: str | None,
    is_open: bool | None,
    after: int,
    limit: int,
) -> list[Alarm]:
    """Alarms after a number, by number.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        whose: Only these.
        kind: Only this kind.
        is_open: Only those that are not closed, or that are; None takes all.
        after: Number where the page before ended.
        limit: Most alarms.
    """
    with conn.cursor(row_factory=class_row(Alarm)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from watch.alarm where tenant_id = %(tenant)s and alarm_id > %(after)s"
            " and (%(supplier)s::text is null or supplier_id = %(supplier)s)"
            " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
            " and (%(kind)s::text is null or kind = %(kind)s)"
            " and (%(open)s::boolean is null or (closed_at is null) = %(open)s)"
            " order by alarm_id limit %(limit)s",
            {
                "tenant": tenant_id,
                "after": after,
                "supplier": whose.supplier_id,
                "merchant": whose.merchant_id,
                "kind": kind,
                "open": is_open,
                "limit": limit,
            },
        )
        return cursor.fetchall()


def alarm_of(conn: Connection, tenant_id: str, alarm_id: int, whose: Whose) -> Alarm:
    """An alarm.

    Raises:
        UnknownAlarmError: There is none, or it is none of theirs.
    """
    found = alarms_page(conn, tenant_id, whose, kind=None, is_open=None, after=alarm_id - 1, limit=1)
    if not found or found[0].alarm_id != alarm_id:
        raise UnknownAlarmError(f"there is no alarm {alarm_id}")
    return found[0]


def steps_of(conn: Connection, tenant_id: str, alarm_id: int, *, limit: int) -> list[Step]:
    """The first steps of an alarm's life, oldest first."""
    with conn.cursor(row_factory=class_row(Step)) as cursor:
        cursor.execute(
            "select event, happened_at, by, details from watch.alarm_event"
            " where tenant_id = %s and alarm_id = %s order by event_id limit %s",
            (tenant_id, alarm_id, limit),
        )
        return cursor.fetchall()


def note_step(
    conn: Connection,
    tenant_id: str,
    alarm_id: int,
    event: Event,
    by: str,
    now: datetime,
    **details: Any,
) -> None:
    """Write a step of an alarm's life."""
    conn.execute(
        "insert into watch.alarm_event (tenant_id, alarm_id, event, happened_at, by, details)"
        " values (%s, %s, %s, %s, %s, %s)",
        (tenant_id, alarm_id, event, now, by, Jsonb(details)),
    )
