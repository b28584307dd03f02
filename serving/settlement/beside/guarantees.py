"""Guarantees of parties and the common guarantee fund, in the books: paying in, out, and meeting claims.

How claims are spread over the two pots is decided by `waterfall_clearing`.

Source: scenario 8, guarantee-fund clearing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party, available
from serving.ledger.balances import lock_balances
from serving.ledger.posting import Line, Posted, Posting, post
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.errors import FeeError
from serving.settlement.sharing.clearing import GuaranteeClaim, GuaranteeClearing, clear_guarantee

_GUARANTEE = AccountKind.GUARANTEE
COMMON_FUND = PLATFORM
"""Whose guarantee account the common fund is."""


def pay_into_guarantee(
    conn: psycopg.Connection, tenant_id: str, payment_id: str, party: Party, cents: int, now: datetime
) -> Posted:
    """A party sets aside what it has available as its guarantee; for `COMMON_FUND` the platform does.

    Raises:
        FeeError: It is not above 0, or more than the party has available.
        IdempotencyConflictError: The id was used with another body.
    """
    key = f"guarantee:{payment_id}"
    known = _booked_at(conn, tenant_id, key)
    book = AccountBook(conn, tenant_id)
    source, payer = (
        (AccountKind.PLATFORM_FEE, PLATFORM) if party == COMMON_FUND else (available(party), party)
    )
    if cents <= 0:
        raise FeeError(f"a guarantee payment of {cents} fen: give an amount above 0")
    if known is None and party != COMMON_FUND:
        funds = PartyFunds.lock(conn, tenant_id, book, [party], [(_GUARANTEE, party)])
        if funds.available_cents(party) < cents:
            raise FeeError(
                f"{party.party_type} {party.party_id} has {funds.available_cents(party)} fen available, "
                f"not {cents}"
            )
    lines = [Line(source, -cents, payer), Line(_GUARANTEE, cents, party)]
    return post(conn, tenant_id, Posting(key, "guarantee", known or now, lines), book)


def give_back_guarantee(
    conn: psycopg.Connection, tenant_id: str, payment_id: str, party: Party, cents: int, now: datetime
) -> Posted:
    """What a party set aside is available to it again; once per payment.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        payment_id: The payment that goes back.
        party: Whose it is.
        cents: How much, above 0.
        now: Time of booking.

    Raises:
        FeeError: It is not above 0, or claims left less than that in the guarantee.
        IdempotencyConflictError: The payment went back with another amount.
    """
    key = f"guarantee_return:{payment_id}"
    known = _booked_at(conn, tenant_id, key)
    if cents <= 0:
        raise FeeError(f"a return of {cents} fen: give an amount above 0")
    book = AccountBook(conn, tenant_id)
    ids = book.ids([(_GUARANTEE, party), (available(party), party)])
    held = lock_balances(conn, tenant_id, set(ids))[ids[0]]
    if known is None and held < cents:
        raise FeeError(
            f"the guarantee of {party.party_type} {party.party_id} holds {held} fen, not {cents}: "
            "claims of buyers were met from it"
        )
    lines = [Line(_GUARANTEE, -cents, party), Line(available(party), cents, party)]
    return post(conn, tenant_id, Posting(key, "guarantee_return", known or now, lines), book)


def meet_claims(
    conn: psycopg.Connection,
    tenant_id: str,
    clearing_id: str,
    party: Party,
    claims: Sequence[GuaranteeClaim],
    now: datetime,
) -> tuple[GuaranteeClearing, ...]:
    """Pay claims of buyers against a party: first from its guarantee, then from the common fund.

    What neither pot can pay is told in the answer and stays owed to the buyers. What the fund pays becomes a
    debt of the party only when an operator charges it as a penalty.

    Raises:
        FeeError: The clearing was done before, or a claim is listed twice.
    """
    if len({claim.claim_id for claim in claims}) != len(claims):
        raise FeeError(f"clearing {clearing_id} lists a claim twice; give each once")
    key = f"guarantee_clearing:{clearing_id}"
    book = AccountBook(conn, tenant_id)
    own_id, fund_id = book.ids([(_GUARANTEE, party), (_GUARANTEE, COMMON_FUND)])
    pots = lock_balances(conn, tenant_id, {own_id, fund_id})
    if _booked_at(conn, tenant_id, key) is not None:
        raise FeeError(f"clearing {clearing_id} was done before; take a new id")
    cleared = clear_guarantee(claims, pots[own_id], pots[fund_id])
    own, fund = sum(c.own_cents for c in cleared), sum(c.fund_cents for c in cleared)
    lines = [
        Line(_GUARANTEE, -own, party),
        Line(_GUARANTEE, -fund, COMMON_FUND),
        Line(AccountKind.CHANNEL_AVAILABLE, own + fund),
    ]
    if own + fund:
        details = {"claims": [[c.claim_id, c.own_cents, c.fund_cents, c.unpaid_cents] for c in cleared]}
        moved = [line for line in lines if line.amount_cents]
        post(conn, tenant_id, Posting(key, "guarantee_clearing", now, moved, None, details), book)
    return cleared


def _booked_at(conn: psycopg.Connection, tenant_id: str, key: str) -> datetime | None:
    row = conn.execute(
        "select booked_at from ledger.transaction where tenant_id = %s and idempotency_key = %s",
        (tenant_id, key),
    ).fetchone()
    return row[0] if row else None
