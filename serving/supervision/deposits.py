"""Deposits: what a party whose listing was taken off sets aside as its guarantee, and gets back when cleared.

Both move money, so both wait for a second person. The money lies in the party's guarantee
(`serving.settlement.beside.guarantees`), from which claims of buyers are met.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from models.supply.supervision.ladder import Level
from serving.approvals.asking import Ask
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind, Rail
from serving.approvals.records import Approval
from serving.db import locks
from serving.ledger.accounts import Party
from serving.security import Role, Scope
from serving.settlement.beside.guarantees import give_back_guarantee, pay_into_guarantee
from serving.supervision.errors import DepositRefusedError
from serving.supervision.records import ListingCase
from serving.supervision.statements import case_of

Connection = psycopg.Connection[Any]

DEPOSIT = Kind(
    name="supervision_deposit",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=frozenset({"wrong_amount", "no_evidence", "not_needed", "other"}),
    validity=timedelta(days=7),
    rails={"amount_cents": Rail(1, "most_cents")},
    second_above_cents=0,
)
"""A party sets a deposit aside; the subject is the case. A decider may lower it. Validity assumed."""

DEPOSIT_RETURN = Kind(
    name="supervision_deposit_return",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.SETTLEMENT_APPROVE,
    reasons=frozenset({"no_evidence", "not_needed", "other"}),
    validity=timedelta(days=7),
    rails={},
    second_above_cents=0,
)
"""The deposit of a case that was cleared goes back; the subject is the case. Validity assumed."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """What was set aside for a case; `returned_at` is None while it lies there."""

    amount_cents: int
    taken_at: datetime
    returned_at: datetime | None


def ask_deposit(conn: Connection, tenant_id: str, case_id: int, amount_cents: int) -> Ask:
    """What is asked when a deposit is wanted.

    Raises:
        UnknownListingCaseError: There is no such case.
        DepositRefusedError: Nothing was taken off, or there is a deposit.
    """
    case = case_of(conn, tenant_id, case_id, None)
    _require_wanted(case, deposit_of(conn, tenant_id, case_id))
    return Ask(
        kind=DEPOSIT,
        subject=("supervision_case", str(case_id)),
        party=(case.party_type, case.party_id),
        suggestion={
            "case_id": case_id,
            "party_type": case.party_type,
            "party_id": case.party_id,
            "amount_cents": amount_cents,
            "most_cents": amount_cents,
        },
        value_cents=amount_cents,
    )


def take_deposit(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Set an approved deposit aside, out of what the party has available.

    Raises:
        DepositRefusedError: The case moved meanwhile, or somebody named a payment of their own as this one.
        FeeError: The party has less available.
    """
    case_id, cents = int(approval.subject_id), int(approval.wanted["amount_cents"])
    locks.brake(conn, tenant_id)
    case = case_of(conn, tenant_id, case_id, None)
    _require_wanted(case, deposit_of(conn, tenant_id, case_id))
    posted = pay_into_guarantee(conn, tenant_id, _payment(case_id), _party(case), cents, now)
    if not posted.is_new:
        raise DepositRefusedError(f"a payment into a guarantee is called {_payment(case_id)} already")
    conn.execute(
        "insert into supervision.deposit (tenant_id, case_id, amount_cents, taken_at)"
        " values (%s, %s, %s, %s)",
        (tenant_id, case_id, cents, now),
    )
    return {"transaction_id": posted.transaction_id, "amount_cents": cents}


def ask_return(conn: Connection, tenant_id: str, case_id: int) -> Ask:
    """What is asked when a deposit shall go back.

    Raises:
        UnknownListingCaseError: There is no such case.
        DepositRefusedError: Nothing of it lies there.
    """
    case, deposit = case_of(conn, tenant_id, case_id, None), deposit_of(conn, tenant_id, case_id)
    if deposit is None or deposit.returned_at is not None:
        raise DepositRefusedError(f"no deposit lies there for case {case_id}")
    return Ask(
        kind=DEPOSIT_RETURN,
        subject=("supervision_case", str(case_id)),
        party=(case.party_type, case.party_id),
        suggestion={
            "case_id": case_id,
            "party_type": case.party_type,
            "party_id": case.party_id,
            "amount_cents": deposit.amount_cents,
        },
        value_cents=deposit.amount_cents,
    )


def return_deposit(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Give the deposit of a cleared case back.

    Raises:
        DepositRefusedError: The case was not cleared, or nothing of it lies there.
        FeeError: Claims of buyers used part of it up.
    """
    case_id = int(approval.subject_id)
    locks.brake(conn, tenant_id)
    case, deposit = case_of(conn, tenant_id, case_id, None), deposit_of(conn, tenant_id, case_id)
    if case.ended_by != "cleared":
        raise DepositRefusedError(f"case {case_id} was not cleared; its deposit stays")
    if deposit is None or deposit.returned_at is not None:
        raise DepositRefusedError(f"no deposit lies there for case {case_id}")
    posted = give_back_guarantee(conn, tenant_id, _payment(case_id), _party(case), deposit.amount_cents, now)
    conn.execute(
        "update supervision.deposit set returned_at = %s where tenant_id = %s and case_id = %s",
        (now, tenant_id, case_id),
    )
    return {"transaction_id": posted.transaction_id, "amount_cents": deposit.amount_cents}


def require_unmoved(conn: Connection, tenant_id: str, case_id: int, seen: Deposit | None) -> None:
    """Refuse what was decided from a deposit that is another by now.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake`.
        tenant_id: The tenant.
        case_id: The case.
        seen: Its deposit as it was read before the lock.

    Raises:
        DepositRefusedError: It was taken or given back meanwhile.
    """
    if deposit_of(conn, tenant_id, case_id) != seen:
        raise DepositRefusedError(f"the deposit of case {case_id} moved meanwhile: decide again")


def deposit_of(conn: Connection, tenant_id: str, case_id: int) -> Deposit | None:
    """What was set aside for a case."""
    with conn.cursor(row_factory=class_row(Deposit)) as cursor:
        cursor.execute(
            "select amount_cents, taken_at, returned_at from supervision.deposit"
            " where tenant_id = %s and case_id = %s",
            (tenant_id, case_id),
        )
        return cursor.fetchone()


def _require_wanted(case: ListingCase, deposit: Deposit | None) -> None:
    if case.level != Level.DELIST:
        raise DepositRefusedError(f"case {case.case_id} is at level {int(case.level)}; nothing was taken off")
    if deposit is not None:
        raise DepositRefusedError(f"case {case.case_id} has a deposit of {deposit.amount_cents} fen")


def _payment(case_id: int) -> str:
    return f"supervision-{case_id}"


def _party(case: ListingCase) -> Party:
    return Party(case.party_type, case.party_id)
