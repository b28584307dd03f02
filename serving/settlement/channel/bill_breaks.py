"""Differences that a reconciliation found go to suspense by type, and leave it by a documented act."""

from __future__ import annotations

from datetime import datetime

import psycopg

from serving.channels.facts import CURRENCY
from serving.settlement.channel.reconciliation import BreakType
from serving.settlement.channel.suspense import Misfit, MisfitKind, hold_misfit

_ARRIVES = frozenset({"payment", "payout_return", "split_return"})


def hold_breaks(conn: psycopg.Connection, tenant_id: str, run_id: str, now: datetime) -> int:
    """Book the differences of a run that are about money at the channel; each once, however often found.

    What is a matter of time, or between our records and our ledger only, moves nothing at the channel.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        run_id: A finished run.
        now: Time of booking.

    Returns:
        Differences of the run that are held.
    """
    rows = conn.execute(
        "select k.break_type, k.kind, k.reference, k.expected_cents, k.found_cents, k.details, b.bill_id,"
        " b.bill_to, b.channel_id from settlement.reconciliation_break k join settlement.reconciliation r"
        " using (tenant_id, run_id) join settlement.channel_bill b on b.tenant_id = r.tenant_id"
        " and b.bill_id = r.bill_id where k.tenant_id = %s and k.run_id = %s"
        " order by k.break_type, k.kind, k.reference",
        (tenant_id, run_id),
    ).fetchall()
    held = 0
    for break_type, kind, reference, expected, found, details, bill_id, bill_to, channel_id in rows:
        cents = arriving_cents(BreakType(break_type), kind, expected or 0, found or 0)
        if not cents:
            continue
        misfit = Misfit(
            MisfitKind(f"bill_{break_type}"),
            f"{kind}:{reference}",
            abs(cents),
            CURRENCY,
            bill_to,
            channel_id,
            detail=f"bill {bill_id}: {details or break_type}"[:300],
            leaves=cents < 0,
        )
        if not _is_held_beside(conn, tenant_id, misfit):
            hold_misfit(conn, tenant_id, misfit, now)
        held += 1
    return held


def _is_held_beside(conn: psycopg.Connection, tenant_id: str, misfit: Misfit) -> bool:
    """Whether a bill of all accounts found what a bill of one account finds, or the other way round."""
    row = conn.execute(
        "select from channels.misfit where tenant_id = %s and kind = %s and reference = %s and leaves = %s"
        " and (channel_id is null) <> (%s::text is null) limit 1",
        (tenant_id, misfit.kind, misfit.reference, misfit.leaves, misfit.channel_id),
    ).fetchone()
    return row is not None


def arriving_cents(break_type: BreakType, kind: str, expected: int, found: int) -> int:
    """What the channel holds more than the books by a difference, fen; below 0: less.

    Args:
        break_type: How bill and records differ.
        kind: Of the bill's line; see `bill`.
        expected: By the records, fen.
        found: By the bill, fen.
    """
    match break_type:
        case BreakType.FEE_DIFFERS:
            return expected - found
        case BreakType.MISSING_IN_LEDGER | BreakType.STATUS_DIFFERS:
            more = found
        case BreakType.MISSING_IN_BILL:
            more = -expected
        case BreakType.AMOUNT_DIFFERS | BreakType.DUPLICATE_IN_BILL:
            more = found - expected
        case _:
            return 0
    return more if kind in _ARRIVES else -more
