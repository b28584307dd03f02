"""Booking a transaction: one call, all or nothing, once per idempotency key.

The database checks again what is checked here (zero sum, tenants, units, guards): see migration 0002.

Source: invariants L1, L2, L5, L6, L13, L16 of the settlement rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party
from serving.ledger.errors import PostingRefusedError, typed_refusals


@dataclass(frozen=True, slots=True)
class Line:
    """One entry to be.

    Attributes:
        kind: Kind of account.
        amount_cents: Credit when positive, debit when negative; points for accounts in PT. Never 0.
        party: Whose account.
        leg_id: Settlement leg that the entry belongs to, when it is exactly one.
    """

    kind: AccountKind
    amount_cents: int
    party: Party = PLATFORM
    leg_id: int | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """A transaction to be.

    Attributes:
        key: Idempotency key, unique per tenant.
        kind: What happened: `accrual`, `release`, `refund`, ...
        booked_at: Business time (UTC).
        lines: Two or more entries that sum to zero per unit.
        order_id: Order that it belongs to.
        details: For the reader of the ledger.
    """

    key: str
    kind: str
    booked_at: datetime
    lines: Sequence[Line]
    order_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def request_hash(self) -> bytes:
        """SHA-256 of everything but the key: the same key with another hash is refused (L6)."""
        body = [
            self.kind,
            self.order_id,
            self.booked_at.isoformat(),
            [[line.kind, *line.party, line.amount_cents, line.leg_id] for line in self.lines],
            self.details,
        ]
        return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).digest()


@dataclass(frozen=True, slots=True)
class Posted:
    """A booked transaction; `is_new` is False when its key had been booked before with the same body."""

    transaction_id: int
    is_new: bool


def post(
    conn: psycopg.Connection, tenant_id: str, posting: Posting, book: AccountBook | None = None
) -> Posted:
    """Book a transaction.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        posting: What to book.
        book: Account ids known in this transaction.

    Raises:
        PostingRefusedError: Fewer than two entries, an entry of 0, or a sum that is not 0.
        IdempotencyConflictError: The key was used with another body.
        InsufficientBalanceError: A guarded account would pass zero.
        PeriodClosedError: `booked_at` lies in a closed period.
    """
    lines = posting.lines
    check_lines(posting)
    book = book or AccountBook(conn, tenant_id)
    with typed_refusals():
        accounts = book.ids((line.kind, line.party) for line in lines)
        row = conn.execute(
            "select transaction_id, is_new from ledger.post(%(tenant)s, %(key)s, %(hash)s, %(kind)s,"
            " %(order)s, %(booked_at)s, %(accounts)s::bigint[], %(amounts)s::bigint[],"
            " %(legs)s::bigint[], %(details)s)",
            {
                "tenant": tenant_id,
                "key": posting.key,
                "hash": posting.request_hash(),
                "kind": posting.kind,
                "order": posting.order_id,
                "booked_at": posting.booked_at,
                "accounts": accounts,
                "amounts": [line.amount_cents for line in lines],
                "legs": [line.leg_id for line in lines],
                "details": Jsonb(dict(posting.details)) if posting.details else None,
            },
        ).fetchone()
    assert row is not None
    return Posted(row[0], row[1])


def check_lines(posting: Posting) -> None:
    """Refuse entries of 0 and sums that are not 0; the database looks again, here it is told by name.

    Raises:
        PostingRefusedError: As above.
    """
    if len(posting.lines) < 2:
        raise PostingRefusedError(f"posting {posting.key}: it needs two entries or more")
    sums: dict[str, int] = {}
    for line in posting.lines:
        if line.amount_cents == 0:
            raise PostingRefusedError(f"posting {posting.key}: an entry must not be 0")
        sums[line.kind.unit] = sums.get(line.kind.unit, 0) + line.amount_cents
    for unit, difference in sums.items():
        if difference:
            raise PostingRefusedError(
                f"posting {posting.key}: the entries in {unit} sum to {difference}, not 0"
            )
