"""The single entries of a statement, and the statement as CSV. Its sums come from `statements`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg

from serving.settlement.reports.statements import Statement, StatementError, base_of


class StatementLine(NamedTuple):
    """One entry of the ledger; `balance_cents` is of the party after it."""

    booked_at: datetime
    transaction_id: int
    kind: str
    order_id: str | None
    account: str
    amount_cents: int
    balance_cents: int


def statement_lines(conn: psycopg.Connection, tenant_id: str, shown: Statement) -> list[StatementLine]:
    """Every entry of a statement in the order of booking.

    Raises:
        StatementError: The entries do not lead from its opening to its closing: the month is still open
            and moved meanwhile, or the ledger was damaged.
    """
    base = base_of(conn, tenant_id, shown.period)
    balance = shown.opening_cents
    lines = []
    for row in conn.execute(
        "select t.booked_at, t.transaction_id, t.kind, t.order_id, a.kind, e.amount"
        " from ledger.account a join ledger.entry e on e.account_id = a.account_id"
        " and e.transaction_id >= %(next)s join ledger.transaction t on t.transaction_id = e.transaction_id"
        " where a.tenant_id = %(tenant)s and a.party_type = %(type)s and a.party_id = %(party)s"
        " and a.unit = 'CNY' and t.booked_at >= %(start)s and t.booked_at < %(end)s"
        " order by t.booked_at, t.transaction_id, e.entry_no",
        {
            "tenant": tenant_id,
            "type": shown.party.party_type,
            "party": shown.party.party_id,
            "next": base.next_transaction,
            "start": shown.period.start,
            "end": shown.period.end,
        },
    ):
        balance += row[5]
        lines.append(StatementLine(row[0], row[1], row[2], row[3], row[4], row[5], balance))
    if balance != shown.closing_cents:
        raise StatementError(
            f"statement {shown.period} of {shown.party.party_type} {shown.party.party_id} closes with "
            f"{shown.closing_cents} fen, its entries lead to {balance}: ask again"
        )
    return lines


def statement_csv(shown: Statement, lines: Iterable[StatementLine]) -> str:
    """A statement as CSV: the opening, every entry with the balance after it, the closing; amounts in fen."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["booked_at", "transaction_id", "kind", "order_id", "account", "amount_cents", "balance_cents"]
    )
    writer.writerow([shown.period.start.isoformat(), "", "opening", "", "", "", shown.opening_cents])
    for line in lines:
        writer.writerow([line.booked_at.astimezone(UTC).isoformat(), *line[1:]])
    writer.writerow([shown.period.end.isoformat(), "", "closing", "", "", "", shown.closing_cents])
    return text.getvalue()
