"""Splits: what of a pay-out a channel sends out of payments that it still holds, and what comes back.

A split is a road of a pay-out, not a way around it: whatever releases, holds, deposits and approvals leave to
a party is paid, and only then is looked at which payments of the party's own orders can carry it. See ADR 41.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from serving.channels.requests import NewRequest, Request, open_request
from serving.db import locks
from serving.ledger.accounts import AccountBook, AccountKind, Party
from serving.ledger.posting import Line, Posting, post
from serving.settlement.books.receivables import PartyFunds


class Room(NamedTuple):
    """What of a payment may still be split to a party, fen.

    Attributes:
        party: The receiver.
        order_id: The order that was paid.
        channel_id: The account that holds the payment.
        payment_id: The payment.
        due_cents: What the party was released of the order, less what was split to it before.
        left_cents: What may be split of the payment, to whomever.
    """

    party: Party
    order_id: str
    channel_id: str
    payment_id: str
    due_cents: int
    left_cents: int


class Split(NamedTuple):
    """A part of a payment for a party, fen."""

    party: Party
    order_id: str
    channel_id: str
    payment_id: str
    cents: int


# Payments that a channel holds and nobody asked to unfreeze.
_HELD = """
    held as (
        select p.order_id, p.payment_id, p.channel_id, p.paid_at, p.captured_cents, p.fee_cents,
            p.captured_cents * p.split_max_bps / 10000 as most_cents
        from orders.payment p join channels.account a
            on a.tenant_id = p.tenant_id and a.channel_id = p.channel_id and a.is_active
        where p.tenant_id = %(tenant)s and p.split_max_bps > 0
            and not exists (select from channels.request u where u.tenant_id = p.tenant_id
                and u.kind = 'unfreeze' and u.subject = p.payment_id)
    ),
    due as (
        select h.order_id, l.payee_type as party_type, l.payee_id as party_id,
            sum(l.amount_cents - l.reversed_cents - l.forfeited_cents)::bigint as cents
        from held h join settlement.leg l on l.tenant_id = %(tenant)s and l.order_id = h.order_id
        join channels.receiver r on r.tenant_id = %(tenant)s and r.channel_id = h.channel_id
            and (r.party_type, r.party_id) = (l.payee_type, l.payee_id) and r.is_current
        where l.state = 'released' group by 1, 2, 3
    ),
    sent as (
        select o.order_id, o.party_type, o.party_id, bool_or(o.state = 'failed') as is_refused,
            coalesce(sum(o.amount_cents) filter (where o.state <> 'failed'), 0)::bigint as cents
        from held h join settlement.payout o on o.tenant_id = %(tenant)s and o.order_id = h.order_id
        group by 1, 2, 3
    ),
    back as (
        select q.order_id, q.party_type, q.party_id, sum(q.amount_cents)::bigint as cents
        from held h join channels.request q on q.tenant_id = %(tenant)s and q.order_id = h.order_id
        where q.kind = 'split_return' and q.state <> 'failed' group by 1, 2, 3
    ),
    gone as (
        select h.order_id,
            coalesce((select sum(s.cents) from sent s where s.order_id = h.order_id), 0)::bigint
                as split_cents,
            coalesce((select sum(f.refund_cents) from settlement.refund f
                where f.tenant_id = %(tenant)s and f.order_id = h.order_id), 0)::bigint as refunded_cents
        from held h
    ),
    room as (
        -- The channel keeps its fee before anything is split.
        select h.order_id, g.refunded_cents, least(h.most_cents,
            h.captured_cents - h.fee_cents - g.refunded_cents) - g.split_cents as left_cents
        from held h join gone g using (order_id)
    )
"""
_ROOMS = f"""
    with {_HELD}
    select d.party_type, d.party_id, h.order_id, h.channel_id, h.payment_id,
        d.cents - coalesce(s.cents, 0) + coalesce(b.cents, 0), m.left_cents
    from held h join due d using (order_id) join room m using (order_id)
    left join sent s using (order_id, party_type, party_id)
    left join back b using (order_id, party_type, party_id)
    where h.order_id = any(%(orders)s) and s.is_refused is not true
    order by h.paid_at, h.order_id, d.party_type, d.party_id
"""


def lock_rooms(
    conn: psycopg.Connection, tenant_id: str, adapter: str, parties: Collection[Party]
) -> list[Room]:
    """What may be split to parties, the oldest payments first; the orders stay locked until commit.

    A party that the channel refused a part of a payment for is paid by a transfer.

    Args:
        conn: Inside a transaction of the tenant that has locked neither orders nor balances.
        tenant_id: The tenant.
        adapter: Whose payments.
        parties: Who is to be paid.
    """
    wanted = set(parties)
    rows = conn.execute(
        "select distinct p.order_id from orders.payment p join settlement.leg l using (tenant_id, order_id)"
        " join channels.receiver r on r.tenant_id = p.tenant_id and r.channel_id = p.channel_id"
        " and (r.party_type, r.party_id) = (l.payee_type, l.payee_id)"
        " join unnest(%s::text[], %s::text[]) as w (party_type, party_id)"
        " on (w.party_type, w.party_id) = (l.payee_type, l.payee_id)"
        " where p.tenant_id = %s and p.split_max_bps > 0 and p.adapter = %s and l.state = 'released'"
        " and not exists (select from channels.request u where u.tenant_id = p.tenant_id"
        "  and u.kind = 'unfreeze' and u.subject = p.payment_id)",
        (
            [party.party_type for party in wanted],
            [party.party_id for party in wanted],
            tenant_id,
            adapter,
        ),
    ).fetchall()
    if not rows:
        return []
    order_ids = locks.orders(conn, tenant_id, [order_id for (order_id,) in rows])
    found = conn.execute(_ROOMS, {"tenant": tenant_id, "orders": list(order_ids)}).fetchall()
    rooms = [Room(Party(kind, party_id), *rest) for kind, party_id, *rest in found]
    return [room for room in rooms if room.party in wanted]


def share_out(rooms: Sequence[Room], payable: Mapping[Party, int]) -> list[Split]:
    """Which payments carry what parties are paid, in the order of the rooms.

    Args:
        rooms: See `lock_rooms`.
        payable: Fen by party.

    >>> s, m = Party("supplier", "s"), Party("merchant", "m")
    >>> first, second = ("o1", "c", "p1"), ("o2", "c", "p2")
    >>> rooms = [Room(s, *first, 60, 70), Room(m, *first, 30, 70), Room(s, *second, 9, 9)]
    >>> [(split.party.party_id, split.order_id, split.cents) for split in share_out(rooms, {s: 65, m: 40})]
    [('s', 'o1', 60), ('m', 'o1', 10), ('s', 'o2', 5)]
    """
    left_of_payment = {room.payment_id: room.left_cents for room in rooms}
    left_of_party = dict(payable)
    splits = []
    for room in rooms:
        cents = min(room.due_cents, left_of_payment[room.payment_id], left_of_party.get(room.party, 0))
        if cents > 0:
            left_of_payment[room.payment_id] -= cents
            left_of_party[room.party] -= cents
            splits.append(Split(room.party, room.order_id, room.channel_id, room.payment_id, cents))
    return splits


def open_unfreezes(conn: psycopg.Connection, tenant_id: str, now: datetime) -> int:
    """Ask channels to free what is left of payments of which nothing more will be split; how many.

    Those are payments of orders of which every share is released or void, and whose receivers have what is
    theirs: by parts of them, or in another way, when nothing is left that they could be paid. What still
    waits is freed by the deadline.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    rows = conn.execute(
        f"""
        with {_HELD}
        select h.channel_id, h.payment_id, h.order_id, h.captured_cents
        from held h join room m using (order_id)
        where h.captured_cents > m.refunded_cents
            and exists (select from settlement.leg l where l.tenant_id = %(tenant)s
                and l.order_id = h.order_id and l.state = 'released')
            and not exists (select from settlement.leg l where l.tenant_id = %(tenant)s
                and l.order_id = h.order_id and l.state in ('pending', 'locked'))
            and not exists (select from settlement.payout o where o.tenant_id = %(tenant)s
                and o.order_id = h.order_id and o.state = 'in_transit')
            and (m.left_cents <= 0 or not exists (select from due d
                left join sent s using (order_id, party_type, party_id)
                left join back b using (order_id, party_type, party_id)
                where d.order_id = h.order_id and s.is_refused is not true
                and d.cents > coalesce(s.cents, 0) - coalesce(b.cents, 0)
                and exists (select from ledger.account a join ledger.balance v using (account_id)
                    where a.tenant_id = %(tenant)s and a.kind = d.party_type || '_available'
                    and (a.party_type, a.party_id) = (d.party_type, d.party_id) and v.amount > 0)))
        order by h.payment_id
        """.encode(),
        {"tenant": tenant_id},
    ).fetchall()
    for channel_id, payment_id, order_id, cents in rows:
        wanted = NewRequest(
            "unfreeze", payment_id, channel_id, cents, "everything is settled", payment_id, order_id=order_id
        )
        open_request(conn, tenant_id, wanted, now)
    return len(rows)


def open_returns(conn: psycopg.Connection, tenant_id: str, now: datetime) -> int:
    """Ask channels for what refunds left parties owing, of the parts that were split to them; how many.

    Of each order at most what was split to the party beyond what is due to it now, and of all orders together
    at most what it owes. A return that the channel refused is not asked for again by itself.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    owing = conn.execute(
        "select distinct a.party_type, a.party_id from ledger.account a join ledger.balance b"
        " using (account_id) join settlement.payout o on o.tenant_id = a.tenant_id"
        " and (o.party_type, o.party_id) = (a.party_type, a.party_id)"
        " where a.tenant_id = %s and a.kind = 'clawback_receivable' and b.amount < 0"
        " and o.payment_id is not null and o.state = 'paid' order by 1, 2",
        (tenant_id,),
    ).fetchall()
    asked = 0
    for party_type, party_id in owing:
        # Two workers do not ask for the same debt out of two orders.
        locks.party(conn, tenant_id, party_type, party_id)
        asked += _open_returns_of(conn, tenant_id, Party(party_type, party_id), now)
    return asked


def _open_returns_of(conn: psycopg.Connection, tenant_id: str, party: Party, now: datetime) -> int:
    values = {"tenant": tenant_id, "type": party.party_type, "id": party.party_id}
    row = conn.execute(
        "select (select -b.amount from ledger.account a join ledger.balance b using (account_id)"
        " where a.tenant_id = %(tenant)s and a.kind = 'clawback_receivable'"
        " and (a.party_type, a.party_id) = (%(type)s, %(id)s))"
        " - coalesce((select sum(q.amount_cents) from channels.request q where q.tenant_id = %(tenant)s"
        " and q.kind = 'split_return' and q.state in ('requested', 'accepted')"
        " and (q.party_type, q.party_id) = (%(type)s, %(id)s)), 0)",
        values,
    ).fetchone()
    owed = int(row[0]) if row is not None and row[0] is not None else 0
    rows = conn.execute(
        """
        with due as (
            select l.order_id, sum(l.amount_cents - l.reversed_cents - l.forfeited_cents)::bigint as cents
            from settlement.leg l where l.tenant_id = %(tenant)s and l.state = 'released'
                and (l.payee_type, l.payee_id) = (%(type)s, %(id)s) group by 1
        )
        select o.order_id, o.payout_id, o.channel_id, o.payment_id, o.amount_cents,
            coalesce((select sum(q.amount_cents) from channels.request q where q.tenant_id = %(tenant)s
                and q.order_id = o.order_id and q.kind = 'split_return' and q.state <> 'failed'
                and q.split_reference = s.reference), 0)::bigint,
            coalesce(d.cents, 0), s.reference, s.receiver_id
        from settlement.payout o join channels.request s on s.tenant_id = o.tenant_id and s.kind = 'split'
            and s.subject = o.payout_id
        left join due d on d.order_id = o.order_id
        where o.tenant_id = %(tenant)s and (o.party_type, o.party_id) = (%(type)s, %(id)s)
            and o.payment_id is not null and o.state = 'paid'
        order by o.order_id, o.resolved_at desc, o.payout_id
        """,
        values,
    ).fetchall()
    beyond: dict[str, int] = defaultdict(int)
    due: dict[str, int] = {}
    for order_id, _, _, _, cents, back, due_cents, _, _ in rows:
        beyond[order_id] += cents - back
        due[order_id] = due_cents
    asked = 0
    for order_id, payout_id, channel_id, payment_id, cents, back, _, reference, receiver_id in rows:
        take = min(cents - back, beyond[order_id] - due[order_id], owed)
        if take <= 0:
            continue
        beyond[order_id] -= take
        owed -= take
        wanted = NewRequest(
            "split_return",
            f"{payout_id}:return:{back}",
            channel_id,
            take,
            f"refund of order {order_id}"[:80],
            payment_id,
            order_id=order_id,
            party=(party.party_type, party.party_id),
            split_reference=reference,
            receiver_id=receiver_id,
        )
        open_request(conn, tenant_id, wanted, now)
        asked += 1
    return asked


def book_return(conn: psycopg.Connection, tenant_id: str, request: Request, now: datetime) -> None:
    """A part of a split is back at our account: the party's debt is paid, and what is more is the party's.

    Args:
        conn: Inside a transaction of the tenant; the request is locked.
        tenant_id: The tenant.
        request: A return.
        now: Time of booking.
    """
    party = Party(request.party_type or "", request.party_id or "")
    book = AccountBook(conn, tenant_id)
    funds = PartyFunds.lock(conn, tenant_id, book, [party])
    lines = [
        Line(AccountKind.CHANNEL_AVAILABLE, -request.amount_cents),
        *funds.credit(party, request.amount_cents),
    ]
    key = f"channel-request:{request.reference}:done"
    details = {"order_id": request.order_id}
    post(conn, tenant_id, Posting(key, "split_returned", now, lines, None, details), book)
