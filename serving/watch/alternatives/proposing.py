"""Proposing what could be done about an alarm, and doing it where the policy of the categories says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.assortment.grades import graded
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters, OfferStock
from serving.watch.alarms.records import WATCH, Alarm, Whose, alarm_of
from serving.watch.alternatives.contracts import Option
from serving.watch.alternatives.houses import houses_beside
from serving.watch.alternatives.lines import ConcernedLine, lines_concerned, offers_of
from serving.watch.alternatives.options import options_for
from serving.watch.alternatives.policies import goes_by_itself, policies_of
from serving.watch.alternatives.records import put_alternatives
from serving.watch.alternatives.rehousing import transfer_option
from serving.watch.alternatives.taking import decide

Connection = psycopg.Connection[Any]


def propose(
    conn: Connection, tenant_id: str, alarm_id: int, now: datetime, cost: CostParameters = DEFAULT_COST
) -> list[Option]:
    """Write what could be done about an alarm, and decide for what may go by itself.

    A capacity that grew asks for nothing.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        alarm_id: The alarm, without alternatives yet.
        now: Business time.
        cost: Parameters of the routing cost, as ordering has them.
    """
    locks.watch(conn, tenant_id)
    alarm = alarm_of(conn, tenant_id, alarm_id, Whose())
    if alarm.is_closed or _grew(alarm):
        return []
    lines = lines_concerned(conn, tenant_id, alarm)
    offers = offers_of(conn, tenant_id, [line.demand.sku_id for line in lines])
    if cost.grade_penalty_bps:
        offers = graded(conn, tenant_id, offers)
    days_late = _days_late(alarm, lines)
    options = options_for(lines, offers, days_late, cost)
    moved = _transfer(conn, tenant_id, alarm, lines, offers, days_late, now, cost)
    if moved is not None:
        options.insert(len(options) - 1, moved)
    put_alternatives(conn, tenant_id, alarm_id, options, now)
    _go_by_itself(conn, tenant_id, alarm_id, lines, options, now)
    return options


def _transfer(
    conn: Connection,
    tenant_id: str,
    alarm: Alarm,
    lines: Sequence[ConcernedLine],
    offers: Sequence[OfferStock],
    days_late: float | None,
    now: datetime,
    cost: CostParameters,
) -> Option | None:
    """What the other warehouses of a supplier could do about one that can ship less."""
    failed = alarm.evidence.get("warehouse_id") if alarm.kind == "capacity" else None
    if failed is None or not lines:
        return None
    own = [offer for offer in offers if offer.supplier_id == alarm.supplier_id]
    beside = houses_beside(conn, tenant_id, failed, lines, own, now, cost)
    if beside is None:
        return None
    by_sku = {offer.sku_id: offer for offer in own}
    return transfer_option(lines, by_sku, beside.houses, beside.failed_region, beside.today, days_late, cost)


def _go_by_itself(
    conn: Connection,
    tenant_id: str,
    alarm_id: int,
    lines: Sequence[ConcernedLine],
    options: Sequence[Option],
    now: datetime,
) -> None:
    """Take the cheapest other suppliers where the policies of every line's category let it."""
    first = next((n for n, one in enumerate(options, start=1) if one.kind == "other_supplier"), None)
    if first is None or not options[first - 1].is_takeable:
        return
    policies = policies_of(conn, tenant_id)
    paths = {(line.demand.order_id, line.demand.line_no): line.category_ids for line in lines}
    if all(
        goes_by_itself(policies, paths[move.order_id, move.line_no], move.cost_change_cents)
        for move in options[first - 1].moves
    ):
        decide(conn, tenant_id, alarm_id, first, WATCH, now)


def _grew(alarm: Alarm) -> bool:
    """Whether more can be shipped than is usual; the swing of a capacity that was 0 is no number."""
    return alarm.kind == "capacity" and bool(alarm.evidence["capacity"] > alarm.evidence["median"])


def _days_late(alarm: Alarm, lines: Sequence[ConcernedLine]) -> float | None:
    """How much later lines come that stay: by the parcel's estimate, or by the queue."""
    if alarm.kind == "delay":
        hours = alarm.evidence.get("hours_late")
        return None if hours is None else hours / 24
    capacity, usual = alarm.evidence["capacity"], alarm.evidence["median"]
    if not capacity or not usual:
        return None
    waiting = sum(line.demand.qty for line in lines)
    return float(waiting / capacity - waiting / usual)
