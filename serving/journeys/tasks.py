"""Tasks for people, of journeys and about agents: claimed by one, ended, measured against their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from serving.db import locks
from serving.journeys.errors import JourneyStateError, JourneyUnknownError

Connection = psycopg.Connection[Any]
TaskState = Literal["open", "claimed", "done", "dropped"]


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        task_id: Its number.
        journey_id: Which journey asks; `dormant_agent` where no journey does.
        consumer_id: About whom; None where it is about an agent.
        agent_id: About which agent; None where it is about a consumer.
        title: What is to be done.
        sku_ids: What to speak about.
        asked_at: When it was made.
        due_at: Until when it should be claimed.
        state: Where it stands.
        claimed_by: By whom.
        claimed_at: When.
        ended_at: When it was done or dropped.
        outcome: What came of it.
    """

    task_id: int
    journey_id: str
    consumer_id: str | None
    agent_id: str | None
    title: str
    sku_ids: list[str]
    asked_at: datetime
    due_at: datetime
    state: TaskState
    claimed_by: str | None
    claimed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None

    def is_late(self, now: datetime) -> bool:
        """Whether it was claimed after its time, or is open after it."""
        return (self.claimed_at or self.ended_at or now) > self.due_at


_COLUMNS = ", ".join(Task.__dataclass_fields__)


def page(conn: Connection, tenant_id: str, state: TaskState, *, after: int, limit: int) -> list[Task]:
    """Tasks in a state by number."""
    with conn.cursor(row_factory=class_row(Task)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from journeys.task where tenant_id = %s and state = %s and task_id > %s"
            " order by task_id limit %s".encode(),
            (tenant_id, state, after, limit),
        ).fetchall()


def claim(conn: Connection, tenant_id: str, task_id: int, by: str, now: datetime) -> Task:
    """Take an open task; again by the same person changes nothing.

    Raises:
        JourneyUnknownError: There is no such task.
        JourneyStateError: Somebody else has it, or it is over.
    """
    found = _locked(conn, tenant_id, task_id)
    if found.state == "claimed" and found.claimed_by == by:
        return found
    if found.state != "open":
        raise JourneyStateError(f"task {task_id} is {found.state} by {found.claimed_by or 'nobody'}")
    conn.execute(
        "update journeys.task set state = 'claimed', claimed_by = %s, claimed_at = %s"
        " where tenant_id = %s and task_id = %s",
        (by, now, tenant_id, task_id),
    )
    return _locked(conn, tenant_id, task_id)


def end(
    conn: Connection,
    tenant_id: str,
    task_id: int,
    by: str,
    state: Literal["done", "dropped"],
    outcome: str,
    now: datetime,
) -> Task:
    """Say what came of a task that one has claimed.

    Raises:
        JourneyUnknownError: There is no such task.
        JourneyStateError: It is not claimed by this person.
    """
    found = _locked(conn, tenant_id, task_id)
    if found.state != "claimed" or found.claimed_by != by:
        raise JourneyStateError(f"task {task_id} is {found.state}; claim it before ending it")
    conn.execute(
        "update journeys.task set state = %s, outcome = %s, ended_at = %s"
        " where tenant_id = %s and task_id = %s",
        (state, outcome, now, tenant_id, task_id),
    )
    return _locked(conn, tenant_id, task_id)


def _locked(conn: Connection, tenant_id: str, task_id: int) -> Task:
    locks.journey_task(conn, tenant_id, task_id)
    with conn.cursor(row_factory=class_row(Task)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from journeys.task where tenant_id = %s and task_id = %s".encode(),
            (tenant_id, task_id),
        ).fetchone()
    if found is None:
        raise JourneyUnknownError(f"there is no task {task_id}")
    return found
