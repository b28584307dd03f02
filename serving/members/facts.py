"""What members did that this database knows best: released spend net of refunds, and verified texts.

Orders that were recorded here, or replayed, count by their parts: once their money is released, with what
was not refunded, as points do. Orders that came by files only are not in here; the warehouse knows them.
"""

from __future__ import annotations

from datetime import date
from typing import Any, LiteralString

import psycopg

Connection = psycopg.Connection[Any]


def released_spend(
    conn: Connection, tenant_id: str, zone: str, first: date, last: date
) -> list[tuple[str, date, int]]:
    """Consumer, local day of the release, fen that were paid and not refunded; one row per consumer and day.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        zone: IANA name of the zone of the shops.
        first: First local day.
        last: Last local day.
    """
    return conn.execute(
        _RELEASED, {"tenant": tenant_id, "zone": zone, "first": first, "last": last}
    ).fetchall()


def verified_texts(
    conn: Connection, tenant_id: str, zone: str, first: date, last: date
) -> list[tuple[str, date, int]]:
    """Consumer, local day, texts about what the consumer had bought; one row per consumer and day.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        zone: IANA name of the zone of the shops.
        first: First local day.
        last: Last local day.
    """
    return conn.execute(
        _WRITTEN, {"tenant": tenant_id, "zone": zone, "first": first, "last": last}
    ).fetchall()


_RELEASED: LiteralString = """
select o.consumer_id, p.day, sum(n.net_paid_cents - n.refunded_cents)::bigint
from (
    select order_id, supplier_id, (min(released_at) at time zone %(zone)s)::date as day
    from settlement.leg where tenant_id = %(tenant)s and released_at is not null group by 1, 2
) p
join orders.customer_order o on o.tenant_id = %(tenant)s and o.order_id = p.order_id
join orders.order_line n on n.tenant_id = o.tenant_id and n.order_id = o.order_id
    and n.supplier_id = p.supplier_id
where p.day between %(first)s and %(last)s and o.status not in ('cancelled', 'refunded')
group by 1, 2 order by 1, 2
"""
_WRITTEN: LiteralString = """
select consumer_id, (occurred_at at time zone %(zone)s)::date as day, count(*)
from feedback.message
where tenant_id = %(tenant)s and is_verified
    and (occurred_at at time zone %(zone)s)::date between %(first)s and %(last)s
group by 1, 2 order by 1, 2
"""
