"""Alternatives as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from serving.watch.alternatives.contracts import Option

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Alternative:
    """An option of an alarm, numbered from 1; see `options.Option`."""

    option_no: int
    kind: str
    moves: list[dict[str, Any]]
    lines: int
    cost_change_cents: int
    arrival_change_days: float | None
    is_takeable: bool
    made_at: datetime
    taken_at: datetime | None
    taken_by: str | None


def put_alternatives(
    conn: Connection, tenant_id: str, alarm_id: int, options: Sequence[Option], now: datetime
) -> None:
    """Write what could be done about an alarm that has no alternatives yet."""
    for number, option in enumerate(options, start=1):
        conn.execute(
            "insert into watch.alternative (tenant_id, alarm_id, option_no, kind, moves, lines,"
            " cost_change_cents, arrival_change_days, is_takeable, made_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            (
                tenant_id,
                alarm_id,
                number,
                option.kind,
                Jsonb([asdict(move) for move in option.moves]),
                option.lines,
                option.cost_change_cents,
                option.arrival_change_days,
                option.is_takeable,
                now,
            ),
        )


def alternatives_of(conn: Connection, tenant_id: str, alarm_id: int) -> list[Alternative]:
    """What could be done about an alarm, by number; at most five."""
    with conn.cursor(row_factory=class_row(Alternative)) as cursor:
        cursor.execute(
            "select option_no, kind, moves, lines, cost_change_cents, arrival_change_days, is_takeable,"
            " made_at, taken_at, taken_by from watch.alternative where tenant_id = %s and alarm_id = %s"
            " order by option_no",
            (tenant_id, alarm_id),
        )
        return cursor.fetchall()


def without_alternatives(conn: Connection, tenant_id: str) -> list[int]:
    """Open alarms for which nothing was proposed yet, by number."""
    rows = conn.execute(
        "select alarm_id from watch.alarm a where tenant_id = %s and closed_at is null"
        " and not exists (select from watch.alternative n where n.tenant_id = a.tenant_id"
        "  and n.alarm_id = a.alarm_id) order by alarm_id",
        (tenant_id,),
    )
    return [int(alarm_id) for (alarm_id,) in rows]


def seconds_to_alternatives(conn: Connection, tenant_id: str, alarm_ids: Sequence[int]) -> list[float]:
    """Seconds by the wall clock from alarms to their alternatives, by alarm."""
    rows = conn.execute(
        "select extract(epoch from max(n.noted_at) - min(a.noted_at))::float8 from watch.alarm a"
        " join watch.alternative n using (tenant_id, alarm_id)"
        " where a.tenant_id = %s and a.alarm_id = any(%s) group by a.alarm_id order by a.alarm_id",
        (tenant_id, list(alarm_ids)),
    )
    return [float(seconds) for (seconds,) in rows]
