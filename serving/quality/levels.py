"""The levels in force, for ordering, listing and lists. Who changes them: `judging`, `overrides`, `cases`.

A level may change at any moment. Whoever sells holds `locks.brake_stays` from before the read until commit,
and whoever changes a level waits for all of them: nothing is sold after a stop is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row

from models.supply.brake.ladder import Level

Connection = psycopg.Connection[Any]

FROZEN: Final[LiteralString] = (
    "exists (select from quality.frozen_supplier f where f.tenant_id = o.tenant_id"
    " and f.supplier_id = o.supplier_id and f.lifted_at is null)"
)
"""The supplier of the offer `o` is frozen: none of its offers routes."""

STOPPED: Final[LiteralString] = (
    "select b.sku_id from quality.brake b where b.tenant_id = %(tenant)s and b.level >= 3"
)
"""Skus at `Level.STOP` or above, for lists: up to the next judgement an override that ended counts there."""

_IN_FORCE: Final[LiteralString] = (
    "case when b.override_until > %(now)s then b.override_level else b.held_level end"
)


@dataclass(frozen=True, slots=True)
class InForce:
    """The level of a sku, and the rule that put it there."""

    sku_id: str
    level: Level
    reason_code: str

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of it may be sold or listed anew."""
        return self.level >= Level.STOP

    @property
    def is_limited(self) -> bool:
        """Whether nothing may promote it."""
        return self.level >= Level.LIMIT


def in_force(conn: Connection, tenant_id: str, sku_ids: Iterable[str], now: datetime) -> list[InForce]:
    """The skus among some that the brake holds at this moment, by id.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_ids: Wanted skus.
        now: Business time: an override that has ended does not count, whoever has noticed that.
    """
    rows = conn.execute(
        f"select b.sku_id, {_IN_FORCE}, case when b.override_until > %(now)s then b.override_reason"
        " else b.reason_code end from quality.brake b where b.tenant_id = %(tenant)s"
        f" and b.sku_id = any(%(skus)s) and {_IN_FORCE} > 0 order by b.sku_id",
        {"tenant": tenant_id, "skus": sorted(set(sku_ids)), "now": now},
    )
    return [InForce(sku_id, Level(level), reason) for sku_id, level, reason in rows]


def all_in_force(conn: Connection, tenant_id: str, now: datetime) -> list[InForce]:
    """Every sku that the brake holds at this moment, by id."""
    rows = conn.execute(
        f"select b.sku_id, {_IN_FORCE}, case when b.override_until > %(now)s then b.override_reason"
        " else b.reason_code end from quality.brake b where b.tenant_id = %(tenant)s"
        f" and {_IN_FORCE} > 0 order by b.sku_id",
        {"tenant": tenant_id, "now": now},
    )
    return [InForce(sku_id, Level(level), reason) for sku_id, level, reason in rows]


def newest_change(conn: Connection, tenant_id: str) -> int:
    """Number of the newest change of a level; 0 before the first."""
    row = conn.execute(
        "select coalesce(max(change_id), 0) from quality.change where tenant_id = %s", (tenant_id,)
    ).fetchone()
    return int(row[0]) if row else 0


def frozen_suppliers(conn: Connection, tenant_id: str) -> list[str]:
    """Suppliers whose offers do not route, by id."""
    rows = conn.execute(
        "select distinct supplier_id from quality.frozen_supplier where tenant_id = %s and lifted_at is null"
        " order by supplier_id",
        (tenant_id,),
    )
    return [supplier_id for (supplier_id,) in rows]


def counted_from(conn: Connection, tenant_id: str) -> dict[str, datetime]:
    """Sku to when its last improvement case was closed: what was delivered before is answered."""
    return dict(
        conn.execute(
            "select sku_id, counted_from from quality.brake where tenant_id = %s"
            " and counted_from is not null order by sku_id",
            (tenant_id,),
        ).fetchall()
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A level as it is shown.

    Attributes:
        sku_id: The sku.
        level: The level in force.
        reason_code: The rule, or the reason of the person who set it.
        held_level: What the estimates say, where a person set another one.
        override_until: Until when a person's word holds; None where none does.
        judged_at: When it was last judged.
    """

    sku_id: str
    level: int
    reason_code: str
    held_level: int
    override_until: datetime | None
    judged_at: datetime


def levels_page(
    conn: Connection,
    tenant_id: str,
    party: tuple[str, str] | None,
    now: datetime,
    *,
    min_level: int,
    after: str,
    limit: int,
) -> list[Shown]:
    """Levels after a sku, by sku.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party: Type and id: a merchant's listings or a supplier's offers alone; None shows all.
        now: Business time.
        min_level: Only levels of so much or more.
        after: The last sku of the page before.
        limit: Most rows.
    """
    party_type, party_id = party or (None, None)
    with conn.cursor(row_factory=class_row(Shown)) as cursor:
        cursor.execute(
            f"select b.sku_id, {_IN_FORCE} as level, case when b.override_until > %(now)s"
            " then b.override_reason else b.reason_code end as reason_code, b.held_level,"
            " case when b.override_until > %(now)s then b.override_until end as override_until, b.judged_at"
            f" from quality.brake b where b.tenant_id = %(tenant)s and {_IN_FORCE} >= %(least)s"
            " and b.sku_id > %(after)s and (%(type)s::text is null"
            " or (%(type)s = 'merchant' and exists (select from orders.listing l"
            "   where l.tenant_id = b.tenant_id and l.merchant_id = %(party)s and l.sku_id = b.sku_id))"
            " or (%(type)s = 'supplier' and exists (select from orders.offer o"
            "   where o.tenant_id = b.tenant_id and o.supplier_id = %(party)s and o.sku_id = b.sku_id)))"
            " order by b.sku_id limit %(limit)s",
            {
                "tenant": tenant_id,
                "now": now,
                "least": min_level,
                "after": after,
                "type": party_type,
                "party": party_id,
                "limit": limit,
            },
        )
        return cursor.fetchall()
