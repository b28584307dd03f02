"""Pay-outs: batches of what parties have available, sent to the payment channel, then confirmed or failed.

What a party gets goes by splits of payments of its own orders that the channel still holds, as far as they
carry it, and by one transfer for the rest. Talking to the channel is the affair of its adapter; here only the
books move.

Source: the pay-out leg of every scenario; L5, L14.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg

from serving.db import locks
from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party, available
from serving.ledger.posting import Line, Posting, post
from serving.ledger.posting_bulk import post_many
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.books.supplier_terms import not_payable_yet
from serving.settlement.channel.splits import Split, lock_rooms, share_out
from serving.settlement.control.blocks import read_blocks
from serving.settlement.errors import PayoutConflictError, PayoutResolvedError, UnknownPayoutError
from serving.settlement.plans.refusals import check_payment_adapter

PAYEES = ("supplier", "merchant", "agent")
_LONGEST_ID = 128
_DIGEST = 32


class Payout(NamedTuple):
    """One payment to a party, fen; `state` is `in_transit`, `paid` or `failed`.

    `order_id` names the order whose payment is split; None for a transfer.
    """

    payout_id: str
    batch_id: str
    party: Party
    amount_cents: int
    state: str
    order_id: str | None = None


def prepare_payouts(
    conn: psycopg.Connection,
    tenant_id: str,
    batch_id: str,
    adapter: str,
    now: datetime,
    threshold_cents: int = 1,
    party_types: Sequence[str] = PAYEES,
    *,
    most: Mapping[Party, int] | None = None,
) -> list[Payout]:
    """Send every party what it has available; once per batch id.

    Left out are parties below the threshold, not verified, or with a hold on them. Whoever owes something has
    available only what the plan's netting left. What a supplier has from orders whose plan pays later
    (`supplier_terms`) waits for its day.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        batch_id: Names the batch.
        adapter: The payment adapter that will carry it.
        now: Time of booking.
        threshold_cents: Least amount of a transfer, fen.
        party_types: Who is paid.
        most: What was approved, fen by party: nobody else is paid, and nobody more. None: everything.

    Returns:
        The payments, by party; those of the first call when the batch was prepared before.

    Raises:
        PayoutConflictError: The batch was prepared before for another adapter.
        PlanRefusedError: A demonstration plan settles here and the adapter moves real money.
    """
    _check_adapter(conn, tenant_id, adapter)
    if not _open_batch(conn, tenant_id, batch_id, adapter, now):
        return payouts_of_batch(conn, tenant_id, batch_id)
    candidates = [
        Party(party_type, party_id)
        for party_type, party_id in conn.execute(
            "select a.party_type, a.party_id from ledger.account a join ledger.balance b using (account_id)"
            " where a.tenant_id = %s and a.kind = any(%s) and b.amount >= %s order by 1, 2",
            (tenant_id, [f"{party_type}_available" for party_type in party_types], max(1, threshold_cents)),
        )
    ]
    blocks = read_blocks(conn, tenant_id, now, parties=candidates)
    free = [party for party in candidates if not blocks.of_party(party)]
    if most is not None:
        free = [party for party in free if party in most]
    rooms = lock_rooms(conn, tenant_id, adapter, free)
    book = AccountBook(conn, tenant_id)
    funds = PartyFunds.lock(conn, tenant_id, book, free)
    suppliers = [party for party in free if party.party_type == "supplier"]
    waiting = not_payable_yet(conn, tenant_id, suppliers, now)
    # Looked at again now that nobody else can move it.
    payable = {party: funds.available_cents(party) - waiting.get(party, 0) for party in free}
    paid = {
        party: min(payable[party], most[party] if most is not None else payable[party])
        for party in free
        if payable[party] >= max(1, threshold_cents)
    }
    splits = share_out(rooms, paid)
    payouts = _payouts(batch_id, paid, splits)
    of_payment = {split.order_id: split for split in splits}
    postings = [
        Posting(
            key=f"payout:{payout.payout_id}:sent",
            kind="payout_sent",
            booked_at=now,
            lines=[
                Line(available(payout.party), -payout.amount_cents, payout.party),
                Line(AccountKind.PAYOUT_IN_TRANSIT, payout.amount_cents),
            ],
            details={"batch_id": batch_id, "adapter": adapter},
        )
        for payout in payouts
    ]
    post_many(conn, tenant_id, postings, book)
    conn.execute(
        "insert into settlement.payout"
        " (tenant_id, payout_id, batch_id, party_type, party_id, amount_cents, state, sent_at, order_id,"
        " channel_id, payment_id)"
        " select %s, p.payout_id, %s, p.party_type, p.party_id, p.amount_cents, 'in_transit', %s, p.order_id,"
        " p.channel_id, p.payment_id"
        " from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[])"
        " as p (payout_id, party_type, party_id, amount_cents, order_id, channel_id, payment_id)",
        (
            tenant_id,
            batch_id,
            now,
            [payout.payout_id for payout in payouts],
            [payout.party.party_type for payout in payouts],
            [payout.party.party_id for payout in payouts],
            [payout.amount_cents for payout in payouts],
            [payout.order_id for payout in payouts],
            [of_payment[one.order_id].channel_id if one.order_id else None for one in payouts],
            [of_payment[one.order_id].payment_id if one.order_id else None for one in payouts],
        ),
    )
    return payouts


def payouts_of_batch(conn: psycopg.Connection, tenant_id: str, batch_id: str) -> list[Payout]:
    """The payments of a batch, by party and id."""
    rows = conn.execute(
        "select payout_id, batch_id, party_type, party_id, amount_cents, state, order_id"
        " from settlement.payout where tenant_id = %s and batch_id = %s"
        " order by party_type, party_id, payout_id",
        (tenant_id, batch_id),
    )
    return [
        Payout(pid, bid, Party(kind, party_id), cents, state, order_id)
        for pid, bid, kind, party_id, cents, state, order_id in rows
    ]


def has_batch(conn: psycopg.Connection, tenant_id: str, batch_id: str) -> bool:
    """Whether the batch was sent."""
    row = conn.execute(
        "select 1 from settlement.payout_batch where tenant_id = %s and batch_id = %s", (tenant_id, batch_id)
    ).fetchone()
    return row is not None


def by_party(payouts: Sequence[Payout]) -> dict[Party, int]:
    """What each party gets, by whichever roads, fen."""
    cents: dict[Party, int] = defaultdict(int)
    for payout in payouts:
        cents[payout.party] += payout.amount_cents
    return cents


def text_of(payouts: Sequence[Payout]) -> str:
    """What parties get by a pay-out as JSON lines, for whoever approves it: party type, party, fen."""
    rows = ([*party, cents] for party, cents in by_party(payouts).items())
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def amounts_of(text: str) -> dict[Party, int]:
    """Fen by party of what `text_of` wrote."""
    rows = [json.loads(line) for line in text.splitlines()]
    return {Party(party_type, party_id): cents for party_type, party_id, cents in rows}


def confirm_payout(conn: psycopg.Connection, tenant_id: str, payout_id: str, now: datetime) -> Payout:
    """The channel says that a transfer arrived; once.

    Raises:
        UnknownPayoutError: There is no such transfer.
        PayoutResolvedError: It failed before.
    """
    payout = _locked(conn, tenant_id, payout_id)
    if payout.state == "in_transit":
        lines = [
            Line(AccountKind.PAYOUT_IN_TRANSIT, -payout.amount_cents),
            Line(AccountKind.CHANNEL_AVAILABLE, payout.amount_cents),
        ]
        post(conn, tenant_id, Posting(f"payout:{payout_id}:confirmed", "payout_confirmed", now, lines))
    return _resolve(conn, tenant_id, payout, "paid", now, None)


def fail_payout(
    conn: psycopg.Connection, tenant_id: str, payout_id: str, now: datetime, failure: str
) -> Payout:
    """The channel says that a transfer did not arrive: the party has it again, its debts first; once.

    Raises:
        UnknownPayoutError: There is no such transfer.
        PayoutResolvedError: It arrived before.
    """
    payout = _locked(conn, tenant_id, payout_id)
    if payout.state == "in_transit":
        book = AccountBook(conn, tenant_id)
        funds = PartyFunds.lock(conn, tenant_id, book, [payout.party])
        lines = [
            Line(AccountKind.PAYOUT_IN_TRANSIT, -payout.amount_cents, PLATFORM),
            *funds.credit(payout.party, payout.amount_cents),
        ]
        posting = Posting(
            f"payout:{payout_id}:failed", "payout_failed", now, lines, None, {"failure": failure}
        )
        post(conn, tenant_id, posting, book)
    return _resolve(conn, tenant_id, payout, "failed", now, failure)


def _payouts(batch_id: str, paid: Mapping[Party, int], splits: Sequence[Split]) -> list[Payout]:
    """What parties are paid as splits, and a transfer for what no split carries."""
    rest = dict(paid)
    payouts = []
    for number, split in enumerate(splits):
        rest[split.party] -= split.cents
        payout_id = _payout_id(batch_id, *split.party, f"split-{number}")
        payouts.append(Payout(payout_id, batch_id, split.party, split.cents, "in_transit", split.order_id))
    payouts += [
        Payout(_payout_id(batch_id, *party), batch_id, party, cents, "in_transit")
        for party, cents in rest.items()
        if cents
    ]
    return sorted(payouts, key=lambda payout: (payout.party, payout.payout_id))


def _payout_id(*parts: str) -> str:
    """One id for one list of parts, short enough to be asked for: a colon within a part stands out."""
    name = ":".join(part.replace("~", "~~").replace(":", "~.") for part in parts)
    if len(name) <= _LONGEST_ID:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_ID - _DIGEST - 1]}~{digest}"


def _check_adapter(conn: psycopg.Connection, tenant_id: str, adapter: str) -> None:
    """No plan that only demonstrates may move real money, whichever merchant it settles."""
    rows = conn.execute(
        "select p.plan_id, p.version, p.profile from settlement.plan_version p"
        " where p.tenant_id = %s and p.profile = 'whitepaper_demo'"
        " and (p.plan_id in (select plan_id from settlement.merchant_plan where tenant_id = %s)"
        "      or exists (select 1 from settlement.leg l where l.tenant_id = %s"
        "                 and l.plan_id = p.plan_id and l.plan_version = p.version))",
        (tenant_id, tenant_id, tenant_id),
    ).fetchall()
    for plan_id, version, profile in rows:
        check_payment_adapter(f"{plan_id} version {version}", profile, adapter)


def _open_batch(conn: psycopg.Connection, tenant_id: str, batch_id: str, adapter: str, now: datetime) -> bool:
    """Whether the batch is new."""
    made = conn.execute(
        "insert into settlement.payout_batch (tenant_id, batch_id, prepared_at, adapter)"
        " values (%s, %s, %s, %s) on conflict do nothing returning batch_id",
        (tenant_id, batch_id, now, adapter),
    ).fetchone()
    if made is None:
        row = conn.execute(
            "select adapter from settlement.payout_batch where tenant_id = %s and batch_id = %s",
            (tenant_id, batch_id),
        ).fetchone()
        if row is not None and row[0] != adapter:
            raise PayoutConflictError(
                f"pay-out batch {batch_id} was prepared for adapter {row[0]}, not {adapter}; take a new id"
            )
    return made is not None


def _locked(conn: psycopg.Connection, tenant_id: str, payout_id: str) -> Payout:
    locks.payout(conn, tenant_id, payout_id)
    row = conn.execute(
        "select payout_id, batch_id, party_type, party_id, amount_cents, state, order_id"
        " from settlement.payout where tenant_id = %s and payout_id = %s",
        (tenant_id, payout_id),
    ).fetchone()
    if row is None:
        raise UnknownPayoutError(f"pay-out {payout_id} is unknown")
    return Payout(row[0], row[1], Party(row[2], row[3]), row[4], row[5], row[6])


def _resolve(
    conn: psycopg.Connection,
    tenant_id: str,
    payout: Payout,
    state: str,
    now: datetime,
    failure: str | None,
) -> Payout:
    if payout.state not in ("in_transit", state):
        raise PayoutResolvedError(f"pay-out {payout.payout_id} is {payout.state}; it cannot become {state}")
    if payout.state == "in_transit":
        conn.execute(
            "update settlement.payout set state = %s, resolved_at = %s, failure = %s"
            " where tenant_id = %s and payout_id = %s",
            (state, now, failure, tenant_id, payout.payout_id),
        )
    return payout._replace(state=state)
