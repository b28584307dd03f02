"""Fees, penalties and compensations outside orders: recognised, waiting, released and taken back like legs.

The payer is debited when a fee is recognised; what it does not have becomes its debt. A beneficiary's share
waits as pending for the same days as a leg does. How a fee is shared is decided by `waterfall_fees`.

Source: P4, P9, P15; scenarios 5, 6 and 7.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Literal, NamedTuple

import psycopg

from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party, pending
from serving.ledger.posting import Line, Posting, post
from serving.ledger.posting_bulk import post_many
from serving.settlement.books.legs import summed
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.control.blocks import read_blocks
from serving.settlement.errors import (
    FeeConflictError,
    FeeError,
    PlanNotInForceError,
    PlanUnreadableError,
    UnknownFeeError,
)
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import RegionRule, SupplierRule
from serving.settlement.plans.store import ALL_OTHERS, plan_in_force, plan_version
from serving.settlement.plans.windows import STANDARD
from serving.settlement.sharing import snapshot
from serving.settlement.sharing.fees import service_fee_legs, slot_fee_legs
from serving.settlement.sharing.leg import Leg, formula, money
from serving.settlement.sharing.rounding import floor_bps

FeeKind = Literal["service_fee", "slot_fee", "penalty", "compensation"]
_REVENUE = {"penalty": AccountKind.PENALTY}


class Fee(NamedTuple):
    """One row of `settlement.service_fee`; amounts in fen.

    Attributes:
        fee_id: The fee.
        kind: `service_fee`, `slot_fee`, `penalty` or `compensation`.
        payer: Who pays it.
        beneficiary: Who gets a share of it, if anybody.
        amount_cents: The whole fee.
        share_cents: The beneficiary's share; the rest is the platform's.
        reversed_cents: What was given back of the fee.
        state: `pending` while the share waits, then `released`; `voided` when it was given back before.
        transaction_id: The transaction that recognised it.
    """

    fee_id: str
    kind: str
    payer: Party
    beneficiary: Party | None
    amount_cents: int
    share_cents: int
    reversed_cents: int
    state: str
    transaction_id: int

    def share_after(self, reversed_cents: int) -> int:
        """What is left of the share when so much of the fee was given back, floored like a reversal."""
        return self.share_cents - self.share_cents * reversed_cents // self.amount_cents


def recognise_service_fee(
    conn: psycopg.Connection,
    tenant_id: str,
    fee_id: str,
    plan: PlanVersion,
    payer: Party,
    recognised_cents: int,
    month_no: int,
    recruiter: snapshot.Party | None,
    now: datetime,
) -> Fee:
    """Scenario 6: a month of a company's service fee is recognised and shared with who brought it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        fee_id: Names the fee; the same id books once.
        plan: Carries P4.
        payer: The company.
        recognised_cents: Revenue recognised for the month, fen.
        month_no: 1 for the first month of service.
        recruiter: Who brought the company, as on file.
        now: Time of booking.

    Raises:
        FeeError: The id was used with another body, or the fee is not above 0.

    Source: P4.
    """
    legs = service_fee_legs(plan, recognised_cents, month_no, recruiter)
    return _recognise(conn, tenant_id, fee_id, "service_fee", payer, recognised_cents, legs, now, plan)


def charge_slot_fee(
    conn: psycopg.Connection,
    tenant_id: str,
    fee_id: str,
    plan: PlanVersion,
    payer: Party,
    slot_fee_cents: int,
    anchor: snapshot.Party,
    now: datetime,
) -> Fee:
    """Scenario 7: a merchant pays a live anchor's slot fee; the platform keeps its service share.

    Raises:
        FeeError: The id was used with another body, or the fee is not above 0.
    """
    legs = slot_fee_legs(plan, slot_fee_cents, anchor)
    return _recognise(conn, tenant_id, fee_id, "slot_fee", payer, slot_fee_cents, legs, now, plan)


def charge_penalty(
    conn: psycopg.Connection,
    tenant_id: str,
    fee_id: str,
    payer: Party,
    cents: int,
    reason: str,
    now: datetime,
) -> Fee:
    """P15: a penalty comes off what a supplier (or another party) gets; what is missing carries over.

    Where the tenant's plan lets suppliers carry nothing over (`negative_carries: false`) a supplier's penalty
    is cut to what he has available.

    Raises:
        FeeError: The id was used with another body, or the penalty is not above 0.
    """
    if payer.party_type == "supplier" and not _negative_carries(conn, tenant_id, now):
        locks.fee_name(conn, tenant_id, fee_id)
        known = _read(conn, tenant_id, fee_id)
        book = AccountBook(conn, tenant_id)
        there = PartyFunds.lock(conn, tenant_id, book, [payer]).available_cents(payer)
        left = known.amount_cents if known else there
        if left < cents:
            reason = f"{reason}; cut from {money(cents)} to what was available"
            cents = left
    fee = Fee(fee_id, "penalty", payer, None, cents, 0, 0, "released", 0)
    return _book(conn, tenant_id, fee, f"penalty {money(cents)}: {reason}", now, None)


def _negative_carries(conn: psycopg.Connection, tenant_id: str, now: datetime) -> bool:
    try:
        rule = plan_in_force(conn, tenant_id, ALL_OTHERS, now).only(SupplierRule)
    except (PlanNotInForceError, PlanUnreadableError):
        return True
    return rule is None or rule.negative_carries


def compensate_region(
    conn: psycopg.Connection,
    tenant_id: str,
    fee_id: str,
    plan: PlanVersion,
    leg_id: int,
    protected: Party,
    share_bps: int,
    now: datetime,
) -> Fee:
    """P9: a diversion found after payment; part of the seller's share goes to the protected region's agent.

    All cases on a leg together take at most the rule's share of what refunds have left of it (never above
    half); each is booked once per fee id. The
    seller is debited even if he is still waiting for the leg itself.

    Raises:
        FeeError: There is no such commission leg, the share exceeds the rule, or the id was used otherwise.

    Source: P9.
    """
    rule = plan.only(RegionRule)
    limit_bps = rule.max_share_of_leg_bps if rule else 0
    # With the order in hand neither a refund nor another case on the same leg comes in between.
    order = conn.execute(
        "select order_id from settlement.leg where tenant_id = %s and leg_id = %s", (tenant_id, leg_id)
    ).fetchone()
    locks.orders(conn, tenant_id, order or ())
    row = conn.execute(
        "select payee_type, payee_id, amount_cents - reversed_cents - forfeited_cents,"
        " (select coalesce(sum(f.amount_cents - f.reversed_cents), 0)::bigint from settlement.service_fee f"
        "  where f.tenant_id = l.tenant_id and f.kind = 'compensation' and f.party_type = l.payee_type"
        "  and f.party_id = l.payee_id and f.explanation like '%%' || %s)"
        " from settlement.leg l"
        " where tenant_id = %s and leg_id = %s and kind = 'direct' and not is_replaced",
        (_of_leg(leg_id), tenant_id, leg_id),
    ).fetchone()
    if row is None or not 0 < share_bps <= limit_bps:
        raise FeeError(
            f"leg {leg_id} cannot compensate a region with {share_bps} bps: it must be a seller's leg, "
            f"and the plan allows up to {limit_bps} bps"
        )
    known = _read(conn, tenant_id, fee_id)
    cents = known.amount_cents if known else floor_bps(row[2], share_bps)
    if known is None and row[3] + cents > floor_bps(row[2], limit_bps):
        raise FeeError(
            f"leg {leg_id} of {row[2]} fen compensates with {row[3]} fen already; {cents} more pass the "
            f"{limit_bps} bps that the plan allows"
        )
    fee = Fee(fee_id, "compensation", Party(row[0], row[1]), protected, cents, cents, 0, "pending", 0)
    text = f"floor({money(row[2])} x {share_bps} bps) = {money(cents)}{_of_leg(leg_id)}"
    booked = _book(conn, tenant_id, fee, text, now, plan)
    conn.execute(
        "update settlement.service_fee set leg_id = %s where tenant_id = %s and fee_id = %s",
        (leg_id, tenant_id, fee_id),
    )
    return booked


def end_compensations(
    conn: psycopg.Connection,
    tenant_id: str,
    refund_id: str,
    order_id: str,
    line_no: int,
    now: datetime,
) -> None:
    """Give compensations back as far as a refund took the shares that they are based on, pro rata.

    What is left of a compensation is floor(compensation x what is left of the share / what it was based on).

    Args:
        conn: Inside a transaction of the tenant that holds `locks.balances_of_orders`.
        tenant_id: The tenant.
        refund_id: The refund, whose reversals are written.
        order_id: The order.
        line_no: The line.
        now: Time of booking.
    """
    rows = conn.execute(
        "select f.fee_id, f.amount_cents, f.reversed_cents, l.amount_cents - l.reversed_cents,"
        " l.amount_cents - coalesce(sum(r.reversed_cents)"
        "  filter (where r.transaction_id < f.transaction_id), 0)::bigint"
        " from settlement.service_fee f join settlement.leg l using (tenant_id, leg_id)"
        " left join settlement.leg_reversal r using (tenant_id, leg_id)"
        " where f.tenant_id = %s and l.order_id = %s and l.line_no = %s and f.reversed_cents < f.amount_cents"
        " group by f.tenant_id, f.fee_id, l.tenant_id, l.leg_id order by f.fee_id",
        (tenant_id, order_id, line_no),
    ).fetchall()
    for fee_id, cents, reversed_cents, left, base in rows:
        back = cents - reversed_cents - cents * left // base
        if back > 0:
            reverse_fee(conn, tenant_id, f"{refund_id}:{fee_id}", fee_id, back, now)


def plan_of_leg(conn: psycopg.Connection, tenant_id: str, leg_id: int) -> PlanVersion:
    """The plan version that a leg was accrued by.

    Raises:
        FeeError: There is no such leg.
    """
    row = conn.execute(
        "select plan_id, plan_version from settlement.leg where tenant_id = %s and leg_id = %s",
        (tenant_id, leg_id),
    ).fetchone()
    if row is None:
        raise FeeError(f"leg {leg_id} is unknown; read the order's legs with explain")
    return plan_version(conn, tenant_id, *row)


def _of_leg(leg_id: int) -> str:
    """How the explanation of a compensation ends."""
    return f" of leg {leg_id}"


def service_month(conn: psycopg.Connection, tenant_id: str, fee_id: str, payer: Party, now: datetime) -> int:
    """Which month (the tenant's) of a company's service a fee belongs to; 1 is that of its first service fee.

    A fee that was recognised before keeps its month.
    """
    row = conn.execute(
        "select min(recognised_at), max(recognised_at) filter (where fee_id = %s)"
        " from settlement.service_fee where tenant_id = %s and kind = 'service_fee'"
        " and party_type = %s and party_id = %s",
        (fee_id, tenant_id, *payer),
    ).fetchone()
    if row is None or row[0] is None:
        return 1
    zone = zone_of(conn, tenant_id)
    first, at = local_day(row[0], zone), local_day(row[1] or now, zone)
    return max(1, (at.year - first.year) * 12 + at.month - first.month + 1)


def fees_page(
    conn: psycopg.Connection, tenant_id: str, party: Party | None, after: str, limit: int
) -> list[Fee]:
    """Fees by id, those of one payer or beneficiary when it is named.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party: Whose; None for everybody's.
        after: Last id of the page before, or empty.
        limit: Most rows.
    """
    kind, name = party or (None, None)
    return _select(
        conn,
        "tenant_id = %s and fee_id > %s and (%s::text is null or (party_type, party_id) = (%s, %s)"
        " or (beneficiary_type, beneficiary_id) = (%s, %s)) order by fee_id limit %s",
        (tenant_id, after, kind, kind, name, kind, name, limit),
    )


def reverse_fee(
    conn: psycopg.Connection, tenant_id: str, reversal_id: str, fee_id: str, cents: int, now: datetime
) -> Fee:
    """Give back part or all of a fee to its payer; once per reversal id, by the formula of refunds.

    Raises:
        FeeError: There is no such fee, more would be given back than is left, or the id was used otherwise.
    """
    locks.fee(conn, tenant_id, fee_id)
    fee = _read(conn, tenant_id, fee_id)
    if fee is None:
        raise UnknownFeeError(f"fee {fee_id} is unknown")
    known = conn.execute(
        "select fee_id, amount_cents from settlement.service_fee_reversal"
        " where tenant_id = %s and reversal_id = %s",
        (tenant_id, reversal_id),
    ).fetchone()
    if known:
        if known != (fee_id, cents):
            raise FeeConflictError(
                f"reversal {reversal_id} was booked before with another body; take a new id"
            )
        return fee
    total = fee.reversed_cents + cents
    if cents <= 0 or total > fee.amount_cents:
        raise FeeError(
            f"fee {fee_id} of {fee.amount_cents} fen: {fee.reversed_cents} were given back, {cents} cannot be"
        )
    share = fee.share_after(fee.reversed_cents) - fee.share_after(total)
    book = AccountBook(conn, tenant_id)
    parties = [fee.payer, *([fee.beneficiary] if fee.beneficiary else [])]
    others = [(pending(fee.beneficiary), fee.beneficiary)] if fee.beneficiary else []
    funds = PartyFunds.lock(conn, tenant_id, book, parties, others)
    lines = funds.credit(fee.payer, cents)
    if fee.beneficiary and share:
        if fee.state == "pending":
            lines.append(Line(pending(fee.beneficiary), -share, fee.beneficiary))
        else:
            lines += funds.debit(fee.beneficiary, share)
    if cents > share:
        lines.append(Line(_REVENUE.get(fee.kind, AccountKind.PLATFORM_FEE), share - cents))
    posting = Posting(f"fee_reversal:{reversal_id}", "fee_reversal", now, lines, None, {"fee_id": fee_id})
    transaction_id = post(conn, tenant_id, posting, book).transaction_id
    state = "voided" if fee.state == "pending" and total == fee.amount_cents else fee.state
    conn.execute(
        "insert into settlement.service_fee_reversal (tenant_id, reversal_id, fee_id, amount_cents,"
        " share_cents, reversed_at, transaction_id) values (%s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, reversal_id, fee_id, cents, share, now, transaction_id),
    )
    conn.execute(
        "update settlement.service_fee set reversed_cents = %s, state = %s"
        " where tenant_id = %s and fee_id = %s",
        (total, state, tenant_id, fee_id),
    )
    return fee._replace(reversed_cents=total, state=state)


def release_fees_due(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    wait: timedelta = STANDARD.wait,
    batch: int = 500,
) -> int:
    """Release shares of fees that were recognised long enough ago; how many.

    Shares of beneficiaries that are not verified or have a hold on them keep waiting.
    """
    released = 0
    after = ""
    while True:
        work = partial(_release_fees, tenant_id=tenant_id, now=now, due=now - wait, batch=batch, after=after)
        done, last = in_transaction(transactions, work)
        released += done
        if last is None:
            return released
        after = last


def _release_fees(
    conn: psycopg.Connection, tenant_id: str, now: datetime, due: datetime, batch: int, after: str
) -> tuple[int, str | None]:
    fees = _select(
        conn,
        "tenant_id = %s and state = 'pending' and recognised_at <= %s and fee_id > %s"
        " order by fee_id limit %s" + locks.CLAIMED,
        (tenant_id, due, after, batch),
    )
    if not fees:
        return 0, None
    parties = {fee.beneficiary for fee in fees if fee.beneficiary}
    blocks = read_blocks(conn, tenant_id, now, parties=parties)
    free = [fee for fee in fees if fee.beneficiary and not blocks.of_party(fee.beneficiary)]
    payees = {fee.beneficiary for fee in free if fee.beneficiary}
    book = AccountBook(conn, tenant_id)
    funds = PartyFunds.lock(conn, tenant_id, book, payees, [(pending(party), party) for party in payees])
    postings = []
    for fee in free:
        left = fee.share_after(fee.reversed_cents)
        if fee.beneficiary and left:
            lines = [Line(pending(fee.beneficiary), -left, fee.beneficiary)]
            lines += funds.credit(fee.beneficiary, left)
            postings.append(Posting(f"fee:{fee.fee_id}:released", "fee_release", now, lines))
    post_many(conn, tenant_id, postings, book)
    conn.execute(
        "update settlement.service_fee set state = 'released', released_at = %s"
        " where tenant_id = %s and fee_id = any(%s)",
        (now, tenant_id, [fee.fee_id for fee in free]),
    )
    return len(free), fees[-1].fee_id


def _recognise(
    conn: psycopg.Connection,
    tenant_id: str,
    fee_id: str,
    kind: FeeKind,
    payer: Party,
    cents: int,
    legs: tuple[Leg, ...],
    now: datetime,
    plan: PlanVersion,
) -> Fee:
    """Book the legs of a fee: at most one of them belongs to a party."""
    shares = [leg for leg in legs if leg.payee_type != "platform" and leg.amount_cents]
    beneficiary = Party(shares[0].payee_type, shares[0].payee_id) if shares else None
    share = sum(leg.amount_cents for leg in shares)
    state = "pending" if share else "released"
    fee = Fee(fee_id, kind, payer, beneficiary, cents, share, 0, state, 0)
    return _book(conn, tenant_id, fee, "; ".join(map(formula, legs)), now, plan)


def _book(
    conn: psycopg.Connection,
    tenant_id: str,
    fee: Fee,
    explanation: str,
    now: datetime,
    plan: PlanVersion | None,
) -> Fee:
    if fee.amount_cents <= 0 or fee.payer == PLATFORM:
        raise FeeError(
            f"fee {fee.fee_id} of {fee.amount_cents} fen: it needs a paying party and an amount above 0"
        )
    # Two calls with one id come one after the other.
    locks.fee_name(conn, tenant_id, fee.fee_id)
    known = _read(conn, tenant_id, fee.fee_id)
    if known:
        if known[:6] != fee[:6]:
            raise FeeConflictError(f"fee {fee.fee_id} was booked before with another body; take a new id")
        return known
    book = AccountBook(conn, tenant_id)
    others = [(pending(fee.beneficiary), fee.beneficiary)] if fee.beneficiary else []
    funds = PartyFunds.lock(conn, tenant_id, book, [fee.payer], others)
    lines = funds.debit(fee.payer, fee.amount_cents)
    revenue = _REVENUE.get(fee.kind, AccountKind.PLATFORM_FEE)
    lines += summed(
        [
            *((kind, party, fee.share_cents, None) for kind, party in others),
            (revenue, PLATFORM, fee.amount_cents - fee.share_cents, None),
        ]
    )
    posting = Posting(f"fee:{fee.fee_id}", fee.kind, now, lines, None, {"explanation": explanation})
    booked = fee._replace(transaction_id=post(conn, tenant_id, posting, book).transaction_id)
    conn.execute(
        "insert into settlement.service_fee (tenant_id, fee_id, party_type, party_id, kind, amount_cents,"
        " recognised_at, beneficiary_type, beneficiary_id, transaction_id, plan_id, plan_version,"
        " share_cents, state, explanation)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id, fee.fee_id, *fee.payer, fee.kind, fee.amount_cents, now,
            fee.beneficiary.party_type if fee.beneficiary else None,
            fee.beneficiary.party_id if fee.beneficiary else None,
            booked.transaction_id, plan.plan_id if plan else None, plan.version if plan else None,
            fee.share_cents, fee.state, explanation,
        ),
    )  # fmt: skip
    return booked


def _read(conn: psycopg.Connection, tenant_id: str, fee_id: str) -> Fee | None:
    found = _select(conn, "tenant_id = %s and fee_id = %s", (tenant_id, fee_id))
    return found[0] if found else None


def _select(conn: psycopg.Connection, condition: str, parameters: tuple[object, ...]) -> list[Fee]:
    rows = conn.execute(
        "select fee_id, kind, party_type, party_id, beneficiary_type, beneficiary_id, amount_cents,"
        f" share_cents, reversed_cents, state, transaction_id from settlement.service_fee where {condition}",
        parameters,
    )
    return [
        Fee(row[0], row[1], Party(row[2], row[3]), Party(row[4], row[5]) if row[4] else None, *row[6:])
        for row in rows
    ]
