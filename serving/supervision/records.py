"""Cases as rows, with every change of their level. Whoever changes one holds `locks.brake`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from models.supply.supervision.ladder import Cause, Level, Standing

Connection = psycopg.Connection[Any]
Evidence = Mapping[str, Mapping[str, Any]]
"""Sign to its weight, its strength and its facts."""


class Subject(NamedTuple):
    """A listing of a merchant, or an offer of a supplier."""

    party_type: str
    party_id: str
    sku_id: str


@dataclass(frozen=True, slots=True)
class ListingCase:
    """A case.

    Attributes:
        case_id: Its number.
        party_type: `merchant` or `supplier`.
        party_id: Whose listing or offer it is about.
        sku_id: Of which sku.
        level: What is done; 0 once it has ended.
        score: The newest score.
        evidence: The signs behind it; of an ended case, those that it ended with.
        opened_at: When it was opened.
        judged_at: When its signs were last looked at.
        due_at: Until when the party must answer; None where nothing is due.
        clean_since: Since when the newest signs ask for nothing.
        ended_at: When it ended.
        ended_by: `clean_days` or `cleared`.
        has_word: Whether something that the party said waits for a decision.
    """

    case_id: int
    party_type: str
    party_id: str
    sku_id: str
    level: Level
    score: float
    evidence: Evidence
    opened_at: datetime
    judged_at: datetime
    due_at: datetime | None
    clean_since: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    has_word: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", Level(self.level))

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.party_type, self.party_id, self.sku_id)

    @property
    def standing(self) -> Standing:
        """As the ladder takes it."""
        return Standing(self.level, self.due_at, self.clean_since, self.has_word)

    def moved_to(self, standing: Standing) -> ListingCase:
        """The same where the ladder put it."""
        return replace(self, level=standing.level, due_at=standing.due_at, clean_since=standing.clean_since)


COLUMNS = (
    "c.case_id, c.party_type, c.party_id, c.sku_id, c.level, c.score, c.evidence, c.opened_at, c.judged_at,"
    " c.due_at, c.clean_since, c.ended_at, c.ended_by, exists (select from supervision.statement s"
    " where s.tenant_id = c.tenant_id and s.case_id = c.case_id and s.decided_at is null) as has_word"
)


def open_cases(conn: Connection, tenant_id: str) -> dict[Subject, ListingCase]:
    """Every case that has not ended, by what it is about."""
    with conn.cursor(row_factory=class_row(ListingCase)) as cursor:
        cursor.execute(
            f"select {COLUMNS} from supervision.listing_case c where c.tenant_id = %s and c.ended_at is null"
            " order by c.case_id",
            (tenant_id,),
        )
        return {case.subject: case for case in cursor}


def find_case(conn: Connection, tenant_id: str, case_id: int) -> ListingCase | None:
    """A case by its number."""
    with conn.cursor(row_factory=class_row(ListingCase)) as cursor:
        cursor.execute(
            f"select {COLUMNS} from supervision.listing_case c where c.tenant_id = %s and c.case_id = %s",
            (tenant_id, case_id),
        )
        return cursor.fetchone()


def open_case(
    conn: Connection,
    tenant_id: str,
    subject: Subject,
    standing: Standing,
    score: float,
    evidence: Evidence,
    now: datetime,
) -> int:
    """Open a case; its number."""
    row = conn.execute(
        "insert into supervision.listing_case (tenant_id, party_type, party_id, sku_id, level, score,"
        " evidence, opened_at, judged_at, due_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " returning case_id",
        (tenant_id, *subject, int(standing.level), score, Jsonb(dict(evidence)), now, now, standing.due_at),
    ).fetchone()
    assert row is not None
    case_id = int(row[0])
    _note(conn, tenant_id, case_id, Level.FREE, standing.level, "signs", score, evidence, now)
    return case_id


def keep(
    conn: Connection,
    tenant_id: str,
    before: ListingCase,
    after: ListingCase,
    cause: Cause | None,
    now: datetime,
) -> None:
    """Write where a case stands from now on.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake`.
        tenant_id: The tenant.
        before: Where it stood.
        after: Where it stands.
        cause: Why its level moved; None where it did not.
        now: Business time.
    """
    conn.execute(
        "update supervision.listing_case set level = %s, score = %s, evidence = %s, judged_at = %s,"
        " due_at = %s, clean_since = %s, ended_at = %s, ended_by = %s where tenant_id = %s and case_id = %s",
        (
            int(after.level),
            after.score,
            Jsonb(dict(after.evidence)),
            after.judged_at,
            after.due_at,
            after.clean_since,
            after.ended_at,
            after.ended_by,
            tenant_id,
            after.case_id,
        ),
    )
    if cause is not None:
        _note(
            conn,
            tenant_id,
            after.case_id,
            before.level,
            after.level,
            cause,
            after.score,
            after.evidence,
            now,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of what is done, with the signs behind it."""

    changed_at: datetime
    from_level: int
    to_level: int
    cause: str
    score: float
    evidence: Evidence


def changes_of(conn: Connection, tenant_id: str, case_id: int) -> list[Change]:
    """Every change of a case, oldest first."""
    with conn.cursor(row_factory=class_row(Change)) as cursor:
        cursor.execute(
            "select changed_at, from_level, to_level, cause, score, evidence from supervision.change"
            " where tenant_id = %s and case_id = %s order by change_id",
            (tenant_id, case_id),
        )
        return cursor.fetchall()


def newest_change(conn: Connection, tenant_id: str) -> int:
    """Number of the newest change of a case; 0 before the first."""
    row = conn.execute(
        "select coalesce(max(change_id), 0) from supervision.change where tenant_id = %s", (tenant_id,)
    ).fetchone()
    return int(row[0]) if row else 0


def _note(
    conn: Connection,
    tenant_id: str,
    case_id: int,
    from_level: Level,
    to_level: Level,
    cause: Cause,
    score: float,
    evidence: Evidence,
    now: datetime,
) -> None:
    conn.execute(
        "insert into supervision.change (tenant_id, case_id, changed_at, from_level, to_level, cause, score,"
        " evidence) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, case_id, now, int(from_level), int(to_level), cause, score, Jsonb(dict(evidence))),
    )
