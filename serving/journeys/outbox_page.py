"""The outbox as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Entry:
    """A message.

    Attributes:
        message_id: Its number.
        consumer_id: To whom.
        step: Which step asked for it.
        channel: By which way.
        state: What became of it.
        reason: Why it was withheld or failed.
        body: Its text; empty where nothing went out.
        decided_at: When the guards were asked.
        sent_at: When it was handed over.
        told_at: When the channel told of its end.
        clicked_at: When its link was opened first.
    """

    message_id: int
    consumer_id: str
    step: str
    channel: str
    state: str
    reason: str | None
    body: str
    decided_at: datetime
    sent_at: datetime | None
    told_at: datetime | None
    clicked_at: datetime | None


_COLUMNS = ", ".join(Entry.__dataclass_fields__)


def page(conn: Connection, tenant_id: str, journey_id: str, *, after: int, limit: int) -> list[Entry]:
    """Messages of a journey by number, after the given one."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from journeys.message where tenant_id = %s and journey_id = %s"
            " and message_id > %s order by message_id limit %s".encode(),
            (tenant_id, journey_id, after, limit),
        ).fetchall()
