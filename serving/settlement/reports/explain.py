"""Where every fen of an order went: legs with their formulas, what took them back, the ledger's transactions.

Reading only. The formula of a leg was written when it was accrued; nothing is computed anew here.

Source: L9; the duty to explain automated decisions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg

from serving.ledger.accounts import Party
from serving.settlement.errors import UnknownOrderError
from serving.settlement.sharing.leg import money

_CHANNEL = ("channel_frozen", "channel_available")
# What was left for the payees after this one: it tells a party the margin, or what the seller gets.
_OTHERS = re.compile(r"(pool left|limit by the seller's leg) -?[0-9.]+, not cut")


@dataclass(frozen=True, slots=True)
class Reversal:
    """What a refund (or a re-route) took back from a leg, fen."""

    refund_id: str
    reversed_cents: int
    transaction_id: int


@dataclass(frozen=True, slots=True)
class ExplainedLeg:
    """One leg.

    Attributes:
        leg_id: Its id.
        line_no: Order line; 0 is the freight of the supplier.
        supplier_id: Sub-order that it is released with.
        kind: `supplier`, `channel_fee`, `direct`, `fund`, `platform`, ...
        scenario: Profit-sharing scenario, 1 to 8.
        rule_id: Rule of the plan, or None where no rule decides.
        plan_id: Plan.
        plan_version: Its version in force when the order was paid.
        payee_type: Who is paid.
        payee_id: Id of the payee; empty for the platform.
        level: Paid upline level, 0 for everybody else.
        base: What the rate applies to.
        base_cents: The base, fen.
        rate_bps: The rate in basis points.
        wanted_cents: Before any cut, fen.
        amount_cents: What was accrued, fen.
        cut_reason: Why it is less than wanted.
        formula: The arithmetic in one line.
        state: `pending`, `locked`, `released` or `voided`.
        reversed_cents: What refunds took back, fen.
        forfeited_cents: What went to the platform instead of the payee, fen.
        left_cents: What is left to the payee, fen.
        is_replaced: The line went to another supplier; other legs stand in its place.
        accrued_at: When it was accrued.
        released_at: When it was released.
        reversals: What took it back, oldest first.
        transaction_ids: Ledger transactions that accrued, released or reversed it.
    """

    leg_id: int
    line_no: int
    supplier_id: str
    kind: str
    scenario: int
    rule_id: str | None
    plan_id: str
    plan_version: int
    payee_type: str
    payee_id: str
    level: int
    base: str | None
    base_cents: int | None
    rate_bps: int | None
    wanted_cents: int
    amount_cents: int
    cut_reason: str | None
    formula: str
    state: str
    reversed_cents: int
    forfeited_cents: int
    left_cents: int
    is_replaced: bool
    accrued_at: datetime
    released_at: datetime | None
    reversals: list[Reversal]
    transaction_ids: list[int]


@dataclass(frozen=True, slots=True)
class ExplainedEntry:
    """One entry of a transaction, fen; credits are positive."""

    account: str
    party_type: str
    party_id: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class ExplainedTransaction:
    """One transaction of the ledger; a party sees its own entries only."""

    transaction_id: int
    kind: str
    booked_at: datetime
    entries: list[ExplainedEntry]


@dataclass(frozen=True, slots=True)
class ExplainedDiscount:
    """A discount on a line that a merchant or supplier agreed to bear.

    Attributes:
        line_no: The line.
        party_type: `merchant` or `supplier`.
        party_id: Who bears it.
        discount_cents: What it bears, fen.
        owed_cents: What its own share of the line does not carry, fen.
        reversed_cents: What refunds took back of the debt, fen.
        formula: The arithmetic in one line.
    """

    line_no: int
    party_type: str
    party_id: str
    discount_cents: int
    owed_cents: int
    reversed_cents: int
    formula: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Two sums that must agree, fen."""

    claim: str
    left_cents: int
    right_cents: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """An order's life in money.

    Attributes:
        order_id: The order.
        captured_cents: What the buyer paid, fen; None for a party.
        refunded_cents: What the buyer got back, fen; None for a party.
        amount_cents: Sum of the shown legs that were not replaced, fen.
        reversed_cents: What refunds took back of them, fen.
        left_cents: What is left of them to their payees, fen.
        legs: All legs; for a party its own, without what its formula says of others' shares.
        discounts: Discounts that merchants and suppliers bear; for a party its own.
        transactions: The ledger's transactions of the order.
        proofs: Sums that agree; none for a party, which does not see the other side.
    """

    order_id: str
    captured_cents: int | None
    refunded_cents: int | None
    amount_cents: int
    reversed_cents: int
    left_cents: int
    legs: list[ExplainedLeg]
    discounts: list[ExplainedDiscount]
    transactions: list[ExplainedTransaction]
    proofs: list[Proof]


def explain(
    conn: psycopg.Connection, tenant_id: str, order_id: str, viewer: Party | None = None
) -> Explanation:
    """Explain an order.

    Args:
        conn: In a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        viewer: The party that asks; None for operators and auditors, who see everything.

    Raises:
        UnknownOrderError: No such order, or none that the viewer has a share in.
    """
    order = conn.execute(
        "select captured_cents, refunded_cents, merchant_id from orders.customer_order"
        " where tenant_id = %s and order_id = %s",
        (tenant_id, order_id),
    ).fetchone()
    transactions = _transactions(conn, tenant_id, order_id, viewer) if order else []
    legs = _legs(conn, tenant_id, order_id, viewer) if order else []
    if order is None or (viewer and not legs and viewer != Party("merchant", order[2])):
        raise UnknownOrderError(f"order {order_id} is unknown")
    standing = [leg for leg in legs if not leg.is_replaced]
    captured, refunded = (None, None) if viewer else (int(order[0]), int(order[1]))
    return Explanation(
        order_id,
        captured,
        refunded,
        sum(leg.amount_cents for leg in standing),
        sum(leg.reversed_cents for leg in standing),
        sum(leg.left_cents for leg in standing),
        legs,
        _discounts(conn, tenant_id, order_id, viewer),
        transactions,
        []
        if captured is None or refunded is None or not legs
        else _proofs(conn, tenant_id, order_id, captured, refunded, standing, transactions),
    )


def _legs(
    conn: psycopg.Connection, tenant_id: str, order_id: str, viewer: Party | None
) -> list[ExplainedLeg]:
    reversals: dict[int, list[Reversal]] = defaultdict(list)
    for leg_id, refund_id, cents, transaction_id in conn.execute(
        "select r.leg_id, r.refund_id, r.reversed_cents, r.transaction_id from settlement.leg_reversal r"
        " join settlement.leg l on l.leg_id = r.leg_id where l.tenant_id = %s and l.order_id = %s"
        " order by r.transaction_id",
        (tenant_id, order_id),
    ):
        reversals[leg_id].append(Reversal(refund_id, cents, transaction_id))
    # A leg is accrued with its order or with a re-route of its line, and released with its sub-order.
    rows = conn.execute(
        """
        select l.leg_id, l.line_no, l.supplier_id, l.kind, l.scenario, l.rule_id, l.plan_id, l.plan_version,
               l.payee_type, l.payee_id, l.level, l.base, l.base_cents, l.rate_bps, l.wanted_cents,
               l.amount_cents,
               l.cut_reason, l.explanation, l.state, l.reversed_cents, l.forfeited_cents,
               l.amount_cents - l.reversed_cents - l.forfeited_cents, l.is_replaced, l.accrued_at,
               l.released_at,
               array(select t.transaction_id from ledger.transaction t
                     where t.tenant_id = l.tenant_id and t.order_id = l.order_id
                       and (t.kind in ('accrual', 'reroute')
                            or (t.booked_at = l.released_at and t.kind not in ('refund')
                                and coalesce(t.details ->> 'supplier_id', l.supplier_id) = l.supplier_id))
                       and exists (select 1 from ledger.entry e join ledger.account a using (account_id)
                                   where e.transaction_id = t.transaction_id and a.party_type = l.payee_type
                                     and a.party_id = l.payee_id)
                     order by t.transaction_id)
        from settlement.leg l
        where l.tenant_id = %(tenant)s and l.order_id = %(order)s
          and (%(type)s::text is null or (l.payee_type = %(type)s and l.payee_id = %(party)s))
        order by l.line_no, l.leg_id
        """,
        {
            "tenant": tenant_id,
            "order": order_id,
            "type": viewer.party_type if viewer else None,
            "party": viewer.party_id if viewer else None,
        },
    )
    names = [field.name for field in fields(ExplainedLeg)]
    legs = []
    for row in rows:
        values: dict[str, Any] = dict(zip(names, row[:-1], strict=False))
        values["reversals"] = taken_back = reversals.get(row[0], [])
        if viewer is not None:
            values["formula"] = _OTHERS.sub("not cut", values["formula"])
        known = {*row[-1], *(reversal.transaction_id for reversal in taken_back)}
        legs.append(ExplainedLeg(**values, transaction_ids=sorted(known)))
    return legs


def _discounts(
    conn: psycopg.Connection, tenant_id: str, order_id: str, viewer: Party | None
) -> list[ExplainedDiscount]:
    rows = conn.execute(
        "select line_no, party_type, party_id, discount_cents, owed_cents, reversed_cents"
        " from settlement.discount_debt where tenant_id = %(tenant)s and order_id = %(order)s"
        " and (%(type)s::text is null or (party_type = %(type)s and party_id = %(party)s))"
        " order by line_no, party_type, party_id",
        {
            "tenant": tenant_id,
            "order": order_id,
            "type": viewer.party_type if viewer else None,
            "party": viewer.party_id if viewer else None,
        },
    )
    return [
        ExplainedDiscount(
            line_no,
            party_type,
            party_id,
            discount,
            owed,
            taken_back,
            f"discount {money(discount)} - {money(discount - owed)} out of its share of the line"
            f" = {money(owed)} owed",
        )
        for line_no, party_type, party_id, discount, owed, taken_back in rows
    ]


def _transactions(
    conn: psycopg.Connection, tenant_id: str, order_id: str, viewer: Party | None
) -> list[ExplainedTransaction]:
    found: dict[int, ExplainedTransaction] = {}
    for transaction_id, kind, booked_at, *entry in conn.execute(
        "select t.transaction_id, t.kind, t.booked_at, a.kind, a.party_type, a.party_id, e.amount"
        " from ledger.transaction t join ledger.entry e using (transaction_id)"
        " join ledger.account a using (account_id) where t.tenant_id = %(tenant)s and t.order_id = %(order)s"
        " and (%(type)s::text is null or (a.party_type = %(type)s and a.party_id = %(party)s))"
        " order by t.transaction_id, e.entry_no",
        {
            "tenant": tenant_id,
            "order": order_id,
            "type": viewer.party_type if viewer else None,
            "party": viewer.party_id if viewer else None,
        },
    ):
        shown = found.setdefault(transaction_id, ExplainedTransaction(transaction_id, kind, booked_at, []))
        shown.entries.append(ExplainedEntry(*entry))
    return list(found.values())


def _proofs(
    conn: psycopg.Connection,
    tenant_id: str,
    order_id: str,
    captured: int,
    refunded: int,
    standing: list[ExplainedLeg],
    transactions: list[ExplainedTransaction],
) -> list[Proof]:
    row = conn.execute(
        "select coalesce(sum(rounding_cents), 0)::bigint from settlement.refund"
        " where tenant_id = %s and order_id = %s",
        (tenant_id, order_id),
    ).fetchone()
    rounding = int(row[0]) if row else 0
    at_channel = -sum(
        entry.amount_cents for shown in transactions for entry in shown.entries if entry.account in _CHANNEL
    )
    sums = (
        ("captured = sum of the legs", captured, sum(leg.amount_cents for leg in standing)),
        (
            "refunded = reversals of the legs + rounding",
            refunded,
            sum(leg.reversed_cents for leg in standing) + rounding,
        ),
        (
            "captured - refunded = money that the ledger booked at the channel",
            captured - refunded,
            at_channel,
        ),
    )
    return [Proof(claim, left, right, left == right) for claim, left, right in sums]
