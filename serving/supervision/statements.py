"""What a party says to a case, and what an operator decides: the state follows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from models.supply.supervision.ladder import Level, Rules, due_after
from serving.db import locks
from serving.supervision.errors import (
    CaseEndedError,
    NothingSaidError,
    OwnCaseError,
    StatementWaitsError,
    UnknownListingCaseError,
)
from serving.supervision.records import ListingCase, find_case, keep

Connection = psycopg.Connection[Any]
Kind = Literal["papers", "appeal"]
Outcome = Literal["cleared", "upheld"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a party said; `papers` are references to documents, `decided_at` is None while it waits."""

    statement_id: int
    kind: str
    body: str
    papers: Sequence[str]
    stated_by: str
    stated_at: datetime
    decide_by: datetime
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What an operator decided; `statement_id` is None where nobody had said anything."""

    statement_id: int | None
    outcome: str
    finding: str
    decided_by: str
    decided_at: datetime


def state(
    conn: Connection,
    tenant_id: str,
    party: tuple[str, str],
    case_id: int,
    kind: Kind,
    body: str,
    papers: Sequence[str],
    stated_by: str,
    rules: Rules,
    now: datetime,
) -> ListingCase:
    """Take papers or an appeal: the party has answered, nothing is due until a person decided.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party: Type and id of who speaks.
        case_id: The case.
        kind: Papers, or why the case is wrong.
        body: What is said.
        papers: References to documents.
        stated_by: Key that speaks.
        rules: In how many days it is decided.
        now: Business time.

    Raises:
        UnknownListingCaseError: There is no such case of the party.
        CaseEndedError: It has ended.
        StatementWaitsError: An earlier word waits.
    """
    locks.brake(conn, tenant_id)
    case = case_of(conn, tenant_id, case_id, party)
    _require_open(case)
    if case.has_word:
        raise StatementWaitsError(f"what was said to case {case_id} before waits for a decision")
    conn.execute(
        "insert into supervision.statement (tenant_id, case_id, kind, body, papers, stated_by, stated_at,"
        " decide_by) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(tenant_id, case_id, kind, body, list(papers), stated_by, now),
            now + timedelta(days=rules.decide_days),
        ),
    )
    keep(conn, tenant_id, case, replace(case, due_at=None), None, now)
    return case_of(conn, tenant_id, case_id, party)


def decide(
    conn: Connection,
    tenant_id: str,
    case_id: int,
    outcome: Outcome,
    finding: str,
    decided_by: str,
    rules: Rules,
    now: datetime,
) -> ListingCase:
    """Decide about a case.

    `cleared` ends it, whether its party said anything or not: it sells again at once, what happened before is
    answered, and its standing signs count no more for a while. `upheld` answers what was said: the case stays
    where it is, with a new time to answer.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: The case.
        outcome: What is decided.
        finding: Why.
        decided_by: Key that decides; not the one that spoke.
        rules: Days to answer.
        now: Business time.

    Raises:
        UnknownListingCaseError: There is no such case.
        CaseEndedError: It has ended.
        OwnCaseError: The key spoke for the party.
        NothingSaidError: Nothing waits that the case could be upheld against.
    """
    locks.brake(conn, tenant_id)
    case = case_of(conn, tenant_id, case_id, None)
    _require_open(case)
    waiting = [one for one in statements_of(conn, tenant_id, case_id) if one.decided_at is None]
    if any(one.stated_by == decided_by for one in waiting):
        raise OwnCaseError(f"the key that spoke to case {case_id} does not decide about it")
    if outcome == "upheld" and not waiting:
        raise NothingSaidError(f"nothing that was said to case {case_id} waits for a decision")
    conn.execute(
        "update supervision.statement set decided_at = %s where tenant_id = %s and case_id = %s"
        " and decided_at is null",
        (now, tenant_id, case_id),
    )
    conn.execute(
        "insert into supervision.decision (tenant_id, case_id, statement_id, outcome, finding, decided_by,"
        " decided_at) values (%s, %s, %s, %s, %s, %s, %s)",
        (
            *(tenant_id, case_id, waiting[0].statement_id if waiting else None),
            *(outcome, finding, decided_by, now),
        ),
    )
    if outcome == "cleared":
        ended = replace(
            case, level=Level.FREE, due_at=None, clean_since=None, ended_at=now, ended_by="cleared"
        )
        keep(conn, tenant_id, case, ended, "cleared", now)
    else:
        keep(conn, tenant_id, case, replace(case, due_at=due_after(case.level, now, rules)), None, now)
    return case_of(conn, tenant_id, case_id, None)


def case_of(conn: Connection, tenant_id: str, case_id: int, party: tuple[str, str] | None) -> ListingCase:
    """A case of a party; None reads any.

    Raises:
        UnknownListingCaseError: There is none.
    """
    case = find_case(conn, tenant_id, case_id)
    if case is None or (party is not None and party != (case.party_type, case.party_id)):
        raise UnknownListingCaseError(f"there is no case {case_id} of supervision")
    return case


def statements_of(conn: Connection, tenant_id: str, case_id: int) -> list[Statement]:
    """Everything that was said to a case, oldest first."""
    with conn.cursor(row_factory=class_row(Statement)) as cursor:
        cursor.execute(
            "select statement_id, kind, body, papers, stated_by, stated_at, decide_by, decided_at"
            " from supervision.statement where tenant_id = %s and case_id = %s order by statement_id",
            (tenant_id, case_id),
        )
        return cursor.fetchall()


def decisions_of(conn: Connection, tenant_id: str, case_id: int) -> list[Decision]:
    """Everything that was decided about a case, oldest first."""
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        cursor.execute(
            "select statement_id, outcome, finding, decided_by, decided_at from supervision.decision"
            " where tenant_id = %s and case_id = %s order by decision_id",
            (tenant_id, case_id),
        )
        return cursor.fetchall()


def _require_open(case: ListingCase) -> None:
    if case.ended_at is not None:
        raise CaseEndedError(f"case {case.case_id} ended at {case.ended_at.isoformat()}")
