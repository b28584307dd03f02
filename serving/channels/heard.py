"""What channels said, as it was verified: append-only, once per thing and state. Nonces that were seen.

Whoever wants to book a fact notes it here first, in the same transaction: only the one who noted it books.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.facts import ChargebackFact, Fact, PaymentFact, PayoutFact, RefundFact, SplitFact

Connection = psycopg.Connection[Any]

_KEPT = timedelta(days=1)


def spend_nonce(conn: Connection, tenant_id: str, channel_id: str, nonce: str, now: datetime) -> None:
    """Note that a nonce was used; waits for another transaction that is about to.

    Args:
        conn: Inside the transaction that books the notice.
        tenant_id: The tenant.
        channel_id: Whose nonce.
        nonce: As signed.
        now: Wall clock.

    Raises:
        NoticeRefusedError: It was used before: the message is a recording.
    """
    made = conn.execute(
        "insert into channels.nonce (tenant_id, channel_id, nonce, seen_at) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (tenant_id, channel_id, nonce, now),
    )
    if made.rowcount == 0:
        raise NoticeRefusedError(Doubt.NONCE, "the message was received before")


def forget_nonces(conn: Connection, tenant_id: str, now: datetime) -> int:
    """Remove nonces whose messages are too old to be believed anyway; how many."""
    removed = conn.execute(
        "delete from channels.nonce where tenant_id = %s and seen_at < %s", (tenant_id, now - _KEPT)
    )
    return removed.rowcount


def note_fact(
    conn: Connection, tenant_id: str, channel_id: str, notice_id: str, fact: Fact | SplitFact
) -> bool:
    """Note a fact, before it is booked in the same transaction.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        channel_id: Who says it.
        notice_id: In which message; `query` when it was asked.
        fact: What it says.

    Returns:
        False when the channel said the same before: it is booked.

    Raises:
        NoticeRefusedError: It said something else about the same thing before.
    """
    kind, reference, other, progress = _named(fact)
    currency = fact.currency if isinstance(fact, PaymentFact | ChargebackFact) else "CNY"
    values = {
        "tenant": tenant_id,
        "channel": channel_id,
        "kind": kind,
        "reference": reference,
        "progress": progress,
        "other": other,
        "amount": fact.amount_cents,
        "currency": currency,
        "at": fact.paid_at if isinstance(fact, PaymentFact) else fact.occurred_at,
        "notice": notice_id,
    }
    made = conn.execute(
        "insert into channels.fact (tenant_id, channel_id, kind, reference, progress, other_reference,"
        " amount_cents, currency, occurred_at, notice_id) values (%(tenant)s, %(channel)s, %(kind)s,"
        " %(reference)s, %(progress)s, %(other)s, %(amount)s, %(currency)s, %(at)s, %(notice)s)"
        " on conflict do nothing",
        values,
    )
    if made.rowcount == 1:
        return True
    row = conn.execute(
        "select other_reference, amount_cents, currency from channels.fact where tenant_id = %(tenant)s"
        " and channel_id = %(channel)s and kind = %(kind)s and reference = %(reference)s"
        " and progress = %(progress)s",
        values,
    ).fetchone()
    if row != (other, fact.amount_cents, currency):
        raise NoticeRefusedError(
            Doubt.CONTENT, f"the channel said something else about {kind} {reference!r} before"
        )
    return False


def came_back(
    conn: Connection, tenant_id: str, channel_id: str, fact: RefundFact | PayoutFact | SplitFact
) -> bool:
    """Whether a channel said of what it says is done that it came back, or that it failed after that."""
    row = conn.execute(
        "select 1 from channels.fact where tenant_id = %s and channel_id = %s and kind = %s"
        " and reference = %s"
        " and (progress = 'returned' or progress = 'failed' and occurred_at > %s)",
        (tenant_id, channel_id, _named(fact)[0], fact.reference, fact.occurred_at),
    ).fetchone()
    return row is not None


def had_left(
    conn: Connection, tenant_id: str, channel_id: str, fact: RefundFact | PayoutFact | SplitFact
) -> bool:
    """Whether a channel said of what it says came back, or failed, that it had been done before."""
    row = conn.execute(
        "select 1 from channels.fact where tenant_id = %s and channel_id = %s and kind = %s"
        " and reference = %s"
        " and progress = 'done' and (%s = 'returned' or occurred_at < %s)",
        (
            tenant_id, channel_id, _named(fact)[0], fact.reference, str(fact.progress), fact.occurred_at,
        ),
    ).fetchone()  # fmt: skip
    return row is not None


def _named(fact: Fact | SplitFact) -> tuple[str, str, str, str]:
    """Kind, the id that the fact is noted under, what it refers to, how far it is."""
    match fact:
        case PaymentFact():
            return "payment", fact.payment_id, fact.order_ref, "done"
        case ChargebackFact():
            return "chargeback", fact.chargeback_id, fact.payment_id, "done"
        case RefundFact():
            return "refund", fact.reference, "", str(fact.progress)
        case SplitFact():
            return str(fact.kind), fact.reference, "", str(fact.progress)
        case _:
            return "payout", fact.reference, "", str(fact.progress)
