"""Accrual: a paid order becomes legs and one transaction; singly, in bulk, and anew for a re-routed line.

Source: common rules, accrue; L9, L10.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import psycopg

from serving.db import locks
from serving.db.calendar import zone_of
from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind
from serving.ledger.errors import IdempotencyConflictError
from serving.ledger.posting import Posting
from serving.ledger.posting_bulk import post_many
from serving.settlement.beside.points import clearings_due
from serving.settlement.books.discount_debts import debts_of_line, funder, move, owed_entries, write_debts
from serving.settlement.books.legs import Move, NewLeg, StoredLeg, account_of, order_legs, summed, write_legs
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.control.blocks import sub_order_target
from serving.settlement.errors import AccrualError, UnknownOrderError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.sharing.funding import shortfalls
from serving.settlement.sharing.leg import Leg
from serving.settlement.sharing.snapshot import OrderSnapshot
from serving.settlement.sharing.waterfall import accrue

_ORDERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Accrued:
    """An accrued order.

    Attributes:
        order_id: The order.
        legs: Its legs, as `waterfall.accrue` made them; none when it had been accrued before.
        transaction_id: The ledger's transaction; None for an order in which no fen moves.
        is_new: False when it had been accrued before.
    """

    order_id: str
    legs: tuple[Leg, ...]
    transaction_id: int | None
    is_new: bool


def accrue_order(
    conn: psycopg.Connection, tenant_id: str, order: OrderSnapshot, plan: PlanVersion, now: datetime
) -> Accrued:
    """Write the legs of a paid order and book them; once per order.

    Points that pay for a part of it are cleared between merchants in the same transaction.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order: The order as it was paid; its row is in `orders.customer_order`.
        plan: The version in force when it was paid.
        now: Time of booking.

    Raises:
        UnknownOrderError: The order has no row.
        IdempotencyConflictError: It was accrued before from another snapshot or by another plan.
        SnapshotError: The snapshot contradicts itself or the plan.
    """
    return accrue_orders(conn, tenant_id, (order,), plan, now)[0]


def accrue_orders(
    conn: psycopg.Connection,
    tenant_id: str,
    orders: Sequence[OrderSnapshot],
    plan: PlanVersion,
    now: datetime | None = None,
) -> list[Accrued]:
    """The same for many orders of one plan version, with a handful of statements for all of them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        orders: Orders as they were paid, each at most once.
        plan: The version in force when they were paid.
        now: Time of booking; None books each at its own `paid_at`, as a replay of the past does.

    Returns:
        One answer per order, in order.

    Raises:
        UnknownOrderError: An order has no row.
        IdempotencyConflictError: One was accrued before from another snapshot or by another plan.
        SnapshotError: A snapshot contradicts itself or the plan.
    """
    if len({order.order_id for order in orders}) != len(orders):
        raise AccrualError("an order stands twice in the list; give each once")
    book = AccountBook(conn, tenant_id)
    results: list[Accrued] = []
    for start in range(0, len(orders), _ORDERS_AT_ONCE):
        results += _accrue_chunk(conn, tenant_id, orders[start : start + _ORDERS_AT_ONCE], plan, now, book)
    return results


def _accrue_chunk(
    conn: psycopg.Connection,
    tenant_id: str,
    orders: Sequence[OrderSnapshot],
    plan: PlanVersion,
    now: datetime | None,
    book: AccountBook,
) -> list[Accrued]:
    lock_orders(conn, tenant_id, [order.order_id for order in orders])
    known = _accrued_before(conn, tenant_id, orders)
    digests = {order.order_id: _digest(order, plan) for order in orders}
    for order_id, (_, digest) in known.items():
        if digest != digests[order_id]:
            raise IdempotencyConflictError(
                f"order {order_id} was accrued before from another snapshot or plan"
            )
    fresh = [order for order in orders if order.order_id not in known]
    zone = _tax_zone(conn, tenant_id, plan)
    made = {order.order_id: accrue(order, plan, zone) for order in fresh}
    still = [order_id for order_id, legs in made.items() if not any(leg.amount_cents for leg in legs)]
    # No transaction tells of an order in which no fen moves: the records of its cut legs do.
    recorded = _orders_with_legs(conn, tenant_id, still) if still else set()
    made = {order_id: () if order_id in recorded else legs for order_id, legs in made.items()}
    new = [
        NewLeg(order.order_id, order.paid_at, plan, leg) for order in fresh for leg in made[order.order_id]
    ]
    ids = iter(write_legs(conn, tenant_id, new))
    agreed = {
        order.order_id: shortfalls(order, made[order.order_id]) if order.order_id not in recorded else ()
        for order in fresh
    }
    moves: dict[str, list[Move]] = {}
    for order in fresh:
        entries: list[Move] = [(AccountKind.CHANNEL_FROZEN, PLATFORM, -order.captured_cents, None)]
        for leg in made[order.order_id]:
            leg_id = next(ids)
            if leg.amount_cents:
                state = NewLeg(order.order_id, order.paid_at, plan, leg).state
                account = account_of(leg.kind, leg.payee_type, leg.payee_id, state)
                entries.append((*account, leg.amount_cents, leg_id))
        moves[order.order_id] = entries
    funders = {funder(shortfall) for of_order in agreed.values() for shortfall in of_order}
    clearings = clearings_due(conn, tenant_id, [order.order_id for order in fresh])
    for due in (one for of_order in clearings.values() for one in of_order):
        funders |= {due.burning, *due.owed}
    touched = {(kind, party) for entries in moves.values() for kind, party, _, _ in entries}
    # Nobody's funds are looked at where nobody agreed to a discount or took points: nearly everywhere.
    others = [key for key in touched if key[1] != PLATFORM] if funders else []
    funds = PartyFunds.lock(conn, tenant_id, book, funders, others) if funders else PartyFunds({}, {})
    write_debts(conn, tenant_id, list(agreed.items()))
    postings = []
    for order in fresh:
        lines = summed(moves[order.order_id]) + owed_entries(agreed[order.order_id], funds)
        if lines:
            postings.append(
                Posting(
                    key=f"accrue:{order.order_id}",
                    kind="accrual",
                    booked_at=now or order.paid_at,
                    lines=lines,
                    order_id=order.order_id,
                    details={"plan": f"{plan.plan_id} {plan.version}", "digest": digests[order.order_id]},
                )
            )
    for order in fresh:
        cleared = clearings.get(order.order_id, ())
        postings += [due.posting(funds, now or order.paid_at) for due in cleared]
    posted = post_many(conn, tenant_id, postings, book)
    transactions = {
        posting.order_id: answer.transaction_id
        for posting, answer in zip(postings, posted, strict=True)
        if posting.kind == "accrual"
    }
    return [
        Accrued(order.order_id, (), known[order.order_id][0], False)
        if order.order_id in known
        else Accrued(
            order.order_id,
            made[order.order_id],
            transactions.get(order.order_id),
            order.order_id not in recorded,
        )
        for order in orders
    ]


def reaccrue_line(
    conn: psycopg.Connection,
    tenant_id: str,
    order: OrderSnapshot,
    line_no: int,
    plan: PlanVersion,
    now: datetime,
    *,
    reroute_id: str,
) -> int | None:
    """Replace the legs of a paid line that went to another supplier (and of freight that went with it).

    The old legs are taken back in full and the new ones accrued, in one transaction. Only what has not moved
    since payment can be replaced: no refund, no release, no hold, and the channel still holds the money.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order: The order with the line (and freight) as they are now; what was captured stays the same.
        line_no: The line.
        plan: The version that accrued the order.
        now: Time of booking.
        reroute_id: Names the change; the same id books once.

    Returns:
        The ledger's transaction; None for a line in which no fen moves.

    Raises:
        UnknownOrderError: The order has no row, no such line, or was not accrued.
        AccrualError: The legs moved since payment, a hold stands on them, or old and new legs differ in sum.
    """
    lock_orders(conn, tenant_id, [order.order_id])
    key = f"reroute:{order.order_id}:{reroute_id}"
    row = conn.execute(
        "select transaction_id from ledger.transaction where tenant_id = %s and idempotency_key = %s",
        (tenant_id, key),
    ).fetchone()
    if row:
        return int(row[0])
    stored = order_legs(conn, tenant_id, [order.order_id])
    # An order of goods that cost nobody anything has no legs.
    if not stored and order.captured_cents:
        raise UnknownOrderError(f"order {order.order_id} was not accrued; accrue it before it is re-routed")
    new_freight = {freight.supplier_id: freight.cents for freight in order.freights if freight.cents}
    old_freight = {leg.supplier_id: leg.amount_cents for leg in stored if leg.line_no == 0}
    moved = {
        supplier
        for supplier in old_freight.keys() | new_freight.keys()
        if old_freight.get(supplier) != new_freight.get(supplier)
    }

    def changes(leg: StoredLeg | Leg) -> bool:
        return leg.line_no == line_no or (leg.line_no == 0 and leg.supplier_id in moved)

    old = [leg for leg in stored if changes(leg)]
    fresh = [leg for leg in accrue(order, plan, _tax_zone(conn, tenant_id, plan)) if changes(leg)]
    amounts = [*(leg.amount_cents for leg in old), *(leg.amount_cents for leg in fresh)]
    if old and not any(amounts) and _suppliers(old) == _suppliers(fresh):
        # No fen moves, so no transaction tells that this was done before: its legs do.
        return None
    is_refunded = _is_refunded(conn, tenant_id, order.order_id, line_no)
    _check_replacement(order, line_no, old, fresh, is_refunded=is_refunded)
    _check_holds(conn, tenant_id, order.order_id, old, now)
    ids = write_legs(conn, tenant_id, [NewLeg(order.order_id, order.paid_at, plan, leg) for leg in fresh])
    agreed = [owed for owed in shortfalls(order, fresh) if owed.line_no == line_no]
    before = {debt.party: debt.owed_cents for debt in debts_of_line(conn, tenant_id, order.order_id, line_no)}
    entries: list[Move] = [
        (*account_of(leg.kind, leg.payee_type, leg.payee_id, leg.state), -leg.amount_cents, leg.leg_id)
        for leg in old
        if leg.amount_cents
    ]
    for leg_id, leg in zip(ids, fresh, strict=True):
        state = NewLeg(order.order_id, order.paid_at, plan, leg).state
        if leg.amount_cents:
            account = account_of(leg.kind, leg.payee_type, leg.payee_id, state)
            entries.append((*account, leg.amount_cents, leg_id))
    # Both sides of an account stay visible: what was taken back and what came anew.
    lines = summed(entry for entry in entries if entry[2] < 0) + summed(e for e in entries if e[2] > 0)
    if agreed:
        others = [(kind, party) for kind, party, _, _ in entries if party != PLATFORM]
        book = AccountBook(conn, tenant_id)
        funds = PartyFunds.lock(conn, tenant_id, book, [funder(owed) for owed in agreed], others)
        for owed in agreed:
            lines += move(funder(owed), owed.owed_cents - before.get(funder(owed), 0), funds)
        write_debts(conn, tenant_id, [(order.order_id, agreed)])
    transaction_id = None
    if lines:
        posting = Posting(key, "reroute", now, lines, order.order_id, {"line_no": line_no})
        transaction_id = post_many(conn, tenant_id, [posting])[0].transaction_id
    conn.execute(
        "update settlement.leg set reversed_cents = amount_cents, state = 'voided', is_replaced = true,"
        " xact_id = pg_current_xact_id() where tenant_id = %s and leg_id = any(%s)",
        (tenant_id, [leg.leg_id for leg in old]),
    )
    conn.execute(
        "insert into settlement.leg_reversal (tenant_id, refund_id, leg_id, reversed_cents, transaction_id)"
        " select tenant_id, %s, leg_id, amount_cents, %s from settlement.leg"
        " where tenant_id = %s and leg_id = any(%s) and amount_cents <> 0",
        (key, transaction_id, tenant_id, [leg.leg_id for leg in old]),
    )
    return transaction_id


def _suppliers(legs: Iterable[StoredLeg | Leg]) -> set[tuple[int, str]]:
    return {(leg.line_no, leg.supplier_id) for leg in legs}


def lock_orders(conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str]) -> None:
    """Lock orders until commit, in order of id: whoever moves money of an order holds its row.

    Raises:
        UnknownOrderError: An order has no row.
    """
    missing = set(order_ids) - set(locks.orders(conn, tenant_id, order_ids))
    if missing:
        raise UnknownOrderError(f"order {min(missing)} is unknown")


def _tax_zone(conn: psycopg.Connection, tenant_id: str, plan: PlanVersion) -> tzinfo:
    """Where the day of payment is told; no plan without a tax asks."""
    return UTC if plan.withholding is None else zone_of(conn, tenant_id)


def _is_refunded(conn: psycopg.Connection, tenant_id: str, order_id: str, line_no: int) -> bool:
    """Whether anything went back of a line: little of it may take nothing from any leg."""
    row = conn.execute(
        "select 1 from settlement.refund where tenant_id = %s and order_id = %s and line_no = %s limit 1",
        (tenant_id, order_id, line_no),
    ).fetchone()
    return row is not None


def _check_replacement(
    order: OrderSnapshot,
    line_no: int,
    old: Sequence[StoredLeg],
    new: Sequence[Leg],
    *,
    is_refunded: bool,
) -> None:
    order_id = order.order_id
    # A gift has no legs, so the line is looked for in the order.
    if all(line.line_no != line_no for line in order.lines):
        raise UnknownOrderError(f"order {order_id} has no line {line_no}")
    touched = [leg for leg in old if leg.state == "released" or leg.reversed_cents or leg.is_unfrozen]
    # Of a freight, very few fen may have gone back that no leg gave but all of it the rounding.
    if is_refunded or touched or any(leg.forfeited_cents or leg.rounding_cents for leg in old):
        raise AccrualError(
            f"line {line_no} of order {order_id} moved since it was paid (refund, release, hold or "
            "deadline); refund it instead of re-routing it"
        )
    before, after = sum(leg.amount_cents for leg in old), sum(leg.amount_cents for leg in new)
    if before != after:
        raise AccrualError(
            f"line {line_no} of order {order_id} would settle {after} fen instead of the {before} paid"
        )


def _check_holds(
    conn: psycopg.Connection, tenant_id: str, order_id: str, old: Sequence[StoredLeg], now: datetime
) -> None:
    """A hold would not follow to the new legs: what it stops must not get away by another supplier."""
    row = conn.execute(
        "select reason_code from settlement.hold where tenant_id = %s and state = 'standing'"
        " and (expires_at is null or expires_at > %s)"
        " and (target_type = 'leg' and target_id = any(%s)"
        "      or target_type = 'sub_order' and target_id = any(%s))"
        " limit 1",
        (
            tenant_id,
            now,
            [str(leg.leg_id) for leg in old],
            sorted({sub_order_target(order_id, leg.supplier_id) for leg in old}),
        ),
    ).fetchone()
    if row is not None:
        raise AccrualError(
            f"a hold ({row[0]}) stands on what order {order_id} would replace; resolve it, or refund the line"
        )


def _accrued_before(
    conn: psycopg.Connection, tenant_id: str, orders: Sequence[OrderSnapshot]
) -> dict[str, tuple[int, str]]:
    rows = conn.execute(
        "select order_id, transaction_id, details ->> 'digest' from ledger.transaction"
        " where tenant_id = %s and idempotency_key = any(%s)",
        (tenant_id, [f"accrue:{order.order_id}" for order in orders]),
    )
    return {order_id: (transaction_id, digest) for order_id, transaction_id, digest in rows}


def _orders_with_legs(conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str]) -> set[str]:
    rows = conn.execute(
        "select distinct order_id from settlement.leg where tenant_id = %s and order_id = any(%s)",
        (tenant_id, list(order_ids)),
    )
    return {order_id for (order_id,) in rows}


def _digest(order: OrderSnapshot, plan: PlanVersion) -> str:
    """What a second accrual is compared by."""
    text = json.dumps([order.to_json(), plan.plan_id, plan.version], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
