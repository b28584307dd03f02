"""Held levels as rows, and what follows from a change: history, cases, frozen suppliers, recalls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from models.supply.brake.ladder import Held, Level

Connection = psycopg.Connection[Any]
Cause = Literal["estimate", "complaint", "clean_days", "case_closed", "override", "override_ended"]

SUPPLIERS = "suppliers"
"""Key of the evidence: whom a recall points to."""
BATCHES = "batches"
"""Key of the evidence: the batches that ask for the level, where the sku as a whole does not."""
Lines = Sequence[tuple[str, int]]
"""(order, line) of what a recall is of."""


@dataclass(frozen=True, slots=True)
class Brake:
    """How a sku is held.

    Attributes:
        sku_id: The sku.
        held_level: What the estimates and the ladder say.
        clean_since: Since when the newest estimates ask for less.
        reason_code: The rule behind `held_level`.
        evidence: Its numbers.
        judged_at: When it was last judged.
        counted_from: When its last improvement case was closed.
        override_level: What a person set, while it holds.
        override_until: Until when.
        override_reason: Why, as a code.
        override_approval_id: The request that two persons agreed on.
        level: What is in force, until somebody notices that an override has ended.
    """

    sku_id: str
    held_level: Level
    clean_since: datetime | None
    reason_code: str
    evidence: Mapping[str, Any]
    judged_at: datetime
    counted_from: datetime | None
    override_level: Level | None
    override_until: datetime | None
    override_reason: str | None
    override_approval_id: int | None
    level: Level

    def __post_init__(self) -> None:
        object.__setattr__(self, "held_level", Level(self.held_level))
        object.__setattr__(self, "level", Level(self.level))
        if self.override_level is not None:
            object.__setattr__(self, "override_level", Level(self.override_level))

    @property
    def held(self) -> Held:
        """As the ladder takes it."""
        return Held(self.held_level, self.clean_since)

    def with_held(self, held: Held) -> Brake:
        """The same with what the ladder made of it."""
        level = self.level if self.override_level is not None else held.level
        return replace(self, held_level=held.level, clean_since=held.clean_since, level=level)


_COLUMNS = (
    "sku_id, held_level, clean_since, reason_code, evidence, judged_at, counted_from, override_level,"
    " override_until, override_reason, override_approval_id, level"
)


def never_judged(sku_id: str, now: datetime) -> Brake:
    """A sku that nothing holds and nothing ever held."""
    return Brake(sku_id, Level.FREE, None, "below_line", {}, now, None, None, None, None, None, Level.FREE)


def brakes(conn: Connection, tenant_id: str, sku_ids: Sequence[str] | None = None) -> dict[str, Brake]:
    """Held skus by id; whoever changes one holds `locks.brake`.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_ids: Only these; None takes all.
    """
    with conn.cursor(row_factory=class_row(Brake)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from quality.brake where tenant_id = %(tenant)s"
            " and (%(skus)s::text[] is null or sku_id = any(%(skus)s)) order by sku_id",
            {"tenant": tenant_id, "skus": None if sku_ids is None else list(sku_ids)},
        )
        return {brake.sku_id: brake for brake in cursor}


def keep(
    conn: Connection,
    tenant_id: str,
    before: Brake,
    after: Brake,
    cause: Cause,
    now: datetime,
    lines: Lines = (),
) -> None:
    """Write how a sku is held from now on, and do what the change of its level asks for.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake`.
        tenant_id: The tenant.
        before: How it was held.
        after: How it is held.
        cause: Why that changed, if it did.
        now: Business time.
        lines: What a recall is of; none: every line of the sku.
    """
    conn.execute(
        "insert into quality.brake (tenant_id, sku_id, held_level, clean_since, reason_code, evidence,"
        " judged_at, counted_from, override_level, override_until, override_reason, override_approval_id)"
        " values (%(tenant)s, %(sku)s, %(held)s, %(clean)s, %(reason)s, %(evidence)s, %(judged)s,"
        " %(counted)s, %(level)s, %(until)s, %(why)s, %(approval)s)"
        " on conflict (tenant_id, sku_id) do update set held_level = excluded.held_level,"
        " clean_since = excluded.clean_since, reason_code = excluded.reason_code,"
        " evidence = excluded.evidence, judged_at = excluded.judged_at,"
        " counted_from = excluded.counted_from, override_level = excluded.override_level,"
        " override_until = excluded.override_until, override_reason = excluded.override_reason,"
        " override_approval_id = excluded.override_approval_id",
        {
            "tenant": tenant_id,
            "sku": after.sku_id,
            "held": int(after.held_level),
            "clean": after.clean_since,
            "reason": after.reason_code,
            "evidence": Jsonb(dict(after.evidence)),
            "judged": after.judged_at,
            "counted": after.counted_from,
            "level": None if after.override_level is None else int(after.override_level),
            "until": after.override_until,
            "why": after.override_reason,
            "approval": after.override_approval_id,
        },
    )
    if before.level != after.level:
        _note(conn, tenant_id, before, after, cause, now)
        _recall(conn, tenant_id, before, after, now, lines)
    _hold_case(conn, tenant_id, after, now)


def _note(conn: Connection, tenant_id: str, before: Brake, after: Brake, cause: Cause, now: datetime) -> None:
    conn.execute(
        "insert into quality.change (tenant_id, sku_id, changed_at, from_level, to_level, cause, reason_code,"
        " evidence) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            after.sku_id,
            now,
            int(before.level),
            int(after.level),
            cause,
            after.override_reason if cause == "override" else after.reason_code,
            Jsonb(dict(after.evidence)),
        ),
    )


def _recall(
    conn: Connection, tenant_id: str, before: Brake, after: Brake, now: datetime, lines: Lines
) -> None:
    """At level 4 the suppliers to blame are frozen and buyers are to be told; below it nobody is frozen."""
    if after.level == Level.RECALL:
        conn.execute(
            "insert into quality.frozen_supplier (tenant_id, supplier_id, sku_id, frozen_at)"
            " select %s, supplier_id, %s, %s from unnest(%s::text[]) as s (supplier_id)"
            " on conflict do nothing",
            (tenant_id, after.sku_id, now, sorted(after.evidence.get(SUPPLIERS, []))),
        )
        conn.execute(
            "with made as (insert into quality.recall (tenant_id, sku_id, reason_code, evidence, opened_at)"
            " values (%s, %s, %s, %s, %s) returning recall_id)"
            " insert into quality.recall_line (recall_id, tenant_id, order_id, line_no)"
            " select recall_id, %s, order_id, line_no from made,"
            " unnest(%s::text[], %s::integer[]) as l (order_id, line_no)",
            (
                tenant_id,
                after.sku_id,
                after.override_reason or after.reason_code,
                Jsonb(dict(after.evidence)),
                now,
                tenant_id,
                [order_id for order_id, _ in lines],
                [line_no for _, line_no in lines],
            ),
        )
    elif before.level == Level.RECALL:
        conn.execute(
            "update quality.frozen_supplier set lifted_at = %s where tenant_id = %s and sku_id = %s"
            " and lifted_at is null",
            (now, tenant_id, after.sku_id),
        )


def _hold_case(conn: Connection, tenant_id: str, after: Brake, now: datetime) -> None:
    """There is an open improvement case as long as a sku is held at level 2 or more."""
    if after.held_level >= Level.LIMIT:
        conn.execute(
            "insert into quality.improvement_case (tenant_id, sku_id, opened_level, opened_at)"
            " values (%s, %s, %s, %s) on conflict (tenant_id, sku_id) where closed_at is null do nothing",
            (tenant_id, after.sku_id, int(after.held_level), now),
        )
    else:
        conn.execute(
            "update quality.improvement_case set closed_at = %s where tenant_id = %s and sku_id = %s"
            " and closed_at is null",
            (now, tenant_id, after.sku_id),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the level in force, and the numbers of then."""

    changed_at: datetime
    from_level: int
    to_level: int
    cause: str
    reason_code: str
    evidence: Mapping[str, Any]


def history_of(conn: Connection, tenant_id: str, sku_id: str, *, limit: int) -> list[Change]:
    """The newest changes of a sku, newest first."""
    with conn.cursor(row_factory=class_row(Change)) as cursor:
        cursor.execute(
            "select changed_at, from_level, to_level, cause, reason_code, evidence from quality.change"
            " where tenant_id = %s and sku_id = %s order by change_id desc limit %s",
            (tenant_id, sku_id, limit),
        )
        return cursor.fetchall()
