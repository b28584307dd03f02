"""P15: from when a supplier is paid out what was released. Weekly: from the Monday after; T+n: n days after.

Mondays are those of the tenant's time zone.

A release makes the money the supplier's; the pay-out waits for the cadence of the plan that each order was
paid under. Orders of a plan that cannot be read, or that has no rule, are not held back.

Source: P15.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from serving.db.calendar import day_start, local_day, zone_of
from serving.ledger.accounts import Party
from serving.settlement.errors import PlanUnreadableError
from serving.settlement.plans.rules import SupplierRule
from serving.settlement.plans.store import plan_version

_LONGEST = timedelta(days=120)


def payable_from(rule: SupplierRule, window_ended_at: datetime, zone: ZoneInfo) -> datetime:
    """From when a supplier is paid for what could be released at a moment, UTC.

    >>> from datetime import UTC, datetime
    >>> from serving.settlement.plans.profiles import load_shipped
    >>> weekly = load_shipped().only(SupplierRule)
    >>> payable_from(weekly, datetime(2026, 3, 11, 12, tzinfo=UTC), ZoneInfo("Asia/Shanghai")).isoformat()
    '2026-03-15T16:00:00+00:00'
    """
    if rule.cadence == "t_plus":
        return window_ended_at + timedelta(days=rule.days_after_window)
    day = local_day(window_ended_at, zone)
    return day_start(day + timedelta(days=7 - day.weekday()), zone)


def not_payable_yet(
    conn: psycopg.Connection, tenant_id: str, suppliers: Collection[Party], now: datetime
) -> dict[Party, int]:
    """What suppliers have from releases whose day of payment has not come, fen.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        suppliers: Whom to look at.
        now: Moment of the pay-out.
    """
    rows = conn.execute(
        "select l.payee_id, l.plan_id, l.plan_version, s.release_due_at,"
        " sum(l.amount_cents - l.reversed_cents - l.forfeited_cents)::bigint"
        " from settlement.leg l join orders.sub_order s using (tenant_id, order_id, supplier_id)"
        " where l.tenant_id = %s and l.payee_type = 'supplier' and l.payee_id = any(%s)"
        " and l.state = 'released' and l.released_at > %s and not l.is_replaced"
        " group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        (tenant_id, sorted({party.party_id for party in suppliers}), now - _LONGEST),
    ).fetchall()
    zone = zone_of(conn, tenant_id)
    rules: dict[tuple[str, int], SupplierRule | None] = {}
    waiting: dict[Party, int] = {}
    for supplier_id, plan_id, version, window_ended_at, cents in rows:
        name = (plan_id, version)
        if name not in rules:
            rules[name] = _rule(conn, tenant_id, plan_id, version)
        rule = rules[name]
        if (
            rule is not None
            and window_ended_at is not None
            and payable_from(rule, window_ended_at, zone) > now
        ):
            party = Party("supplier", supplier_id)
            waiting[party] = waiting.get(party, 0) + cents
    return waiting


def _rule(conn: psycopg.Connection, tenant_id: str, plan_id: str, version: int) -> SupplierRule | None:
    try:
        return plan_version(conn, tenant_id, plan_id, version).only(SupplierRule)
    except PlanUnreadableError:
        return None
