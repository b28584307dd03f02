"""The deadline before the payment channel unfreezes: what cannot be released yet leaves the channel's freeze.

The shares themselves keep waiting; their later release does not move the channel again. A channel that holds
payments for splitting is asked to free them.

Source: common rules, release (a channel unfreezes after 30 days, the job acts at day 25).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import partial
from typing import NamedTuple

import psycopg

from serving.db.isolation import Alarm, isolated, log_alarm, no_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import Party
from serving.ledger.posting import Posting
from serving.ledger.posting_bulk import post_many
from serving.settlement.books.accrual import lock_orders
from serving.settlement.books.legs import StoredLeg, order_legs, summed
from serving.settlement.books.release import release_due, unfreeze
from serving.settlement.books.unfreeze_requests import ask_unfreezes, held_plans
from serving.settlement.control.blocks import Blocks, SubOrder, read_blocks
from serving.settlement.order_book import OrderBook
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.store import plan_version
from serving.settlement.plans.windows import windows_of


class NotReleased(NamedTuple):
    """A share that still waits at the deadline.

    Attributes:
        order_id: The order.
        supplier_id: Its sub-order.
        leg_id: The leg.
        payee: Who waits.
        due_cents: For how much, fen.
        reasons: Why: `not_received`, `window`, `after_sale_open`, `hold:<code>`, `not_verified`, `locked`;
            `channel_came_first` where the channel had given the money free before this job came.
    """

    order_id: str
    supplier_id: str
    leg_id: int
    payee: Party
    due_cents: int
    reasons: tuple[str, ...]


class _Position(NamedTuple):
    accrued_at: datetime
    order_id: str


def unfreeze_due(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    batch: int = 200,
    alarm: Alarm = log_alarm,
    *,
    orders: OrderBook,
) -> list[NotReleased]:
    """Release what can be, and take the rest of what was paid long enough ago out of the channel's freeze.

    How long is what the plan says that an order was paid under. A batch that fails is done again one order at
    a time, and only those that cannot be done wait, each with an alarm.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Time of booking.
        batch: Orders in a transaction.
        alarm: Is told of every order, and of every plan, that is stopped.
        orders: Is told what was released.

    Returns:
        Every share that this run took out and that nobody could be paid, with the reasons.
    """
    release_due(transactions, tenant_id, now, alarm=alarm, orders=orders)
    waiting: list[NotReleased] = []
    for plan_id, version in in_transaction(transactions, partial(_frozen_plans, tenant_id=tenant_id)):
        read = partial(plan_version, tenant_id=tenant_id, plan_id=plan_id, version=version)
        plan = isolated(transactions, f"the deadline under plan {plan_id} {version}", read, alarm)
        if plan is not None:
            waiting += _unfreeze_plan(transactions, tenant_id, now, plan, batch, alarm)
    for plan_id, version in in_transaction(transactions, partial(held_plans, tenant_id=tenant_id)):
        ask = partial(_ask_under, tenant_id=tenant_id, plan_id=plan_id, version=version, now=now)
        isolated(transactions, f"unfreezing under plan {plan_id} {version}", ask, alarm)
    return waiting


def _ask_under(conn: psycopg.Connection, tenant_id: str, plan_id: str, version: int, now: datetime) -> int:
    return ask_unfreezes(conn, tenant_id, plan_version(conn, tenant_id, plan_id, version), now)


def _unfreeze_plan(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    plan: PlanVersion,
    batch: int,
    alarm: Alarm,
) -> list[NotReleased]:
    waiting: list[NotReleased] = []
    position: _Position | None = None
    while True:
        claim = partial(_frozen_orders, tenant_id=tenant_id, now=now, plan=plan, batch=batch, after=position)
        positions = in_transaction(transactions, claim)
        if not positions:
            return waiting
        position = positions[-1]
        free_since = now - windows_of(plan).channel
        late = {one.order_id for one in positions if one.accrued_at <= free_since}
        order_ids = [one.order_id for one in positions]
        work = partial(_unfreeze_orders, tenant_id=tenant_id, now=now, order_ids=order_ids, late=late)
        found = isolated(transactions, "a batch of the deadline", work, no_alarm)
        if found is None:
            found = []
            for order_id in order_ids:
                work = partial(
                    _unfreeze_orders, tenant_id=tenant_id, now=now, order_ids=[order_id], late=late
                )
                found += isolated(transactions, f"the deadline of order {order_id}", work, alarm) or []
        waiting += found


def _frozen_plans(conn: psycopg.Connection, tenant_id: str) -> list[tuple[str, int]]:
    """Plan versions with money in the channel's freeze."""
    return conn.execute(
        "select distinct plan_id, plan_version from settlement.leg"
        " where tenant_id = %s and not is_unfrozen and state <> 'voided' order by 1, 2",
        (tenant_id,),
    ).fetchall()


def _frozen_orders(
    conn: psycopg.Connection,
    tenant_id: str,
    now: datetime,
    plan: PlanVersion,
    batch: int,
    after: _Position | None,
) -> list[_Position]:
    rows = conn.execute(
        """
        select distinct accrued_at, order_id from settlement.leg
        where tenant_id = %(tenant)s and not is_unfrozen and state <> 'voided' and accrued_at <= %(due)s
            and plan_id = %(plan)s and plan_version = %(version)s
            and (%(after)s::timestamptz is null or (accrued_at, order_id) > (%(after)s, %(order)s))
        order by accrued_at, order_id limit %(limit)s
        """,
        {
            "tenant": tenant_id,
            "due": now - windows_of(plan).deadline,
            "plan": plan.plan_id,
            "version": plan.version,
            "after": after.accrued_at if after else None,
            "order": after.order_id if after else "",
            "limit": batch,
        },
    )
    return [_Position(*row) for row in rows]


def _unfreeze_orders(
    conn: psycopg.Connection, tenant_id: str, now: datetime, order_ids: list[str], late: set[str]
) -> list[NotReleased]:
    """Take what is left of orders out of the freeze; shares that wait on, with the reasons."""
    lock_orders(conn, tenant_id, order_ids)
    frozen: dict[str, list[StoredLeg]] = defaultdict(list)
    for leg in order_legs(conn, tenant_id, order_ids):
        if not leg.is_unfrozen and leg.state != "voided":
            frozen[leg.order_id].append(leg)
    postings = []
    for order_id, legs in frozen.items():
        lines = summed(move for leg in legs for move in unfreeze(leg))
        if lines:
            key = f"unfreeze:{order_id}:{min(leg.leg_id for leg in legs)}"
            postings.append(Posting(key, "unfreeze", now, lines, order_id))
    post_many(conn, tenant_id, postings)
    all_legs = [leg for legs in frozen.values() for leg in legs]
    conn.execute(
        "update settlement.leg set is_unfrozen = true, xact_id = pg_current_xact_id()"
        " where tenant_id = %s and leg_id = any(%s)",
        (tenant_id, [leg.leg_id for leg in all_legs]),
    )
    waiting = [leg for leg in all_legs if not leg.is_platform_side and leg.due_cents]
    sub_orders = sorted({(leg.order_id, leg.supplier_id) for leg in waiting})
    blocks = read_blocks(conn, tenant_id, now, sub_orders, waiting)
    windows = _window_reasons(conn, tenant_id, now, sub_orders)
    return [
        NotReleased(
            leg.order_id,
            leg.supplier_id,
            leg.leg_id,
            leg.payee,
            leg.due_cents,
            _reasons(leg, blocks, windows) + (("channel_came_first",) if leg.order_id in late else ()),
        )
        for leg in waiting
    ]


def _reasons(leg: StoredLeg, blocks: Blocks, windows: dict[SubOrder, list[str]]) -> tuple[str, ...]:
    sub_order = (leg.order_id, leg.supplier_id)
    reasons = [*windows.get(sub_order, ()), *blocks.of_sub_order(*sub_order), *blocks.of_leg(leg)]
    return (*reasons, *(["locked"] if leg.state == "locked" else []))


def _window_reasons(
    conn: psycopg.Connection, tenant_id: str, now: datetime, sub_orders: list[SubOrder]
) -> dict[SubOrder, list[str]]:
    rows = conn.execute(
        "select s.order_id, s.supplier_id, s.received_at is null,"
        " s.received_at is not null and s.release_due_at > %s"
        " from orders.sub_order s join unnest(%s::text[], %s::text[]) as d (order_id, supplier_id)"
        " on s.order_id = d.order_id and s.supplier_id = d.supplier_id where s.tenant_id = %s",
        (
            now,
            [order_id for order_id, _ in sub_orders],
            [supplier_id for _, supplier_id in sub_orders],
            tenant_id,
        ),
    )
    return {
        (order_id, supplier_id): [
            reason for reason, holds in (("not_received", missing), ("window", early)) if holds
        ]
        for order_id, supplier_id, missing, early in rows
    }
