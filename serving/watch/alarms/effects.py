"""What alarms brought: how long before the harm they opened, and what was done about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.Connection[Any]

HARM_AFTER = timedelta(hours=24)
"""A parcel does harm from so long after its promise on: what an alarm of delay warns of."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What the alarms of a kind brought, of those that were opened in a window.

    Attributes:
        kind: The kind.
        warned_ahead: Alarms that opened before the harm; of capacities there is no moment of harm: 0.
        median_hours_ahead: Hours from the opening to the harm, in the middle of all alarms of parcels,
            negative where it opened later; None without any.
        proposed: Alarms with an alternative at least.
        taken: Alarms of which one was taken, by a person or a policy.
        lines_moved: Order lines that went to another supplier or warehouse because of them.
    """

    kind: str
    warned_ahead: int
    median_hours_ahead: float | None
    proposed: int
    taken: int
    lines_moved: int


def effects(conn: Connection, tenant_id: str, since: datetime, now: datetime) -> list[Effects]:
    """What alarms brought, by kind.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        since: Alarms opened from then on.
        now: Business time.
    """
    with conn.cursor(row_factory=class_row(Effects)) as cursor:
        cursor.execute(
            "with told as (select a.*, extract(epoch from p.promised_at + %(harm)s - a.opened_at)::float8"
            "  / 3600 as hours_ahead from watch.alarm a left join watch.parcel p"
            "  on p.tenant_id = a.tenant_id and p.shipment_id = a.object_id and a.kind = 'delay'"
            "  where a.tenant_id = %(tenant)s and a.opened_at between %(since)s and %(now)s)"
            " select t.kind, count(*) filter (where hours_ahead > 0) as warned_ahead,"
            " percentile_cont(.5) within group (order by hours_ahead) as median_hours_ahead,"
            " count(*) filter (where exists (select from watch.alternative o"
            "  where o.tenant_id = %(tenant)s and o.alarm_id = t.alarm_id)) as proposed,"
            " count(*) filter (where exists (select from watch.alternative o"
            "  where o.tenant_id = %(tenant)s and o.alarm_id = t.alarm_id and o.taken_at is not null))"
            "  as taken,"
            " coalesce(sum((select sum((select count(*) from jsonb_object_keys(c.moved)))"
            "  from watch.action c where c.tenant_id = %(tenant)s and c.alarm_id = t.alarm_id"
            "  and c.done_at is not null)), 0)::bigint as lines_moved"
            " from told t group by t.kind order by t.kind",
            {"tenant": tenant_id, "since": since, "now": now, "harm": HARM_AFTER},
        )
        return cursor.fetchall()
