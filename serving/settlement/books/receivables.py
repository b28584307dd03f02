"""What parties have available and what they owe: every credit pays a debt first, every debit leaves a debt.

A receivable is never forgiven: it shrinks by later credits or by repayment only.

Source: common rules, refund; L5.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import psycopg

from serving.ledger.accounts import AccountBook, AccountKind, Party, available
from serving.ledger.balances import lock_balances
from serving.ledger.posting import Line, Posted, Posting, post
from serving.settlement.errors import FeeError

_OWED = AccountKind.CLAWBACK_RECEIVABLE
_BEFORE_ALL = Party("", "")


class Receivable(NamedTuple):
    """What a party owes, fen."""

    party: Party
    owed_cents: int


class PartyFunds:
    """Available and owed money of parties, locked until commit; follows the entries that it makes.

    Ask once per transaction, with every account that the transaction will touch.
    """

    def __init__(self, available_cents: dict[Party, int], owed_cents: dict[Party, int]) -> None:
        self._available = available_cents
        self._owed = owed_cents

    @classmethod
    def lock(
        cls,
        conn: psycopg.Connection,
        tenant_id: str,
        book: AccountBook,
        parties: Iterable[Party],
        others: Iterable[tuple[AccountKind, Party]] = (),
    ) -> PartyFunds:
        """Open and lock the available and owed accounts of parties, and other accounts along with them.

        Args:
            conn: Inside a transaction of the tenant.
            tenant_id: The tenant.
            book: Account ids known in this transaction.
            parties: Suppliers, merchants and agents.
            others: Further accounts that the transaction will move.
        """
        wanted = sorted(set(parties))
        keys = [(available(party), party) for party in wanted] + [(_OWED, party) for party in wanted]
        ids = book.ids([*keys, *sorted(set(others))])
        balances = lock_balances(conn, tenant_id, set(ids))
        amounts = [balances[account_id] for account_id in ids[: len(keys)]]
        return cls(
            dict(zip(wanted, amounts[: len(wanted)], strict=True)),
            {party: -amount for party, amount in zip(wanted, amounts[len(wanted) :], strict=True)},
        )

    def available_cents(self, party: Party) -> int:
        """What the party could be paid now, fen."""
        return self._available[party]

    def owed_cents(self, party: Party) -> int:
        """What the party owes, fen."""
        return self._owed[party]

    def credit(self, party: Party, cents: int, most_to_debt_bps: int = 10_000) -> list[Line]:
        """Entries that give a party `cents` >= 0: its debt first, by at most so large a share of it."""
        repaid = min(cents * most_to_debt_bps // 10_000, self._owed[party])
        self._owed[party] -= repaid
        self._available[party] += cents - repaid
        return _lines(party, cents - repaid, repaid)

    def debit(self, party: Party, cents: int) -> list[Line]:
        """Entries that take `cents` >= 0 from a party; what it does not have becomes its debt."""
        taken = min(cents, self._available[party])
        self._available[party] -= taken
        self._owed[party] += cents - taken
        return _lines(party, -taken, taken - cents)


def outstanding(
    conn: psycopg.Connection, *, after: Party = _BEFORE_ALL, limit: int | None = None
) -> list[Receivable]:
    """Parties of the session's tenant that owe something, by kind and id.

    Args:
        conn: Inside a transaction of the tenant.
        after: Last party of the page before.
        limit: Most rows; None for all.
    """
    rows = conn.execute(
        "select a.party_type, a.party_id, -b.amount"
        " from ledger.account a join ledger.balance b using (account_id)"
        " where a.kind = 'clawback_receivable' and b.amount < 0 and (a.party_type, a.party_id) > (%s, %s)"
        " order by a.party_type, a.party_id limit %s",
        (*after, limit),
    )
    return [Receivable(Party(party_type, party_id), cents) for party_type, party_id, cents in rows]


def repay(
    conn: psycopg.Connection, tenant_id: str, repayment_id: str, party: Party, cents: int, now: datetime
) -> Posted:
    """A party pays money in to settle what it owes.

    Raises:
        FeeError: It is not positive, or more than the party owes.
        IdempotencyConflictError: The id was used with another body.
    """
    return _settle(
        conn, tenant_id, ("repayment", repayment_id), party, cents, AccountKind.CHANNEL_AVAILABLE, now
    )


def write_off(
    conn: psycopg.Connection, tenant_id: str, write_off_id: str, party: Party, cents: int, now: datetime
) -> Posted:
    """A debt, or a part of it, is given up; the platform bears it. Two people decide that: see the caller.

    Raises:
        FeeError: It is not positive, or more than the party owes.
        IdempotencyConflictError: The id was used with another body.
    """
    return _settle(conn, tenant_id, ("write_off", write_off_id), party, cents, AccountKind.BAD_DEBT, now)


def _settle(
    conn: psycopg.Connection,
    tenant_id: str,
    name: tuple[str, str],
    party: Party,
    cents: int,
    from_kind: AccountKind,
    now: datetime,
) -> Posted:
    """A party owes less, once per kind and id of the posting; the money is the given account's."""
    kind, key = name[0], ":".join(name)
    book = AccountBook(conn, tenant_id)
    lines = [Line(_OWED, cents, party), Line(from_kind, -cents)]
    known = conn.execute(
        "select booked_at from ledger.transaction where tenant_id = %s and idempotency_key = %s",
        (tenant_id, key),
    ).fetchone()
    if known is None:
        owed = PartyFunds.lock(conn, tenant_id, book, [party]).owed_cents(party)
        if not 0 < cents <= owed:
            raise FeeError(
                f"{party.party_type} {party.party_id} owes {owed} fen; {kind} of {cents} is refused"
            )
    booked_at = known[0] if known else now
    return post(conn, tenant_id, Posting(key, kind, booked_at, lines), book)


def _lines(party: Party, to_available: int, to_owed: int) -> list[Line]:
    lines = [Line(available(party), to_available, party), Line(_OWED, to_owed, party)]
    return [line for line in lines if line.amount_cents]
