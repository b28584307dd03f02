"""Points (unit PT) in the books: earned at release, taken back by refunds, burnt, given back, and cleared.

How many points a line earns or takes is decided by `waterfall_fees`, who pays by `waterfall_clearing`. Which
merchant issued a consumer's points stands in the details of the transactions that earned and burnt them.

Accounts of consumers are locked after those of parties, here and in every caller.

Source: P16; scenario 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from serving.ledger.accounts import AccountBook, AccountKind, Party
from serving.ledger.balances import lock_balances
from serving.ledger.posting import Line, Posting, post
from serving.ledger.posting_bulk import post_many
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.control.blocks import SubOrder
from serving.settlement.errors import PointsError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.store import plan_version
from serving.settlement.sharing.clearing import clear_points
from serving.settlement.sharing.fees import points_burn_limit, points_earned
from serving.settlement.sharing.rounding import largest_remainder

_POINTS = AccountKind.CONSUMER_POINTS
_LIABILITY = AccountKind.POINTS_LIABILITY


class _Sale(NamedTuple):
    order_id: str
    supplier_id: str
    consumer_id: str
    merchant_id: str
    plan_id: str
    plan_version: int
    net_cents: list[int]


def settle_points(
    conn: psycopg.Connection, tenant_id: str, sub_orders: Sequence[SubOrder], now: datetime
) -> int:
    """Bring the points of released sub-orders in step with what their lines are still worth.

    A sub-order earns when it was released; a refund after that takes the difference back, as far as the
    consumer still has it (points that were burnt are gone). Calling it again changes nothing.

    Args:
        conn: Inside a transaction of the tenant that holds the orders' rows.
        tenant_id: The tenant.
        sub_orders: Order id and supplier id.
        now: Time of booking.

    Returns:
        Points given less points taken back.

    Source: P16.
    """
    sales = _released_sales(conn, tenant_id, sub_orders)
    if not sales:
        return 0
    before = _earned_before(conn, tenant_id, [sale.order_id for sale in sales])
    plans: dict[tuple[str, int], PlanVersion] = {}
    wanted: list[tuple[_Sale, int, int]] = []
    for sale in sales:
        name = (sale.plan_id, sale.plan_version)
        plan = plans.get(name) or plans.setdefault(name, plan_version(conn, tenant_id, *name))
        number, earned = before.get((sale.order_id, sale.supplier_id), (0, 0))
        change = sum(points_earned(plan, net) for net in sale.net_cents) - earned
        if change:
            wanted.append((sale, number, change))
    if not wanted:
        return 0
    book = AccountBook(conn, tenant_id)
    consumers = sorted({Party("consumer", sale.consumer_id) for sale, _, _ in wanted})
    ids = book.ids((_POINTS, consumer) for consumer in consumers)
    balances = lock_balances(conn, tenant_id, ids)
    held = {consumer: balances[account] for consumer, account in zip(consumers, ids, strict=True)}
    postings = []
    total = 0
    for sale, number, change in wanted:
        consumer = Party("consumer", sale.consumer_id)
        moved = max(change, -held[consumer])
        held[consumer] += moved
        total += moved
        if moved:
            details = {"merchant_id": sale.merchant_id, "supplier_id": sale.supplier_id, "points": moved}
            if moved != change:
                details["short"] = moved - change
            postings.append(
                Posting(
                    key=f"points:{sale.order_id}:{sale.supplier_id}:{number}",
                    kind="points",
                    booked_at=now,
                    lines=[Line(_POINTS, moved, consumer), Line(_LIABILITY, -moved)],
                    order_id=sale.order_id,
                    details=details,
                )
            )
    post_many(conn, tenant_id, postings, book)
    return total


def burn_points(
    conn: psycopg.Connection,
    tenant_id: str,
    burn_id: str,
    plan: PlanVersion,
    consumer_id: str,
    merchant_id: str,
    line_cents: int,
    points: int,
    now: datetime,
    order_id: str,
) -> dict[str, int]:
    """Take points from a consumer for a part of a line; no money moves before the order is paid.

    The line's discount of the same amount is borne by the burning merchant in the order's snapshot; the
    accrual of the payment gives it back to him from the issuers, his own points excepted: `clearings_due`.

    Args:
        conn: Inside a transaction of the tenant that holds the order's row.
        tenant_id: The tenant.
        burn_id: Names the act; the same id books once.
        plan: Carries P16.
        consumer_id: Whose points.
        merchant_id: Where they are burnt.
        line_cents: What the line costs before the points, fen.
        points: How many, 1 PT = 1 fen.
        now: Time of booking.
        order_id: The order of the line.

    Returns:
        Points by the merchant who issued them.

    Raises:
        PointsError: More than the consumer has or the plan allows, or the id was used before.

    Source: P16; scenario 8.
    """
    limit = points_burn_limit(plan, line_cents)
    if not 0 < points <= limit:
        raise PointsError(f"{points} points cannot pay for a line of {line_cents} fen: from 1 to {limit}")
    consumer = Party("consumer", consumer_id)
    book = AccountBook(conn, tenant_id)
    account = book.ids([(_POINTS, consumer)])[0]
    # The consumer's balance is the lock under which issued points are counted.
    held = lock_balances(conn, tenant_id, [account])[account]
    key = f"points_burn:{burn_id}"
    if _is_booked(conn, tenant_id, key):
        raise PointsError(f"burn {burn_id} was booked before; take a new id")
    if points > held:
        raise PointsError(f"consumer {consumer_id} has {held} points, not {points}")
    issued = _issued(conn, tenant_id, account)
    issuers = sorted(issued)
    shares = largest_remainder(points, [issued[issuer] for issuer in issuers])
    drawn = {issuer: share for issuer, share in zip(issuers, shares, strict=True) if share}
    details = {"merchant_id": merchant_id, "drawn": drawn}
    lines = [Line(_POINTS, -points, consumer), Line(_LIABILITY, points)]
    post(conn, tenant_id, Posting(key, "points_burn", now, lines, order_id, details), book)
    return drawn


class DueClearing(NamedTuple):
    """Points that pay for a part of an order, and what their issuers owe who took them.

    Attributes:
        order_id: The order.
        burn_id: The burn.
        burning: Who took the points.
        owed: Issuer to fen; the burning merchant's own points are left out.
    """

    order_id: str
    burn_id: str
    burning: Party
    owed: dict[Party, int]

    def posting(self, funds: PartyFunds, now: datetime) -> Posting:
        """The issuers pay; what one does not have becomes its debt. Everybody's funds are locked."""
        moves: list[Line] = []
        for issuer, cents in self.owed.items():
            moves += funds.debit(issuer, cents)
        moves += funds.credit(self.burning, sum(self.owed.values()))
        return Posting(f"points_clearing:{self.burn_id}", "points_clearing", now, moves, self.order_id)


def clearings_due(
    conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str]
) -> dict[str, list[DueClearing]]:
    """By order: what merchants owe each other for burnt points, as far as that was not booked.

    Args:
        conn: Inside a transaction of the tenant that holds the orders' rows.
        tenant_id: The tenant.
        order_ids: The orders.
    """
    rows = conn.execute(
        "select t.order_id, substr(t.idempotency_key, length(%(burn)s) + 1), t.details"
        " from ledger.transaction t where t.tenant_id = %(tenant)s and t.order_id = any(%(orders)s)"
        " and t.kind = 'points_burn' and not exists (select from ledger.transaction c"
        "   where c.tenant_id = t.tenant_id and c.idempotency_key = %(clearing)s"
        "   || substr(t.idempotency_key, length(%(burn)s) + 1)) order by t.transaction_id",
        {
            "tenant": tenant_id,
            "orders": list(order_ids),
            "burn": "points_burn:",
            "clearing": "points_clearing:",
        },
    )
    due: dict[str, list[DueClearing]] = {}
    for order_id, burn_id, details in rows:
        drawn = details["drawn"]
        clearing = clear_points(details["merchant_id"], sum(drawn.values()), drawn)
        if clearing:
            owed = {Party("merchant", one.issuer_merchant_id): one.points for one in clearing}
            burning = Party("merchant", details["merchant_id"])
            due.setdefault(order_id, []).append(DueClearing(order_id, burn_id, burning, owed))
    return due


def burnt(conn: psycopg.Connection, tenant_id: str, burn_id: str, order_id: str) -> int:
    """Points of a burn of an order that were not given back; 0 for one that was never booked."""
    return sum(_still_drawn(conn, tenant_id, burn_id, order_id).values())


def give_back_points(
    conn: psycopg.Connection,
    tenant_id: str,
    burn_id: str,
    order_id: str,
    consumer_id: str,
    left: int,
    now: datetime,
) -> int:
    """Give burnt points back until so many are left of a burn; what was cleared between merchants goes back.

    The issuers get their points back one after the other, by id, so that the last act gives back exactly the
    rest. A merchant who has spent what he was paid for them owes it.

    Args:
        conn: Inside a transaction of the tenant that holds the order's row.
        tenant_id: The tenant.
        burn_id: The burn.
        order_id: Its order.
        consumer_id: Whose points.
        left: How many stay burnt.
        now: Time of booking.

    Returns:
        Points given back by this call.

    Source: P16; scenario 8.
    """
    drawn = _still_drawn(conn, tenant_id, burn_id, order_id)
    total = sum(drawn.values()) - left
    row = conn.execute(
        "select details ->> 'merchant_id' from ledger.transaction"
        " where tenant_id = %s and idempotency_key = %s",
        (tenant_id, f"points_burn:{burn_id}"),
    ).fetchone()
    if total <= 0 or row is None:
        return 0
    returned: dict[str, int] = {}
    open_points = total
    for issuer in sorted(drawn):
        share = min(open_points, drawn[issuer])
        if share:
            returned[issuer] = share
            open_points -= share
    burning, consumer = Party("merchant", row[0]), Party("consumer", consumer_id)
    foreign: dict[str, int] = {}
    # Points of an order that was never paid moved no money between merchants.
    if _is_booked(conn, tenant_id, f"points_clearing:{burn_id}"):
        foreign = {issuer: share for issuer, share in returned.items() if issuer != burning.party_id}
    book = AccountBook(conn, tenant_id)
    account = book.ids([(_POINTS, consumer)])[0]
    funds = PartyFunds.lock(conn, tenant_id, book, {burning, *(Party("merchant", name) for name in foreign)})
    lock_balances(conn, tenant_id, [account])
    key = f"{burn_id}:{left}"
    details = {"merchant_id": burning.party_id, "drawn": returned}
    lines = [Line(_POINTS, total, consumer), Line(_LIABILITY, -total)]
    post(conn, tenant_id, Posting(f"points_back:{key}", "points_back", now, lines, order_id, details), book)
    if foreign:
        moves = funds.debit(burning, sum(foreign.values()))
        for issuer, share in foreign.items():
            moves += funds.credit(Party("merchant", issuer), share)
        back = Posting(f"points_clearing_back:{key}", "points_clearing", now, moves, order_id)
        post(conn, tenant_id, back, book)
    return total


def _still_drawn(conn: psycopg.Connection, tenant_id: str, burn_id: str, order_id: str) -> dict[str, int]:
    """Points of a burn that stay burnt, by issuer."""
    rows = conn.execute(
        "select d.key, sum(case when t.kind = 'points_burn' then d.value::bigint else -d.value::bigint end)"
        "::bigint from ledger.transaction t cross join lateral jsonb_each_text(t.details -> 'drawn') d"
        " where t.tenant_id = %(tenant)s and t.order_id = %(order)s and (t.idempotency_key = %(burn)s"
        " or starts_with(t.idempotency_key, %(back)s)) group by d.key",
        {
            "tenant": tenant_id,
            "order": order_id,
            "burn": f"points_burn:{burn_id}",
            "back": f"points_back:{burn_id}:",
        },
    )
    return {issuer: points for issuer, points in rows if points}


def _is_booked(conn: psycopg.Connection, tenant_id: str, key: str) -> bool:
    row = conn.execute(
        "select 1 from ledger.transaction where tenant_id = %s and idempotency_key = %s", (tenant_id, key)
    ).fetchone()
    return row is not None


def _issued(conn: psycopg.Connection, tenant_id: str, account_id: int) -> dict[str, int]:
    """A consumer's unburnt points by issuing merchant; adds up to the balance of the account."""
    rows = conn.execute(
        """
        select m.merchant_id, sum(m.points)::bigint
        from ledger.entry e join ledger.transaction t using (transaction_id)
        cross join lateral (
            select t.details ->> 'merchant_id' as merchant_id, e.amount as points where t.kind = 'points'
            union all
            select d.key, case when t.kind = 'points_burn' then -d.value::bigint else d.value::bigint end
            from jsonb_each_text(t.details -> 'drawn') d where t.kind in ('points_burn', 'points_back')
        ) m
        where e.account_id = %s and t.tenant_id = %s group by m.merchant_id order by m.merchant_id
        """,
        (account_id, tenant_id),
    ).fetchall()
    issued: dict[str, int] = dict(rows)
    # A merchant whose points were burnt before a refund took them back stands below 0: the others make up.
    short = -sum(points for points in issued.values() if points < 0)
    for merchant_id in sorted(issued, key=lambda name: (-issued[name], name)):
        taken = min(short, max(issued[merchant_id], 0))
        issued[merchant_id] = max(issued[merchant_id], 0) - taken
        short -= taken
    return {merchant_id: points for merchant_id, points in issued.items() if points}


def _released_sales(conn: psycopg.Connection, tenant_id: str, sub_orders: Sequence[SubOrder]) -> list[_Sale]:
    rows = conn.execute(
        """
        select o.order_id, s.supplier_id, o.consumer_id, o.merchant_id, l.plan_id, l.plan_version,
            array_agg(n.net_paid_cents - n.refunded_cents order by n.line_no)
        from unnest(%(orders)s::text[], %(suppliers)s::text[]) as d (order_id, supplier_id)
        join orders.sub_order s on s.tenant_id = %(tenant)s and s.order_id = d.order_id
            and s.supplier_id = d.supplier_id
        join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id
        join lateral (select plan_id, plan_version from settlement.leg g where g.tenant_id = s.tenant_id
                      and g.order_id = s.order_id and g.supplier_id = s.supplier_id
                      and g.state = 'released' limit 1) l on true
        join orders.order_line n on n.tenant_id = s.tenant_id and n.order_id = s.order_id
            and n.supplier_id = s.supplier_id
        group by o.order_id, s.supplier_id, o.consumer_id, o.merchant_id, l.plan_id, l.plan_version
        order by o.order_id, s.supplier_id
        """,
        {
            "tenant": tenant_id,
            "orders": [order_id for order_id, _ in sub_orders],
            "suppliers": [supplier_id for _, supplier_id in sub_orders],
        },
    )
    return [_Sale(*row) for row in rows]


def _earned_before(
    conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str]
) -> dict[SubOrder, tuple[int, int]]:
    """Sub-order to how often its points moved, and what it was counted with (taken short ones included)."""
    rows = conn.execute(
        "select order_id, details ->> 'supplier_id', count(*),"
        " sum((details ->> 'points')::bigint - coalesce((details ->> 'short')::bigint, 0))::bigint"
        " from ledger.transaction where tenant_id = %s and order_id = any(%s) and kind = 'points'"
        " group by 1, 2",
        (tenant_id, sorted(set(order_ids))),
    )
    return {(order_id, supplier_id): (count, points) for order_id, supplier_id, count, points in rows}
