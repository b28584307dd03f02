"""What the watch found becomes alarms: opened, brought up to date, cleared; in one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.orders.webhooks import webhooks
from serving.watch.alarms.records import WATCH, Alarm, Kind, note_step, standing

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the newest estimate says of an object.

    Attributes:
        kind: Kind of the alarm that it may be.
        object_id: The parcel, or whose capacity.
        opens: Whether it asks for an alarm.
        clears: Why its alarm would clear; empty where the cause stands.
        evidence: Its numbers.
        supplier_id: Whose it is.
        order_id: Of a parcel: its order.
        merchant_id: Of a parcel: whose order.
    """

    kind: Kind
    object_id: str
    opens: bool
    clears: str
    evidence: Mapping[str, Any]
    supplier_id: str | None = None
    order_id: str | None = None
    merchant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the alarms.

    Attributes:
        opened: Numbers of new alarms.
        cleared: Alarms whose cause is gone.
        standing: Alarms whose cause is not.
        outdated: Findings of a time before the newest judgement of their alarm; they changed nothing.
    """

    opened: list[int] = field(default_factory=list)
    cleared: int = 0
    standing: int = 0
    outdated: int = 0


def judge(conn: Connection, tenant_id: str, findings: Sequence[Finding], now: datetime) -> Judged:
    """Open, renew and clear alarms. The same findings at the same time change nothing.

    An object has one alarm of a kind until its cause is gone: one that a person resolved opens no other
    before that.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        findings: At most one a kind and object.
        now: Business time of the estimates.
    """
    locks.watch(conn, tenant_id)
    known = standing(conn, tenant_id)
    opened: list[int] = []
    cleared = outdated = 0
    for finding in findings:
        alarm = known.get((finding.kind, finding.object_id))
        if alarm is None:
            if finding.opens:
                opened.append(_open(conn, tenant_id, finding, now))
        elif alarm.judged_at > now:
            outdated += 1
        elif finding.clears:
            cleared += 1
            _clear(conn, tenant_id, alarm, finding, now)
        else:
            conn.execute(
                "update watch.alarm set evidence = %s, judged_at = %s where tenant_id = %s and alarm_id = %s",
                (Jsonb(dict(finding.evidence)), now, tenant_id, alarm.alarm_id),
            )
    return Judged(opened, cleared, len(known) + len(opened) - cleared, outdated)


def _open(conn: Connection, tenant_id: str, finding: Finding, now: datetime) -> int:
    row = conn.execute(
        "insert into watch.alarm (tenant_id, kind, object_id, supplier_id, order_id, merchant_id, state,"
        " evidence, opened_at, judged_at) values (%s, %s, %s, %s, %s, %s, 'open', %s, %s, %s)"
        " returning alarm_id",
        (
            tenant_id,
            finding.kind,
            finding.object_id,
            finding.supplier_id,
            finding.order_id,
            finding.merchant_id,
            Jsonb(dict(finding.evidence)),
            now,
            now,
        ),
    ).fetchone()
    assert row is not None, "an insert returns its row"
    alarm_id = int(row[0])
    note_step(conn, tenant_id, alarm_id, "opened", WATCH, now, **finding.evidence)
    _tell(conn, tenant_id, alarm_id, finding.kind, finding.supplier_id, finding.merchant_id, "opened")
    return alarm_id


def _clear(conn: Connection, tenant_id: str, alarm: Alarm, finding: Finding, now: datetime) -> None:
    conn.execute(
        "update watch.alarm set cleared_at = %(now)s, judged_at = %(now)s, evidence = %(evidence)s,"
        " state = case when closed_at is null then 'cleared' else state end,"
        " reason_code = coalesce(reason_code, %(why)s), closed_at = coalesce(closed_at, %(now)s)"
        " where tenant_id = %(tenant)s and alarm_id = %(alarm)s",
        {
            "now": now,
            "evidence": Jsonb(dict(finding.evidence)),
            "why": finding.clears,
            "tenant": tenant_id,
            "alarm": alarm.alarm_id,
        },
    )
    note_step(conn, tenant_id, alarm.alarm_id, "cleared", WATCH, now, why=finding.clears, **finding.evidence)
    _tell(conn, tenant_id, alarm.alarm_id, alarm.kind, alarm.supplier_id, alarm.merchant_id, "cleared")


def _tell(
    conn: Connection,
    tenant_id: str,
    alarm_id: int,
    kind: str,
    supplier_id: str | None,
    merchant_id: str | None,
    event: str,
) -> None:
    for party_type, party_id in (("supplier", supplier_id), ("merchant", merchant_id)):
        if party_id is not None:
            webhooks.tell_of_alarm(conn, tenant_id, party_type, party_id, alarm_id, kind, event)
