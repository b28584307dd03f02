"""What channels are asked for: kept until the channel says that it is done.

Kinds: `refund`; `payout` (a transfer) and `split` (a part of a payment), by which parties are paid;
`split_return`, by which a part comes back; `unfreeze`, which frees what is left of a payment.

States: `requested` (to be asked, or again), `accepted` (the channel is at it), `done`, `failed` (it will
not). A request is repeated under the same reference, so that the channel does it once. Times of attempts are
of the wall clock. What a state does to the books: `serving.settlement.channel.requests`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from serving.channels.errors import RequestStateError, UnknownRequestError
from serving.db import locks

Connection = psycopg.Connection[Any]

OPEN = ("requested", "accepted")
PAYS = ("payout", "split")
"""Kinds by which a party is paid: the subject is the pay-out."""
FREED_AFTER = timedelta(days=30)
"""How long after a payment a channel holds it for splitting at most, whatever it is asked for."""
_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(hours=6)
_LEASE = timedelta(minutes=2)
_LONGEST_ANSWER = 300
_LETTERS = {"refund": "r", "payout": "p", "split": "s", "split_return": "b", "unfreeze": "u"}


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What is to be asked; `subject` names the refund, the pay-out or `misfit:<id>`.

    Attributes:
        kind: See above.
        subject: What it is for; asked once.
        channel_id: Which account.
        amount_cents: Fen, above 0; of an unfreezing the whole payment.
        reason: Told to the channel.
        payment_id: The channel's payment, of all but pay-outs.
        total_cents: Of a refund: the whole payment.
        order_id: Of a refund of an order.
        frozen_cents: What of it the channel still holds frozen.
        party: Type and id of who is paid, or whose part comes back.
        split_reference: Of a return: our reference of the split.
        receiver_id: Whose account at the channel, of splits and returns; see `receivers`.
    """

    kind: str
    subject: str
    channel_id: str
    amount_cents: int
    reason: str
    payment_id: str | None = None
    total_cents: int = 0
    order_id: str | None = None
    frozen_cents: int = 0
    party: tuple[str, str] | None = None
    split_reference: str | None = None
    receiver_id: str | None = None


class Request(NamedTuple):
    """A row of `channels.request`."""

    reference: str
    kind: str
    subject: str
    channel_id: str
    payment_id: str | None
    order_id: str | None
    party_type: str | None
    party_id: str | None
    amount_cents: int
    total_cents: int
    frozen_cents: int
    reason: str
    state: str
    attempts: int
    next_attempt_at: datetime
    last_answer: str | None
    failure: str | None
    requested_at: datetime
    resolved_at: datetime | None
    split_reference: str | None
    receiver_id: str | None


_COLUMNS = ", ".join(Request._fields)


def reference_of(tenant_id: str, kind: str, subject: str) -> str:
    """Our id of a request at the channel: 32 letters and digits, the same for the same subject."""
    digest = hashlib.sha256("\x1f".join((tenant_id, kind, subject)).encode()).hexdigest()
    return _LETTERS[kind] + digest[:31]


def open_request(conn: Connection, tenant_id: str, wanted: NewRequest, now: datetime) -> str:
    """Keep a request until it is done, once per kind and subject; its reference.

    Args:
        conn: Inside the transaction of what is asked for.
        tenant_id: The tenant.
        wanted: The request.
        now: Business time.
    """
    reference = reference_of(tenant_id, wanted.kind, wanted.subject)
    party_type, party_id = wanted.party or (None, None)
    conn.execute(
        "insert into channels.request (tenant_id, reference, kind, subject, channel_id, payment_id, order_id,"
        " party_type, party_id, amount_cents, total_cents, frozen_cents, reason, split_reference,"
        " receiver_id, next_attempt_at, requested_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'epoch', %s)"
        " on conflict do nothing",
        (
            tenant_id, reference, wanted.kind, wanted.subject, wanted.channel_id, wanted.payment_id,
            wanted.order_id, party_type, party_id, wanted.amount_cents, wanted.total_cents,
            wanted.frozen_cents, wanted.reason, wanted.split_reference, wanted.receiver_id, now,
        ),
    )  # fmt: skip
    return reference


def take_due(conn: Connection, tenant_id: str, wall: datetime) -> Request | None:
    """The next request whose time has come, leased for some minutes; None when there is none."""
    row = conn.execute(
        "update channels.request set attempts = attempts + 1, next_attempt_at = %(lease)s"
        " where tenant_id = %(tenant)s and reference = (select reference from channels.request"
        " where tenant_id = %(tenant)s and state in ('requested', 'accepted')"
        " and next_attempt_at <= %(now)s order by next_attempt_at, reference limit 1"
        f"{locks.CLAIMED}) returning {_COLUMNS}".encode(),
        {"tenant": tenant_id, "now": wall, "lease": wall + _LEASE},
    ).fetchone()
    return None if row is None else Request(*row)


def delay(attempts: int) -> timedelta:
    """Time until the next attempt after so many: a minute, then twice as long each time, at most 6 hours."""
    return min(_FIRST_DELAY * 2 ** min(attempts - 1, 12), _LONGEST_DELAY)


def note_answer(
    conn: Connection, tenant_id: str, request: Request, wall: datetime, answer: str, state: str | None = None
) -> None:
    """Note what the channel answered to a request that is still open; it is asked again later."""
    conn.execute(
        "update channels.request set last_answer = %s, next_attempt_at = %s, state = coalesce(%s, state)"
        " where tenant_id = %s and reference = %s and state in ('requested', 'accepted')",
        (
            answer[:_LONGEST_ANSWER].replace("\x00", ""),
            wall + delay(request.attempts),
            state,
            tenant_id,
            request.reference,
        ),
    )


def accept_request(conn: Connection, tenant_id: str, reference: str) -> None:
    """Note that the channel has taken a request in; the request is locked."""
    conn.execute(
        "update channels.request set state = 'accepted' where tenant_id = %s and reference = %s",
        (tenant_id, reference),
    )


def end_request(
    conn: Connection, tenant_id: str, reference: str, state: str, at: datetime, failure: str | None
) -> None:
    """Note that a request is `done` or `failed`; the request is locked."""
    conn.execute(
        "update channels.request set state = %s, resolved_at = %s, failure = %s, last_answer = %s"
        " where tenant_id = %s and reference = %s",
        (state, at, failure, failure or state, tenant_id, reference),
    )


def lock_request(conn: Connection, tenant_id: str, reference: str) -> Request | None:
    """A request, locked until commit; None when there is none."""
    locks.channel_request(conn, tenant_id, reference)
    row = conn.execute(
        f"select {_COLUMNS} from channels.request where tenant_id = %s and reference = %s".encode(),
        (tenant_id, reference),
    ).fetchone()
    return None if row is None else Request(*row)


def retry_request(conn: Connection, tenant_id: str, reference: str, wall: datetime) -> Request:
    """Ask again, under the same reference: a refund that failed, or anything that waits, at once.

    Raises:
        UnknownRequestError: There is no such request.
        RequestStateError: It is done, or a pay-out or split that failed: the party has its money again.
    """
    request = lock_request(conn, tenant_id, reference)
    if request is None:
        raise UnknownRequestError(f"there is no request {reference!r}")
    if request.state == "done" or (request.kind in PAYS and request.state == "failed"):
        raise RequestStateError(f"the {request.kind} {reference} is {request.state}: there is nothing to ask")
    conn.execute(
        "update channels.request set state = case state when 'failed' then 'requested' else state end,"
        # What waits may have been done, so that it is asked about before it is asked for once more.
        " failure = null, resolved_at = null, next_attempt_at = %s,"
        " attempts = case state when 'failed' then 0 else least(attempts, 1) end"
        " where tenant_id = %s and reference = %s",
        (wall, tenant_id, reference),
    )
    found = lock_request(conn, tenant_id, reference)
    assert found is not None
    return found


def requests_page(
    conn: Connection, tenant_id: str, state: str | None, *, after: str, limit: int
) -> Sequence[Request]:
    """Requests by reference, beginning after the given one; all states when none is given."""
    rows = conn.execute(
        f"select {_COLUMNS} from channels.request where tenant_id = %s and reference > %s"
        " and (%s::text is null or state = %s) order by reference limit %s".encode(),
        (tenant_id, after, state, state, limit),
    )
    return [Request(*row) for row in rows]


def require_by_hand(conn: Connection, tenant_id: str, payout_id: str) -> None:
    """Refuse an operator's word about a pay-out that a channel is asked for: the channel's word counts.

    The pay-out stays locked, so that no channel is asked for it while the operator's word is booked.

    Raises:
        RequestStateError: A channel is asked for it.
    """
    locks.payout(conn, tenant_id, payout_id)
    row = conn.execute(
        "select channel_id from channels.request where tenant_id = %s and kind = any(%s) and subject = %s",
        (tenant_id, list(PAYS), payout_id),
    ).fetchone()
    if row is not None:
        raise RequestStateError(f"channel {row[0]} is asked for pay-out {payout_id}: its word counts")


def money_at(conn: Connection, tenant_id: str, channel_id: str, now: datetime) -> int:
    """What an account holds free by what its channel said, less fees and less what the channel is at, fen.

    What the channel holds of payments until they are split or unfrozen is not free, whatever the payments are
    for; `FREED_AFTER` it is, whether or not the channel did what it was asked for.
    """
    row = conn.execute(
        """
        select coalesce((select sum(case
                when f.kind = 'payment' or (f.kind, f.progress) = ('split_return', 'done')
                    then f.amount_cents
                when f.kind = 'chargeback' or f.progress = 'done' then -f.amount_cents
                -- Only what had left comes back.
                when d.reference is not null then f.amount_cents else 0 end)
            from channels.fact f left join channels.fact d on d.tenant_id = f.tenant_id
                and d.channel_id = f.channel_id and d.kind = f.kind and d.reference = f.reference
                and d.progress = 'done' and f.kind in ('refund', 'payout')
                and (f.progress = 'returned' or f.progress = 'failed' and f.occurred_at > d.occurred_at
                    and not exists (select from channels.fact b where b.tenant_id = f.tenant_id
                        and b.channel_id = f.channel_id and b.kind = f.kind and b.reference = f.reference
                        and b.progress = 'returned'))
            where f.tenant_id = %(tenant)s and f.channel_id = %(channel)s and f.currency = 'CNY'), 0)
          - coalesce((select sum(amount_cents) from channels.request
              where tenant_id = %(tenant)s and channel_id = %(channel)s and state = 'accepted'
              and kind in ('refund', 'payout', 'split')), 0)
          - coalesce((select sum(fee_cents) from orders.payment
              where tenant_id = %(tenant)s and channel_id = %(channel)s), 0)
          - coalesce((select sum(greatest(
                  f.amount_cents - coalesce(p.fee_cents, 0) - coalesce(r.cents, 0), 0))
              from channels.fact f join channels.account a using (tenant_id, channel_id)
              left join orders.payment p on p.tenant_id = f.tenant_id and p.channel_id = f.channel_id
                  and p.payment_id = f.reference
              left join (select payment_id, sum(amount_cents) as cents from channels.request
                  where tenant_id = %(tenant)s and channel_id = %(channel)s and kind in ('refund', 'split')
                  and state in ('accepted', 'done') group by 1) r on r.payment_id = f.reference
              where f.tenant_id = %(tenant)s and f.channel_id = %(channel)s and f.kind = 'payment'
              and f.currency = 'CNY' and f.occurred_at > %(held_since)s
              -- Money that is of no order yet is held as the account's payments are.
              and coalesce(p.split_max_bps, a.split_max_bps) > 0
              and not exists (select from channels.request u where u.tenant_id = f.tenant_id
                  and u.channel_id = f.channel_id and u.kind = 'unfreeze' and u.subject = f.reference
                  and u.state = 'done')), 0)
        """,
        {"tenant": tenant_id, "channel": channel_id, "held_since": now - FREED_AFTER},
    ).fetchone()
    assert row is not None
    return int(row[0])
