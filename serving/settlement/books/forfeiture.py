"""A share that its payee loses before release goes to the platform, where refunds still reach it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind
from serving.ledger.posting import Posting, post
from serving.settlement.books.legs import Move, StoredLeg, account_of, order_legs, summed
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.books.release import mark_released, unfreeze
from serving.settlement.sharing.withholding import withheld_for


def forfeit(
    conn: psycopg.Connection,
    tenant_id: str,
    order_id: str,
    legs: Sequence[StoredLeg],
    now: datetime,
    *,
    key: str,
    kind: str,
    reason: str,
) -> int:
    """Move what pending or locked legs of one order still owe their payees to the platform.

    The legs go on with their sub-order: they are released with it (nobody is paid by them), or at once where
    the sub-order has been released before.

    Args:
        conn: Inside a transaction of the tenant that holds the order's row.
        tenant_id: The tenant.
        order_id: The order.
        legs: Pending or locked legs of payees.
        now: Time of booking.
        key: Idempotency key of the posting.
        kind: Kind of the posting.
        reason: What the explanation of the legs says from now on.

    Returns:
        Fen that moved.
    """
    lost = [leg for leg in legs if leg.due_cents and leg.state in ("pending", "locked")]
    if not lost:
        return 0
    lost += _withheld(conn, tenant_id, order_id, lost)
    done = _released_suppliers(conn, tenant_id, order_id)
    leaving = [leg for leg in lost if leg.supplier_id in done]
    moves: list[Move] = []
    for leg in lost:
        moves.append(
            (*account_of(leg.kind, leg.payee_type, leg.payee_id, leg.state), -leg.due_cents, leg.leg_id)
        )
        moves.append((AccountKind.PLATFORM_FEE, PLATFORM, leg.due_cents, leg.leg_id))
    moves += [move for leg in leaving for move in unfreeze(leg)]
    lines = summed(moves)
    book = AccountBook(conn, tenant_id)
    PartyFunds.lock(
        conn, tenant_id, book, (), [(line.kind, line.party) for line in lines if line.party != PLATFORM]
    )
    post(conn, tenant_id, Posting(key, kind, now, lines, order_id, {"reason": reason}), book)
    conn.execute(
        "update settlement.leg set forfeited_cents = amount_cents - reversed_cents, state = 'pending',"
        " explanation = explanation || '; ' || %s, xact_id = pg_current_xact_id()"
        " where tenant_id = %s and leg_id = any(%s)",
        (reason, tenant_id, [leg.leg_id for leg in lost]),
    )
    mark_released(conn, tenant_id, now, [leg.leg_id for leg in leaving])
    return sum(leg.due_cents for leg in lost)


def _withheld(
    conn: psycopg.Connection, tenant_id: str, order_id: str, lost: Sequence[StoredLeg]
) -> list[StoredLeg]:
    """Tax that was withheld from shares which nobody is paid: none is due on them."""
    names = {(leg.line_no, withheld_for(leg.payee_type, leg.payee_id)) for leg in lost}
    return [
        leg
        for leg in order_legs(conn, tenant_id, [order_id])
        if leg.kind == "withholding"
        and leg.state == "pending"
        and leg.due_cents
        and (leg.line_no, leg.payee_id) in names
    ]


def _released_suppliers(conn: psycopg.Connection, tenant_id: str, order_id: str) -> set[str]:
    rows = conn.execute(
        "select supplier_id from orders.sub_order"
        " where tenant_id = %s and order_id = %s and status = 'released'",
        (tenant_id, order_id),
    )
    return {supplier_id for (supplier_id,) in rows}
