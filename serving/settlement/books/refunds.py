"""Refunds of order lines and of freight: what each leg gives back, and from which account.

Whether a refund is due is decided by the after-sale cases of orders. `refund_line` keeps `refunded_cents` of
the line (or freight) and of the order; the status of the order is not touched.

Source: common rules, refund; L8, L9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg

from serving.db import locks
from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.settlement.beside.fees import end_compensations
from serving.settlement.beside.points import settle_points
from serving.settlement.books.accrual import lock_orders
from serving.settlement.books.discount_debts import debts_of_line, mark_reversed, move, reversals
from serving.settlement.books.legs import Move, StoredLeg, account_of, line_legs, summed
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.books.refund_requests import ask_refund
from serving.settlement.errors import RefundConflictError, RefundError, UnknownOrderError
from serving.settlement.order_book import OrderBook
from serving.settlement.sharing.reversal import reverse_free_line, reverse_line

FREE_UNITS_KEPT: LiteralString = "(l.reserved_qty + l.sent_qty - l.back_qty)"
"""Units of a line `l` of an order that cost nothing which the buyer has or is going to have."""
# The leg that carries what no leg gives back: one of those that leave the channel first.
_CARRIERS = ("platform", "subsidy", "channel_fee", "tax", "fund")


@dataclass(frozen=True, slots=True)
class Refunded:
    """A booked refund.

    Attributes:
        refund_id: The refund.
        transaction_id: The ledger's transaction; None where the units that went took no fen from any leg.
        refund_cents: What the buyer got back, fen.
        rounding_cents: What no leg gave back, fen; sums to 0 over a line that went back in full.
        is_new: False when it had been booked before.
    """

    refund_id: str
    transaction_id: int | None
    refund_cents: int
    rounding_cents: int
    is_new: bool


def refund_line(
    conn: psycopg.Connection,
    tenant_id: str,
    refund_id: str,
    order_id: str,
    line_no: int,
    supplier_id: str,
    refund_cents: int,
    now: datetime,
    case_id: str | None = None,
    *,
    units_gone: int = 0,
    orders: OrderBook,
) -> Refunded:
    """Give back part or all of a line; once per refund id. One that cost nothing goes back by its units.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        refund_id: Names the refund.
        order_id: The order.
        line_no: The line; 0 for the freight of the supplier.
        supplier_id: Who ships the line.
        refund_cents: Fen; 0 for a line that cost nothing, and only for that.
        now: Time of booking.
        case_id: The after-sale case behind it.
        units_gone: Of a line that cost nothing: its units that are gone with this refund, all told.
        orders: Is told what was given back.

    Raises:
        UnknownOrderError: The order or the line has no legs.
        RefundError: More than is left of the line, nothing, or fen and units.
        RefundConflictError: The id was used with another body.
    """
    lock_orders(conn, tenant_id, [order_id])
    body = (order_id, line_no, supplier_id, case_id, refund_cents, units_gone)
    known = _known(conn, tenant_id, refund_id, body)
    if known:
        return known
    legs = line_legs(conn, tenant_id, order_id, line_no, supplier_id)
    debts = debts_of_line(conn, tenant_id, order_id, line_no) if line_no else []
    # Of a line for which nobody is paid, only its funder owes something.
    if not legs and not debts:
        raise UnknownOrderError(
            f"order {order_id} has no legs of line {line_no} by supplier {supplier_id}; accrue it first"
        )
    if (refund_cents == 0) != (units_gone > 0):
        raise RefundError(
            f"refund {refund_id} of {refund_cents} fen and {units_gone} units: give an amount, or the units"
            " that are gone of a line that cost nothing"
        )
    before = [leg.reversed_cents for leg in legs]
    if units_gone:
        gone, whole = units_gone, _units(conn, tenant_id, order_id, line_no, units_gone)
        taken, rounding = reverse_free_line(legs, whole, gone, before)
    else:
        refunded = sum(leg.reversed_cents + leg.rounding_cents for leg in legs)
        gone, whole = refunded + refund_cents, sum(leg.amount_cents for leg in legs)
        taken, rounding = reverse_line(legs, whole, gone, before, refunded)
    locks.balances_of_orders(conn, tenant_id, [order_id])
    entries = _PendingEntries(legs, taken, rounding)
    given_back = reversals(debts, gone, whole)
    book = AccountBook(conn, tenant_id)
    parties = {*entries.debits, *(debt.party for debt in debts)}
    funds = PartyFunds.lock(conn, tenant_id, book, parties, entries.accounts)
    lines = list(entries.lines)
    for party, cents in sorted(entries.debits.items()):
        lines += funds.debit(party, cents)
    for debt, cents in zip(debts, given_back, strict=True):
        lines += move(debt.party, -cents, funds)
    mark_reversed(conn, tenant_id, order_id, debts, given_back)
    transaction_id = None
    # Of legs of very few fen a unit may take none.
    if lines:
        posting = Posting(f"refund:{refund_id}", "refund", now, lines, order_id, {"line_no": line_no})
        transaction_id = post(conn, tenant_id, posting, book).transaction_id
    conn.execute(
        "insert into settlement.refund (tenant_id, refund_id, order_id, line_no, supplier_id, case_id,"
        " refund_cents, units_gone, rounding_cents, refunded_at, transaction_id)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id, refund_id, order_id, line_no, supplier_id, case_id, refund_cents, units_gone, rounding,
            now, transaction_id,
        ),
    )  # fmt: skip
    _write_reversals(conn, tenant_id, refund_id, transaction_id, entries)
    orders.count_refund(conn, tenant_id, order_id, line_no, supplier_id, refund_cents)
    end_compensations(conn, tenant_id, refund_id, order_id, line_no, now)
    ask_refund(conn, tenant_id, refund_id, order_id, lines, now, book)
    settle_points(conn, tenant_id, [(order_id, supplier_id)], now)
    return Refunded(refund_id, transaction_id, refund_cents, rounding, True)


def is_owed_for(
    conn: psycopg.Connection, tenant_id: str, order_id: str, line_no: int, supplier_id: str
) -> bool:
    """Whether anybody is still owed for a line, or owes for its discount.

    Nobody is for a gift that its supplier gives away, too.
    """
    legs = line_legs(conn, tenant_id, order_id, line_no, supplier_id)
    debts = debts_of_line(conn, tenant_id, order_id, line_no)
    return any(leg.left_cents for leg in legs) or any(debt.left_cents for debt in debts)


class _PendingEntries:
    """What the reversals of one refund move: entries that are certain, and debits that depend on balances."""

    def __init__(self, legs: Sequence[StoredLeg], reversals: Sequence[int], rounding: int) -> None:
        self.debits: dict[Party, int] = {}
        self.changes: list[tuple[int, int, int, int]] = []
        carrier = min(legs, key=_carrier_rank, default=None)
        moves: list[Move] = []
        for leg, cents in zip(legs, reversals, strict=True):
            carried = rounding if leg is carrier else 0
            if leg.amount_cents == 0 or not (cents or carried):
                continue
            from_platform = _platform_part(leg, cents)
            from_payee = cents - from_platform
            if leg.is_platform_side:
                moves.append((*account_of(leg.kind, leg.payee_type, "", leg.state), -from_payee, leg.leg_id))
            elif leg.state == "released":
                self.debits[leg.payee] = self.debits.get(leg.payee, 0) + from_payee
            else:
                account = account_of(leg.kind, leg.payee_type, leg.payee_id, leg.state)
                moves.append((*account, -from_payee, leg.leg_id))
            moves.append((AccountKind.PLATFORM_FEE, PLATFORM, -from_platform, leg.leg_id))
            channel = AccountKind.CHANNEL_AVAILABLE if leg.is_unfrozen else AccountKind.CHANNEL_FROZEN
            moves.append((channel, PLATFORM, cents + carried, None))
            self.changes.append((leg.leg_id, cents, from_platform, carried))
        moves.append((AccountKind.PLATFORM_ROUNDING, PLATFORM, -rounding, None))
        self.debits = {party: cents for party, cents in self.debits.items() if cents}
        self.lines: list[Line] = summed(moves)
        self.accounts = [(line.kind, line.party) for line in self.lines if line.party != PLATFORM]


def _carrier_rank(leg: StoredLeg) -> tuple[bool, int, int]:
    rank = _CARRIERS.index(leg.kind) if leg.kind in _CARRIERS else len(_CARRIERS)
    return (leg.amount_cents == 0, rank, leg.leg_id)


def _platform_part(leg: StoredLeg, cents: int) -> int:
    """What of a reversal the platform gives back: in proportion to what it holds of the leg, rounded up."""
    if not leg.forfeited_cents:
        return 0
    return cents - cents * leg.due_cents // leg.left_cents


def _units(conn: psycopg.Connection, tenant_id: str, order_id: str, line_no: int, units_gone: int) -> int:
    """How many units a line has, of which so many are gone now and fewer were before."""
    row = conn.execute(
        "select l.qty, (select coalesce(max(r.units_gone), 0) from settlement.refund r"
        " where r.tenant_id = l.tenant_id and r.order_id = l.order_id and r.line_no = l.line_no)"
        " from orders.order_line l where l.tenant_id = %s and l.order_id = %s and l.line_no = %s",
        (tenant_id, order_id, line_no),
    ).fetchone()
    qty, before = row or (0, 0)
    if not before < units_gone <= qty:
        raise RefundError(
            f"line {line_no} of order {order_id} has {qty} units, of which {before} are gone: it cannot be"
            f" {units_gone} now"
        )
    return int(qty)


def _known(
    conn: psycopg.Connection,
    tenant_id: str,
    refund_id: str,
    body: tuple[str, int, str, str | None, int, int],
) -> Refunded | None:
    row = conn.execute(
        "select order_id, line_no, supplier_id, case_id, refund_cents, units_gone, rounding_cents,"
        " transaction_id from settlement.refund where tenant_id = %s and refund_id = %s",
        (tenant_id, refund_id),
    ).fetchone()
    if row is None:
        return None
    if row[:6] != body:
        raise RefundConflictError(f"refund {refund_id} was booked before with another body; take a new id")
    return Refunded(refund_id, row[7], row[4], row[6], False)


def _write_reversals(
    conn: psycopg.Connection,
    tenant_id: str,
    refund_id: str,
    transaction_id: int | None,
    entries: _PendingEntries,
) -> None:
    conn.execute(
        """
        with change as (
            select * from unnest(%(ids)s::bigint[], %(cents)s::bigint[], %(platform)s::bigint[],
                %(carried)s::bigint[]) as c (leg_id, cents, from_platform, carried)
        ), written as (
            insert into settlement.leg_reversal (tenant_id, refund_id, leg_id, reversed_cents, transaction_id)
            select %(tenant)s, %(refund)s, leg_id, cents, %(transaction)s from change where cents <> 0
        )
        update settlement.leg l set
            reversed_cents = l.reversed_cents + c.cents,
            forfeited_cents = l.forfeited_cents - c.from_platform,
            rounding_cents = l.rounding_cents + c.carried,
            state = case when l.state in ('pending', 'locked') and l.reversed_cents + c.cents = l.amount_cents
                then 'voided' else l.state end,
            xact_id = pg_current_xact_id()
        from change c where l.tenant_id = %(tenant)s and l.leg_id = c.leg_id
        """,
        {
            "tenant": tenant_id,
            "refund": refund_id,
            "transaction": transaction_id,
            "ids": [change[0] for change in entries.changes],
            "cents": [change[1] for change in entries.changes],
            "platform": [change[2] for change in entries.changes],
            "carried": [change[3] for change in entries.changes],
        },
    )
