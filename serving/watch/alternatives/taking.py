"""Taking an alternative: decided in one transaction, then carried out order by order, each exactly once.

A decision writes an action for every part of an order whose lines go elsewhere. An action is claimed, done
and marked in one transaction; whoever is killed leaves it as it was, and the next look of the watch, or the
same request again, goes on from there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.db import locks
from serving.db.retries import in_transaction
from serving.orders.assortment.losses import DEFAULT_RULES, LossRules
from serving.orders.fulfilment.fulfilment import reroute
from serving.orders.fulfilment.rehousing import Berth, Bring, rehouse
from serving.orders.records import OrderLine
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters
from serving.orders.webhooks import webhooks
from serving.transfers.moving import NewTransfer, plan
from serving.watch.alarms.errors import AlarmClosedError, NotTakenError, UnknownAlternativeError
from serving.watch.alarms.life import resolve
from serving.watch.alarms.records import WATCH, Whose, alarm_of, note_step
from serving.watch.alternatives.records import alternatives_of

Connection = psycopg.Connection[Any]
Transactions = Callable[[], AbstractContextManager[Connection]]


def decide(conn: Connection, tenant_id: str, alarm_id: int, option_no: int, by: str, now: datetime) -> None:
    """Decide for an alternative; decided for the same before, nothing changes.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        alarm_id: The alarm.
        option_no: Number of the alternative.
        by: Key, or `watch`.
        now: Business time.

    Raises:
        UnknownAlarmError: There is no such alarm.
        UnknownAlternativeError: It has no such alternative.
        NotTakenError: Another one was taken, or nobody can do this one any more.
        AlarmClosedError: The alarm is closed.
    """
    locks.watch(conn, tenant_id)
    alarm = alarm_of(conn, tenant_id, alarm_id, Whose())
    options = {one.option_no: one for one in alternatives_of(conn, tenant_id, alarm_id)}
    if option_no not in options:
        raise UnknownAlternativeError(f"alarm {alarm_id} has no alternative {option_no}")
    taken = next((one for one in options.values() if one.taken_at is not None), None)
    if taken is not None:
        if taken.option_no == option_no:
            return
        raise NotTakenError(f"alternative {taken.option_no} of alarm {alarm_id} was taken")
    if alarm.is_closed:
        raise AlarmClosedError(f"alarm {alarm_id} is {alarm.state}: {alarm.reason_code}")
    option = options[option_no]
    if not option.is_takeable:
        raise NotTakenError(f"goods of alternative {option_no} of alarm {alarm_id} are on their way already")
    conn.execute(
        "update watch.alternative set taken_at = %s, taken_by = %s"
        " where tenant_id = %s and alarm_id = %s and option_no = %s",
        (now, by, tenant_id, alarm_id, option_no),
    )
    kind = "rehouse" if option.kind == "transfer" else "reroute"
    parts: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    brought: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for move in option.moves:
        part = move["order_id"], move["from_supplier_id"]
        parts[part][move["line_no"]] = move["to_warehouse_id" if kind == "rehouse" else "to_supplier_id"]
        if move.get("brought_days") is not None:
            brought[part][move["line_no"]] = move["brought_days"]
    for part, takers in sorted(parts.items()):
        conn.execute(
            "insert into watch.action (tenant_id, alarm_id, order_id, supplier_id, takers, decided_at, kind,"
            " brought) values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (tenant_id, alarm_id, *part, Jsonb(takers), now, kind, Jsonb(brought[part])),
        )
    note_step(conn, tenant_id, alarm_id, "alternative_taken", by, now, option_no=option_no, kind=option.kind)
    if option.kind == "later_date":
        if alarm.merchant_id is not None and alarm.order_id is not None:
            webhooks.tell_merchant(
                conn, tenant_id, alarm.merchant_id, "supply_alarm.later_date", alarm.order_id, alarm.object_id
            )
        resolve(conn, tenant_id, alarm_id, "later_date", by, now)


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """What became of decided actions.

    Attributes:
        actions: Parts of orders that were worked on.
        moved: Lines that went elsewhere.
        stayed: Lines that could not.
    """

    actions: int = 0
    moved: int = 0
    stayed: int = 0


def carry_out(
    transactions: Transactions,
    tenant_id: str,
    now: datetime,
    rules: LossRules = DEFAULT_RULES,
    cost: CostParameters = DEFAULT_COST,
) -> CarriedOut:
    """Do what was decided and is not done, and close the alarms of which nothing is left to do.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        rules: How a loss by another supplier is reckoned.
        cost: Parameters of the routing cost.
    """
    actions = moved = stayed = 0
    while True:
        done = in_transaction(transactions, lambda conn: _carry_out_next(conn, tenant_id, now, rules, cost))
        if done is None:
            break
        actions, moved, stayed = actions + 1, moved + done[0], stayed + done[1]
    in_transaction(transactions, lambda conn: _close_done(conn, tenant_id, now))
    return CarriedOut(actions, moved, stayed)


def _carry_out_next(
    conn: Connection, tenant_id: str, now: datetime, rules: LossRules, cost: CostParameters
) -> tuple[int, int] | None:
    """Move the lines of the next action that nobody else is at; how many went and stayed."""
    row = conn.execute(
        "select action_id, alarm_id, order_id, supplier_id, takers, kind, brought from watch.action"
        " where tenant_id = %s and done_at is null order by action_id limit 1" + locks.CLAIMED,
        (tenant_id,),
    ).fetchone()
    if row is None:
        return None
    action_id, alarm_id, order_id, supplier_id, takers, kind, brought = row
    wanted = {int(line_no): taker for line_no, taker in takers.items()}
    if kind == "rehouse":
        berths = {no: Berth(house, brought.get(str(no))) for no, house in wanted.items()}
        bring = _bring(conn, tenant_id, alarm_id, now)
        failed = str(alarm_of(conn, tenant_id, alarm_id, Whose()).evidence["warehouse_id"])
        moved = rehouse(conn, tenant_id, order_id, supplier_id, failed, berths, bring, now, cost)
    else:
        moved = reroute(conn, tenant_id, order_id, supplier_id, wanted, now, rules, cost)
    conn.execute(
        "update watch.action set done_at = %s, moved = %s where tenant_id = %s and action_id = %s",
        (now, Jsonb(moved), tenant_id, action_id),
    )
    return len(moved), len(wanted) - len(moved)


def _bring(conn: Connection, tenant_id: str, alarm_id: int, now: datetime) -> Bring:
    """Plans a transfer of the units of a line from where it was to where it goes."""

    def bring(line: OrderLine, warehouse_id: str, day: date) -> None:
        assert line.warehouse_id is not None, "lines of the alarm of a warehouse leave from it"
        new = NewTransfer(line.supplier_id, line.sku_id, line.warehouse_id, warehouse_id, line.qty, day)
        plan(conn, tenant_id, new, "alarm", f"alarm:{alarm_id}", now)

    return bring


def _close_done(conn: Connection, tenant_id: str, now: datetime) -> None:
    """Resolve the open alarms whose actions are all done and moved every line; others stay open."""
    locks.watch(conn, tenant_id)
    rows = conn.execute(
        "select a.alarm_id, min(n.kind) from watch.alarm a join watch.action n using (tenant_id, alarm_id)"
        " where a.tenant_id = %s and a.closed_at is null group by a.alarm_id"
        " having bool_and(n.done_at is not null and n.moved = n.takers) order by a.alarm_id",
        (tenant_id,),
    ).fetchall()
    for alarm_id, kind in rows:
        reason = "transferred" if kind == "rehouse" else "rerouted"
        resolve(conn, tenant_id, alarm_id, reason, WATCH, now)
