"""Refunds of orders that a channel took the money for: owed to the buyer until the channel says it is done.

Source: common rules, refund; L14.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from serving.channels.requests import NewRequest, Request, open_request
from serving.ledger.accounts import AccountBook, AccountKind
from serving.ledger.posting import Line, Posting, post

_CHANNEL = (AccountKind.CHANNEL_FROZEN, AccountKind.CHANNEL_AVAILABLE)


def ask_refund(
    conn: psycopg.Connection,
    tenant_id: str,
    refund_id: str,
    order_id: str,
    lines: Sequence[Line],
    now: datetime,
    book: AccountBook,
) -> None:
    """Ask the channel of an order's payment for a refund that was booked, in the same transaction.

    The money is booked as on its way instead of as gone. Orders that were paid before they came here have no
    channel to ask: their refund stays as it was booked.

    Args:
        conn: Inside the transaction of the refund.
        tenant_id: The tenant.
        refund_id: The refund.
        order_id: Its order.
        lines: Entries of the refund; those of the channel's accounts say what leaves it.
        now: Time of booking.
        book: Account ids known in this transaction.
    """
    leaving = {kind: sum(line.amount_cents for line in lines if line.kind == kind) for kind in _CHANNEL}
    cents = sum(leaving.values())
    if cents <= 0:
        return
    row = conn.execute(
        "select p.channel_id, p.payment_id, f.amount_cents from orders.payment p join channels.fact f"
        " on f.tenant_id = p.tenant_id and f.channel_id = p.channel_id and f.kind = 'payment'"
        " and f.reference = p.payment_id where p.tenant_id = %s and p.order_id = %s",
        (tenant_id, order_id),
    ).fetchone()
    if row is None:
        return
    channel_id, payment_id, total = row
    wanted = NewRequest(
        "refund",
        refund_id,
        channel_id,
        cents,
        f"order {order_id}"[:80],
        payment_id,
        total,
        order_id,
        leaving[AccountKind.CHANNEL_FROZEN],
    )
    open_request(conn, tenant_id, wanted, now)
    back = [Line(kind, -amount) for kind, amount in leaving.items() if amount]
    on_its_way = [*back, Line(AccountKind.REFUND_IN_TRANSIT, cents)]
    key = f"refund:{refund_id}:requested"
    post(conn, tenant_id, Posting(key, "refund_requested", now, on_its_way, order_id), book)


def book_refund_done(conn: psycopg.Connection, tenant_id: str, request: Request, now: datetime) -> None:
    """The channel gave a refund back to the buyer: the money leaves it, from where it lay when it was asked.

    Args:
        conn: Inside a transaction of the tenant; the request is locked.
        tenant_id: The tenant.
        request: A refund.
        now: Time of booking.
    """
    available = request.amount_cents - request.frozen_cents
    lines = [
        Line(AccountKind.REFUND_IN_TRANSIT, -request.amount_cents),
        Line(AccountKind.CHANNEL_FROZEN, request.frozen_cents),
        Line(AccountKind.CHANNEL_AVAILABLE, available),
    ]
    posting = Posting(
        done_key(request.reference),
        "refund_done",
        now,
        [line for line in lines if line.amount_cents],
        request.order_id,
    )
    post(conn, tenant_id, posting)


def done_key(reference: str) -> str:
    """Key of the transaction by which a refund left the channel."""
    return f"channel-request:{reference}:done"
