"""Payments that a channel holds are freed at the deadline, before the channel frees them by itself.

Source: common rules, release (a channel unfreezes after 30 days, the job acts at day 25).
"""

from __future__ import annotations

from datetime import datetime

import psycopg

from serving.channels.requests import NewRequest, open_request
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.windows import windows_of


def held_plans(conn: psycopg.Connection, tenant_id: str) -> list[tuple[str, int]]:
    """Plan versions under which payments were made that a channel still holds."""
    return conn.execute(
        "select distinct o.plan_id, o.plan_version from orders.payment p"
        " join orders.customer_order o using (tenant_id, order_id)"
        " where p.tenant_id = %s and p.split_max_bps > 0 and p.captured_cents > 0 and o.plan_id is not null"
        " and not exists (select from channels.request u where u.tenant_id = p.tenant_id"
        "  and u.kind = 'unfreeze' and u.subject = p.payment_id) order by 1, 2",
        (tenant_id,),
    ).fetchall()


def ask_unfreezes(conn: psycopg.Connection, tenant_id: str, plan: PlanVersion, now: datetime) -> int:
    """Ask channels to free payments whose deadline under a plan has come; how many.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        plan: The version under which they were paid.
        now: Business time.
    """
    rows = conn.execute(
        "select p.channel_id, p.payment_id, p.order_id, p.captured_cents from orders.payment p"
        " join orders.customer_order o using (tenant_id, order_id)"
        " where p.tenant_id = %s and p.split_max_bps > 0 and p.captured_cents > o.refunded_cents"
        " and o.plan_id = %s and o.plan_version = %s and p.paid_at <= %s"
        " and not exists (select from channels.request u where u.tenant_id = p.tenant_id"
        "  and u.kind = 'unfreeze' and u.subject = p.payment_id) order by p.payment_id",
        (tenant_id, plan.plan_id, plan.version, now - windows_of(plan).deadline),
    ).fetchall()
    for channel_id, payment_id, order_id, cents in rows:
        wanted = NewRequest(
            "unfreeze", payment_id, channel_id, cents, "deadline", payment_id, order_id=order_id
        )
        open_request(conn, tenant_id, wanted, now)
    return len(rows)
