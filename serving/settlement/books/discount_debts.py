"""What funders owe for discounts that their own legs do not carry: booked with the order, taken back with it.

The platform advanced it by paying everybody of the line in full, so its subsidy account gets it back. A
funder pays out of what it has available; the rest is a receivable, which its later releases pay first.

Source: P17; "a funder bears exactly its discount".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg

from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.sharing.funding import Shortfall


class Debt(NamedTuple):
    """A row of `settlement.discount_debt`; amounts in fen, `reversed_cents` by refunds."""

    line_no: int
    party_type: str
    party_id: str
    owed_cents: int
    reversed_cents: int

    @property
    def party(self) -> Party:
        """The funder."""
        return Party(self.party_type, self.party_id)

    @property
    def left_cents(self) -> int:
        """What is still owed."""
        return self.owed_cents - self.reversed_cents


def funder(shortfall: Shortfall) -> Party:
    """Who bears the discount."""
    return Party(shortfall.party_type, shortfall.party_id)


def owed_entries(shortfalls: Iterable[Shortfall], funds: PartyFunds) -> list[Line]:
    """Entries by which funders pay what their legs do not carry."""
    lines: list[Line] = []
    for shortfall in shortfalls:
        lines += move(funder(shortfall), shortfall.owed_cents, funds)
    return lines


def move(party: Party, cents: int, funds: PartyFunds) -> list[Line]:
    """Entries by which a funder owes so much more, or so much less when negative; none for 0."""
    if cents == 0:
        return []
    lines = funds.debit(party, cents) if cents > 0 else funds.credit(party, -cents)
    return [*lines, Line(AccountKind.SUBSIDY, cents)]


def write_debts(
    conn: psycopg.Connection, tenant_id: str, orders: Sequence[tuple[str, Sequence[Shortfall]]]
) -> None:
    """Note every agreed discount of orders, also one carried in full; anew for a line settled again."""
    rows = [(order_id, shortfall) for order_id, found in orders for shortfall in found]
    if not rows:
        return
    conn.execute(
        "insert into settlement.discount_debt as d (tenant_id, order_id, line_no, party_type, party_id,"
        " discount_cents, owed_cents)"
        " select %(tenant)s, * from unnest(%(orders)s::text[], %(lines)s::integer[], %(types)s::text[],"
        " %(parties)s::text[], %(discounts)s::bigint[], %(owed)s::bigint[])"
        " on conflict (tenant_id, order_id, line_no, party_type, party_id) do update"
        " set discount_cents = excluded.discount_cents, owed_cents = excluded.owed_cents",
        {
            "tenant": tenant_id,
            "orders": [order_id for order_id, _ in rows],
            "lines": [shortfall.line_no for _, shortfall in rows],
            "types": [shortfall.party_type for _, shortfall in rows],
            "parties": [shortfall.party_id for _, shortfall in rows],
            "discounts": [shortfall.discount_cents for _, shortfall in rows],
            "owed": [shortfall.owed_cents for _, shortfall in rows],
        },
    )


def debts_of_line(conn: psycopg.Connection, tenant_id: str, order_id: str, line_no: int) -> list[Debt]:
    """Agreed discounts of a line, by funder; none for freight."""
    rows = conn.execute(
        "select line_no, party_type, party_id, owed_cents, reversed_cents from settlement.discount_debt"
        " where tenant_id = %s and order_id = %s and line_no = %s order by party_type, party_id",
        (tenant_id, order_id, line_no),
    )
    return [Debt(*row) for row in rows]


def reversals(debts: Sequence[Debt], gone: int, whole: int) -> tuple[int, ...]:
    """What a refund takes back from each debt: in proportion, and exactly the rest with the last refund.

    Args:
        debts: Debts of one line.
        gone: What of the line is gone with this refund, all told: fen, or units of a line that cost nothing.
        whole: Of how much: what was paid for it, fen, or its units.

    Returns:
        Fen, one per debt.
    """
    return tuple(debt.owed_cents * gone // whole - debt.reversed_cents for debt in debts)


def mark_reversed(
    conn: psycopg.Connection, tenant_id: str, order_id: str, debts: Sequence[Debt], cents: Sequence[int]
) -> None:
    """Write down what a refund took back."""
    for debt, step in zip(debts, cents, strict=True):
        if step:
            conn.execute(
                "update settlement.discount_debt set reversed_cents = reversed_cents + %s"
                " where tenant_id = %s"
                " and order_id = %s and line_no = %s and party_type = %s and party_id = %s",
                (step, tenant_id, order_id, debt.line_no, debt.party_type, debt.party_id),
            )
