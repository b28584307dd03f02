"""Asking channels for what is due, and what their answers do to the books.

No transaction is open while a channel is asked. A request is leased before, so that a worker that dies leaves
it to the next one; it is repeated under the same reference, so that the channel does it once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg

from serving.channels.accounts import find_account
from serving.channels.errors import (
    ChannelError,
    ChannelRefusedError,
    ChannelUnavailableError,
    NoticeRefusedError,
    UnknownChannelError,
)
from serving.channels.facts import (
    PayoutFact,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundFact,
    RefundWanted,
    SplitFact,
    SplitKind,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.heard import came_back, forget_nonces, had_left, note_fact
from serving.channels.payees import payee_of
from serving.channels.protocol import Account, Adapter
from serving.channels.receivers import Receiver, find_receiver, note_told
from serving.channels.registry import adapter_of
from serving.channels.requests import (
    PAYS,
    NewRequest,
    Request,
    accept_request,
    end_request,
    lock_request,
    money_at,
    note_answer,
    open_request,
    take_due,
)
from serving.db import locks
from serving.db.operations import Operations
from serving.privacy.data_keys import Vault
from serving.settlement.books.refund_requests import book_refund_done
from serving.settlement.channel.splits import book_return, open_returns, open_unfreezes
from serving.settlement.channel.suspense import Misfit, MisfitKind, hold_misfit
from serving.settlement.payouts import confirm_payout, fail_payout

_RETURNED = {"payout": MisfitKind.PAYOUT_RETURNED, "refund": MisfitKind.REFUND_RETURNED}

Answer = RefundFact | PayoutFact | SplitFact
_Wanted = RefundWanted | PayoutWanted | SplitWanted | SplitReturnWanted | UnfreezeWanted


@dataclass(frozen=True)
class _Ready:
    """What to ask of whom; `receiver`: who gets a part, or gives it back."""

    account: Account
    wanted: _Wanted
    receiver: Receiver | None = None


@dataclass
class Sent:
    """What became of the requests that were due.

    Attributes:
        done: The channel did it.
        accepted: The channel is at it.
        failed: The channel will not do it.
        waiting: No answer that settles it; asked again later.
    """

    done: int = 0
    accepted: int = 0
    failed: int = 0
    waiting: int = 0


def open_payout_requests(conn: psycopg.Connection, tenant_id: str, now: datetime) -> int:
    """Ask the channel for every payment of a batch whose adapter has a registered account; how many.

    A split is asked of the account that holds its payment. Batches of adapters without an account are
    confirmed by hand.
    """
    rows = conn.execute(
        "select o.payout_id, o.party_type, o.party_id, o.amount_cents, coalesce(o.channel_id, a.channel_id),"
        " o.payment_id, o.order_id, w.receiver_id from settlement.payout o"
        " join settlement.payout_batch b using (tenant_id, batch_id)"
        " join lateral (select channel_id from channels.account a where a.tenant_id = o.tenant_id"
        "   and a.adapter = b.adapter and a.is_active order by a.created_at, a.channel_id limit 1) a on true"
        " left join channels.receiver w on w.tenant_id = o.tenant_id and w.channel_id = o.channel_id"
        "   and (w.party_type, w.party_id) = (o.party_type, o.party_id) and w.is_current"
        " where o.tenant_id = %(tenant)s and o.state = 'in_transit' and not exists"
        " (select from channels.request r where r.tenant_id = o.tenant_id and r.kind = any(%(kinds)s)"
        "  and r.subject = o.payout_id) order by o.payout_id" + locks.CLAIMED_PAYOUTS,
        # One that an operator decides at this moment is looked at again by the next round.
        {"tenant": tenant_id, "kinds": list(PAYS)},
    ).fetchall()
    for payout_id, party_type, party_id, cents, channel_id, payment_id, order_id, receiver_id in rows:
        wanted = NewRequest(
            "payout" if payment_id is None else "split",
            payout_id,
            channel_id,
            cents,
            "settlement",
            payment_id,
            order_id=order_id,
            party=(party_type, party_id),
            receiver_id=receiver_id,
        )
        open_request(conn, tenant_id, wanted, now)
    return len(rows)


def send_due(
    operations: Operations,
    vault: Vault,
    tenant_id: str,
    now: datetime,
    wall: datetime,
    *,
    adapters: Callable[[Account], Adapter] = adapter_of,
    limit: int = 200,
) -> Sent:
    """Ask for what is due, and ask how far what was accepted is; several workers may do so at once.

    Args:
        operations: Transactions.
        vault: Opens secrets.
        tenant_id: The tenant.
        now: Business time of bookings.
        wall: Wall clock (UTC) of attempts.
        adapters: Makes the adapter of an account.
        limit: Most requests of this call.
    """
    with operations.transaction(tenant_id) as conn:
        forget_nonces(conn, tenant_id, wall)
        open_payout_requests(conn, tenant_id, now)
        open_returns(conn, tenant_id, now)
        open_unfreezes(conn, tenant_id, now)
    sent = Sent()
    for _ in range(limit):
        with operations.transaction(tenant_id) as conn:
            request = take_due(conn, tenant_id, wall)
            if request is None:
                break
            ready = _ready(conn, vault, tenant_id, request, now)
        answer: Answer | ChannelError
        try:
            answer = _asked(adapters, request, ready, now)
        except ChannelError as error:
            answer = error
        with operations.transaction(tenant_id) as conn:
            if request.kind == "split" and isinstance(answer, SplitFact):
                note_told(conn, tenant_id, request.receiver_id or "")
            state = _take_answer(conn, tenant_id, request, answer, now, wall)
        setattr(sent, state, getattr(sent, state) + 1)
    return sent


def take_progress(
    conn: psycopg.Connection,
    tenant_id: str,
    channel_id: str,
    fact: Answer,
    now: datetime,
) -> bool:
    """Book how far a request is, once; whether the channel was asked for it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        channel_id: Who says so.
        fact: What it says.
        now: Time of booking.
    """
    request = lock_request(conn, tenant_id, fact.reference)
    if isinstance(fact, SplitFact):
        kind = str(fact.kind)
    else:
        kind = "refund" if isinstance(fact, RefundFact) else "payout"
    if request is None or (request.kind, request.channel_id) != (kind, channel_id):
        return False
    if fact.amount_cents != request.amount_cents:
        return False
    if fact.progress is Progress.RETURNED and request.kind not in _RETURNED:
        # What comes back of a part comes back by a request of its own.
        return False
    if request.state == "failed":
        _after_failure(conn, tenant_id, request, fact, now)
    elif request.state == "done":
        _after_done(conn, tenant_id, request, fact, now)
    elif fact.progress is Progress.RETURNED:
        _done(conn, tenant_id, request, fact.occurred_at, now)
        _hold(conn, tenant_id, request, fact, _RETURNED[request.kind], now)
    elif fact.progress is Progress.DONE:
        _done(conn, tenant_id, request, fact.occurred_at, now)
    elif fact.progress is Progress.FAILED:
        failure = (fact.failure or "the channel does not say why")[:300]
        if request.kind in PAYS:
            fail_payout(conn, tenant_id, request.subject, now, failure)
        end_request(conn, tenant_id, request.reference, "failed", fact.occurred_at, failure)
    elif request.state == "requested":
        accept_request(conn, tenant_id, request.reference)
    return True


def _after_failure(
    conn: psycopg.Connection,
    tenant_id: str,
    request: Request,
    fact: Answer,
    now: datetime,
) -> None:
    """The books let a request fail, and the channel did it after all.

    A refund is still owed: this was it; so were a return and an unfreezing. The party of a pay-out has its
    money again: what left is held.
    """
    if fact.progress is Progress.DONE and not came_back(conn, tenant_id, request.channel_id, fact):
        if request.kind not in PAYS:
            _done(conn, tenant_id, request, fact.occurred_at, now)
        else:
            kind = MisfitKind.PAYOUT_AFTER_FAILURE
            _hold(conn, tenant_id, request, fact, kind, now, leaves=True)
    elif fact.progress is Progress.RETURNED and had_left(conn, tenant_id, request.channel_id, fact):
        _hold(conn, tenant_id, request, fact, _RETURNED[request.kind], now)


def _after_done(
    conn: psycopg.Connection,
    tenant_id: str,
    request: Request,
    fact: Answer,
    now: datetime,
) -> None:
    """What was done came back: the channel says so, or says later that it failed.

    Of parts and unfreezings nobody says so unasked: that is an answer to a repeated question, come too late.
    """
    if request.kind not in _RETURNED:
        return
    is_back = fact.progress is Progress.RETURNED or (
        fact.progress is Progress.FAILED
        and request.resolved_at is not None
        and fact.occurred_at > request.resolved_at
    )
    if is_back:
        _hold(conn, tenant_id, request, fact, _RETURNED[request.kind], now)


def _ready(
    conn: psycopg.Connection, vault: Vault, tenant_id: str, request: Request, now: datetime
) -> _Ready | str:
    """What to ask of whom; or why it cannot be asked now."""
    try:
        account = find_account(conn, vault, tenant_id, request.channel_id)
    except UnknownChannelError as error:
        return str(error)
    if request.kind == "refund":
        wanted = RefundWanted(
            request.reference,
            request.payment_id or "",
            request.amount_cents,
            request.total_cents,
            request.reason,
        )
        return _Ready(account, wanted)
    if request.kind == "unfreeze":
        return _unfreezing(conn, tenant_id, account, request)
    if request.kind != "payout":
        return _splitting(conn, vault, tenant_id, account, request)
    party = (request.party_type or "", request.party_id or "")
    payee = payee_of(conn, vault, tenant_id, account, party)
    if payee is None:
        return f"{party[0]} {party[1]} has no account at {request.channel_id}: register it"
    held = money_at(conn, tenant_id, request.channel_id, now)
    if request.state == "requested" and request.amount_cents > held:
        return f"the channel holds {held} fen: too little to pay {request.amount_cents}"
    return _Ready(account, PayoutWanted(request.reference, payee, request.amount_cents, request.reason))


def _splitting(
    conn: psycopg.Connection,
    vault: Vault,
    tenant_id: str,
    account: Account,
    request: Request,
) -> _Ready:
    receiver = find_receiver(conn, vault, tenant_id, request.receiver_id or "")
    payment_id = request.payment_id or ""
    if request.split_reference is not None:
        back = SplitReturnWanted(
            request.reference,
            request.split_reference,
            payment_id,
            receiver.account,
            request.amount_cents,
            request.reason,
        )
        return _Ready(account, back, receiver)
    wanted = SplitWanted(
        request.reference, payment_id, receiver.account, request.amount_cents, request.reason
    )
    return _Ready(account, wanted, receiver)


def _unfreezing(conn: psycopg.Connection, tenant_id: str, account: Account, request: Request) -> _Ready | str:
    row = conn.execute(
        "select from settlement.payout where tenant_id = %s and order_id = %s and state = 'in_transit'",
        (tenant_id, request.order_id),
    ).fetchone()
    if row is not None:
        return f"a part of payment {request.payment_id} is on its way: it is unfrozen after that"
    return _Ready(account, UnfreezeWanted(request.reference, request.payment_id or "", request.reason))


def _asked(
    adapters: Callable[[Account], Adapter], request: Request, ready: _Ready | str, now: datetime
) -> Answer:
    if isinstance(ready, str):
        raise ChannelUnavailableError(ready)
    adapter, wanted = adapters(ready.account), ready.wanted
    # What may have been done before is asked about first: a refusal of the same once more would say nothing.
    is_repeated = request.state == "accepted" or request.attempts > 1
    if isinstance(wanted, RefundWanted):
        refund = adapter.query_refund(wanted) if is_repeated else None
        return refund or adapter.request_refund(wanted)
    if isinstance(wanted, PayoutWanted):
        payout = adapter.query_payout(wanted) if is_repeated else None
        return payout or adapter.request_payout(wanted)
    # Asked again under the same reference, a channel says how far it is.
    if isinstance(wanted, SplitWanted):
        receiver = ready.receiver
        if receiver is not None and not receiver.is_told:
            adapter.add_receiver(ReceiverWanted(receiver.account, receiver.name, receiver.party_type))
        progress = adapter.split(wanted)
    elif isinstance(wanted, SplitReturnWanted):
        progress = adapter.return_split(wanted)
    else:
        progress = adapter.unfreeze(wanted)
    failure = "the channel does not say why" if progress is Progress.FAILED else None
    return SplitFact(SplitKind(request.kind), request.reference, request.amount_cents, progress, now, failure)


def _take_answer(
    conn: psycopg.Connection,
    tenant_id: str,
    request: Request,
    answer: Answer | ChannelError,
    now: datetime,
    wall: datetime,
) -> str:
    """Name of the counter of `Sent` that the answer belongs to."""
    if isinstance(answer, ChannelRefusedError):
        refusal = _refusal(request, str(answer), now)
        take_progress(conn, tenant_id, request.channel_id, refusal, now)
        return "failed"
    if isinstance(answer, ChannelError):
        note_answer(conn, tenant_id, request, wall, str(answer))
        return "waiting"
    try:
        if request.kind != "unfreeze":
            # An unfreezing moves no money to or from the account.
            note_fact(conn, tenant_id, request.channel_id, "answer", answer)
        is_ours = take_progress(conn, tenant_id, request.channel_id, answer, now)
    except NoticeRefusedError as error:
        is_ours, told = False, str(error)
    else:
        told = f"the channel speaks of {answer.reference} over {answer.amount_cents} fen"
    if not is_ours:
        note_answer(conn, tenant_id, request, wall, told)
        return "waiting"
    if answer.progress is Progress.ACCEPTED:
        note_answer(conn, tenant_id, request, wall, "accepted", "accepted")
    return "done" if answer.progress is Progress.RETURNED else str(answer.progress)


def _refusal(request: Request, reason: str, now: datetime) -> Answer:
    """That a channel will not do what it was asked for."""
    match request.kind:
        case "refund":
            return RefundFact(request.reference, request.amount_cents, Progress.FAILED, now, reason)
        case "payout":
            return PayoutFact(request.reference, request.amount_cents, Progress.FAILED, now, reason)
    kind = SplitKind(request.kind)
    return SplitFact(kind, request.reference, request.amount_cents, Progress.FAILED, now, reason)


def _done(
    conn: psycopg.Connection, tenant_id: str, request: Request, occurred_at: datetime, now: datetime
) -> None:
    if request.kind in PAYS:
        confirm_payout(conn, tenant_id, request.subject, now)
    elif request.kind == "refund":
        book_refund_done(conn, tenant_id, request, now)
    elif request.kind == "split_return":
        book_return(conn, tenant_id, request, now)
    end_request(conn, tenant_id, request.reference, "done", occurred_at, None)


def _hold(
    conn: psycopg.Connection,
    tenant_id: str,
    request: Request,
    fact: Answer,
    kind: MisfitKind,
    now: datetime,
    *,
    leaves: bool = False,
) -> None:
    misfit = Misfit(
        kind,
        request.reference,
        request.amount_cents,
        "CNY",
        fact.occurred_at,
        request.channel_id,
        None,
        f"{request.kind} {request.subject}: {fact.failure or fact.progress}"[:300],
        leaves,
    )
    hold_misfit(conn, tenant_id, misfit, now)
