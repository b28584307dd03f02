"""What accounts hold. Reading only; the sums of platform accounts are rolled up in `roller`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg

from serving.db import locks
from serving.ledger.accounts import AccountKind, Party


class AccountBalance(NamedTuple):
    """Balance of one account in fen (or points); positive when the platform owes it."""

    kind: str
    party: Party
    unit: str
    amount: int


def balance(conn: psycopg.Connection, kind: AccountKind, party: Party) -> int:
    """Balance of one account of the session's tenant; 0 when it was never opened."""
    row = conn.execute(
        "select amount from ledger.account_balance where kind = %s and party_type = %s and party_id = %s",
        (kind, *party),
    ).fetchone()
    return int(row[0]) if row else 0


def party_balances(conn: psycopg.Connection, party: Party) -> dict[AccountKind, int]:
    """Balances of a party's accounts by kind."""
    rows = conn.execute(
        "select a.kind, b.amount from ledger.account a join ledger.balance b using (account_id)"
        " where a.party_type = %s and a.party_id = %s",
        tuple(party),
    )
    return {AccountKind(kind): int(amount) for kind, amount in rows}


def lock_balances(conn: psycopg.Connection, tenant_id: str, account_ids: Iterable[int]) -> dict[int, int]:
    """Balances of accounts that have a balance row, locked until commit in the order that postings keep.

    Take every lock that a transaction needs in one call: a second call may wait for somebody who waits for
    the first.
    """
    return locks.balances(conn, tenant_id, account_ids)


def trial_balance(
    conn: psycopg.Connection,
    kinds: Sequence[AccountKind] = (),
    *,
    after: tuple[str, str, str] = ("", "", ""),
    limit: int | None = None,
) -> list[AccountBalance]:
    """Accounts of the session's tenant in their order; all of them sum to zero per unit.

    Args:
        conn: Inside a transaction of the tenant.
        kinds: Only these; none means all.
        after: Kind, party type and party id behind which the accounts begin.
        limit: At most so many; None means all.
    """
    rows = conn.execute(
        "select kind, party_type, party_id, unit, amount from ledger.account_balance"
        " where (%(all)s or kind = any(%(kinds)s))"
        " and (kind, party_type, party_id) > (%(kind)s, %(type)s, %(id)s)"
        " order by kind, party_type, party_id limit %(limit)s",
        {
            "all": not kinds,
            "kinds": list(kinds),
            **dict(zip(("kind", "type", "id"), after, strict=True)),
            "limit": limit,
        },
    )
    return [AccountBalance(kind, Party(kt, pid), unit, int(amount)) for kind, kt, pid, unit, amount in rows]
