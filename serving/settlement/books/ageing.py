"""How old debts are: what was credited since paid the oldest part first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from serving.ledger.accounts import Party
from serving.settlement.books.receivables import Receivable

YOUNG = timedelta(days=30)
MIDDLE = timedelta(days=90)


class Part(NamedTuple):
    """A part of a debt that is still owed: since when, fen."""

    since_at: datetime
    cents: int


class AgedDebt(NamedTuple):
    """A debt by age, fen; the three sum to `owed_cents`.

    Attributes:
        party: Who owes.
        owed_cents: All of it.
        since_at: Of the oldest part.
        young_cents: Up to 30 days old.
        middle_cents: From 31 to 90 days.
        old_cents: Older.
    """

    party: Party
    owed_cents: int
    since_at: datetime
    young_cents: int
    middle_cents: int
    old_cents: int


def ageing(conn: psycopg.Connection, tenant_id: str, debt: Receivable, now: datetime) -> AgedDebt:
    """A debt of a party by age.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        debt: As `outstanding` gives it.
        now: Until when it is counted.
    """
    rows = conn.execute(
        "select t.booked_at, -e.amount from ledger.account a join ledger.entry e using (account_id)"
        " join ledger.transaction t using (transaction_id)"
        " where a.tenant_id = %s and a.kind = 'clawback_receivable' and a.party_type = %s and a.party_id = %s"
        " order by t.booked_at, t.transaction_id, e.entry_no",
        (tenant_id, *debt.party),
    )
    parts = open_parts((booked_at, int(cents)) for booked_at, cents in rows)

    def between(younger_than: timedelta | None, from_age: timedelta | None) -> int:
        return sum(
            part.cents
            for part in parts
            if (younger_than is None or now - part.since_at <= younger_than)
            and (from_age is None or now - part.since_at > from_age)
        )

    return AgedDebt(
        debt.party,
        debt.owed_cents,
        parts[0].since_at if parts else now,
        between(YOUNG, None),
        between(MIDDLE, YOUNG),
        between(None, MIDDLE),
    )


def open_parts(moves: Iterable[tuple[datetime, int]]) -> list[Part]:
    """What is still owed of a debt, oldest first.

    Args:
        moves: When, and by how much the debt grew (or, negative, shrank), in order of time.
    """
    parts: list[Part] = []
    for at, cents in moves:
        if cents > 0:
            parts.append(Part(at, cents))
            continue
        paid = -cents
        while paid and parts:
            oldest = parts[0]
            taken = min(paid, oldest.cents)
            paid -= taken
            parts[0] = oldest._replace(cents=oldest.cents - taken)
            if not parts[0].cents:
                parts.pop(0)
    return parts
