"""From when until when suppliers and channels held which grade: kept for ever, one row a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class HeldGrade:
    """A grade of a grading.

    Attributes:
        supplier_id: The supplier.
        category_id: The category of the channel; empty for the supplier as a whole.
        grade: A to D, with gates.
        gate: What stops it; None without a gate.
        score_low: Lower bound of the score.
    """

    supplier_id: str
    category_id: str
    grade: str
    gate: str | None
    score_low: float | None


def keep_grades(conn: Connection, tenant_id: str, held: Sequence[HeldGrade], now: datetime) -> int:
    """Keep what a grading changed; who is named no more is graded no more.

    A grade that stays has no new row, so the same grading twice writes nothing. A clock that was set back
    does not reach behind what is kept: such a change counts from the last one on.

    Args:
        conn: Of the database's owner, inside a transaction.
        tenant_id: The tenant.
        held: Every grade of the grading, each supplier and category once.
        now: Business time of the grading.

    Returns:
        Changes that were written.
    """
    locks.grade_history(conn, tenant_id)
    return conn.execute(
        "with told as (select * from unnest(%(suppliers)s::text[], %(categories)s::text[],"
        "  %(grades)s::text[], %(gates)s::text[], %(lows)s::float8[])"
        "  as t (supplier_id, category_id, grade, gate, score_low)),"
        " last as (select distinct on (supplier_id, category_id) supplier_id, category_id, grade, gate,"
        "  graded_at from supply.grade_change where tenant_id = %(tenant)s"
        "  order by supplier_id, category_id, change_no desc)"
        " insert into supply.grade_change (tenant_id, supplier_id, category_id, grade, gate, score_low,"
        "  graded_at) select %(tenant)s, supplier_id, category_id, t.grade, t.gate, t.score_low,"
        "  greatest(l.graded_at, %(now)s) from told t full join last l using (supplier_id, category_id)"
        " where (t.grade, t.gate) is distinct from (l.grade, l.gate) order by supplier_id, category_id",
        {
            "tenant": tenant_id,
            "now": now,
            "suppliers": [one.supplier_id for one in held],
            "categories": [one.category_id for one in held],
            "grades": [one.grade for one in held],
            "gates": [one.gate for one in held],
            "lows": [one.score_low for one in held],
        },
    ).rowcount


@dataclass(frozen=True, slots=True)
class GradeChange:
    """A row of `supply.grade_change`; `grade` is None where it is graded no more."""

    change_no: int
    grade: str | None
    gate: str | None
    score_low: float | None
    graded_at: datetime


def changes_page(
    conn: Connection, tenant_id: str, supplier_id: str, category_id: str, *, before: int | None, limit: int
) -> list[GradeChange]:
    """Changes of a supplier as a whole, or of a channel, the newest first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: The supplier.
        category_id: The category; empty for the supplier as a whole.
        before: Only changes with a smaller number; None for the newest.
        limit: At most so many.
    """
    rows = conn.execute(
        "select change_no, grade, gate, score_low, graded_at from supply.grade_change"
        " where tenant_id = %(tenant)s and supplier_id = %(supplier)s and category_id = %(category)s"
        " and (%(before)s::bigint is null or change_no < %(before)s) order by change_no desc limit %(limit)s",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "category": category_id,
            "before": before,
            "limit": limit,
        },
    )
    return [GradeChange(*row) for row in rows]
