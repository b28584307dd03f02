"""Booking many transactions in one call, for jobs and replays. One at a time lives in `posting`.

Source: invariants L1, L2, L5, L6, L13, L16 of the settlement rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.types.json import Jsonb

from serving.ledger.accounts import AccountBook
from serving.ledger.errors import typed_refusals
from serving.ledger.posting import Posted, Posting, check_lines


def post_many(
    conn: psycopg.Connection,
    tenant_id: str,
    postings: Sequence[Posting],
    book: AccountBook | None = None,
) -> list[Posted]:
    """Book transactions, all or none; each once per idempotency key.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        postings: What to book, each as `posting.post` takes it.
        book: Account ids known in this transaction.

    Returns:
        One answer per posting, in order.

    Raises:
        LedgerError: As `posting.post`; the message names the posting.
    """
    if not postings:
        return []
    for posting in postings:
        check_lines(posting)
    book = book or AccountBook(conn, tenant_id)
    entries = [(number, line) for number, posting in enumerate(postings, start=1) for line in posting.lines]
    with typed_refusals():
        rows = conn.execute(
            "select transaction_id, is_new from ledger.post_many(%(tenant)s, %(keys)s::text[],"
            " %(hashes)s::bytea[], %(kinds)s::text[], %(orders)s::text[], %(booked_at)s::timestamptz[],"
            " %(details)s::jsonb[], %(numbers)s::integer[], %(accounts)s::bigint[], %(amounts)s::bigint[],"
            " %(legs)s::bigint[]) order by number",
            {
                "tenant": tenant_id,
                "keys": [posting.key for posting in postings],
                "hashes": [posting.request_hash() for posting in postings],
                "kinds": [posting.kind for posting in postings],
                "orders": [posting.order_id for posting in postings],
                "booked_at": [posting.booked_at for posting in postings],
                "details": [Jsonb(dict(p.details)) if p.details else None for p in postings],
                "numbers": [number for number, _ in entries],
                "accounts": book.ids((line.kind, line.party) for _, line in entries),
                "amounts": [line.amount_cents for _, line in entries],
                "legs": [line.leg_id for _, line in entries],
            },
        ).fetchall()
    return [Posted(transaction_id, is_new) for transaction_id, is_new in rows]
