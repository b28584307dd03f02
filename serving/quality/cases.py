"""Improvement cases: five departments sign with what they found; the last signature releases one level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg

from models.supply.brake.ladder import released
from serving.db import locks
from serving.quality.errors import SignedBeforeError, UnknownCaseError
from serving.quality.records import brakes, keep

Connection = psycopg.Connection[Any]


class Department(StrEnum):
    """Who looks into a case: customer service, quality, product, research and development, purchasing."""

    SERVICE = "service"
    QUALITY = "quality"
    PRODUCT = "product"
    RESEARCH = "research"
    PURCHASING = "purchasing"


@dataclass(frozen=True, slots=True)
class SignOff:
    """What a department found."""

    department: Department
    finding: str
    signed_by: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class ImprovementCase:
    """A case with its signatures; `closed_at` is None while departments are missing and the sku is held."""

    case_id: int
    sku_id: str
    opened_level: int
    opened_at: datetime
    closed_at: datetime | None
    sign_offs: tuple[SignOff, ...]

    @property
    def missing(self) -> list[Department]:
        """Departments that have not signed."""
        signed = {one.department for one in self.sign_offs}
        return [one for one in Department if one not in signed]


def cases_page(
    conn: Connection, tenant_id: str, *, after: int, limit: int, open_only: bool
) -> list[ImprovementCase]:
    """Cases after an id, by id."""
    rows = conn.execute(
        "select case_id, sku_id, opened_level, opened_at, closed_at from quality.improvement_case"
        " where tenant_id = %s and case_id > %s and (not %s or closed_at is null) order by case_id limit %s",
        (tenant_id, after, open_only, limit),
    ).fetchall()
    signed: dict[int, list[SignOff]] = {}
    for case_id, department, finding, by, at in conn.execute(
        "select case_id, department, finding, signed_by, signed_at from quality.sign_off"
        " where tenant_id = %s and case_id = any(%s) order by case_id, signed_at, department",
        (tenant_id, [row[0] for row in rows]),
    ):
        signed.setdefault(case_id, []).append(SignOff(Department(department), finding, by, at))
    return [
        ImprovementCase(case_id, sku_id, level, opened_at, closed_at, tuple(signed.get(case_id, ())))
        for case_id, sku_id, level, opened_at, closed_at in rows
    ]


def case_of(conn: Connection, tenant_id: str, case_id: int) -> ImprovementCase:
    """A case.

    Raises:
        UnknownCaseError: There is none.
    """
    found = cases_page(conn, tenant_id, after=case_id - 1, limit=1, open_only=False)
    if not found or found[0].case_id != case_id:
        raise UnknownCaseError(f"there is no improvement case {case_id}")
    return found[0]


def sign(
    conn: Connection,
    tenant_id: str,
    case_id: int,
    department: Department,
    finding: str,
    signed_by: str,
    now: datetime,
) -> ImprovementCase:
    """Sign for a department. The fifth signature closes the case and releases one level.

    What was delivered before that is answered and counts no more; a level that is still 2 or more has a new
    case.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        case_id: The case.
        department: Who signs.
        finding: What it found.
        signed_by: Key of the person; nobody signs for two departments.
        now: Business time.

    Raises:
        UnknownCaseError: There is no such case.
        SignedBeforeError: It is closed, or the department or the key has signed.
    """
    locks.brake(conn, tenant_id)
    case = case_of(conn, tenant_id, case_id)
    if case.closed_at is not None:
        raise SignedBeforeError(f"case {case_id} was closed at {case.closed_at.isoformat()}")
    for one in case.sign_offs:
        if one.department == department or one.signed_by == signed_by:
            raise SignedBeforeError(f"case {case_id} was signed for {one.department} by {one.signed_by}")
    conn.execute(
        "insert into quality.sign_off (case_id, tenant_id, department, finding, signed_by, signed_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        (case_id, tenant_id, department, finding, signed_by, now),
    )
    if case.missing == [department]:
        _close(conn, tenant_id, case, now)
    return case_of(conn, tenant_id, case_id)


def _close(conn: Connection, tenant_id: str, case: ImprovementCase, now: datetime) -> None:
    conn.execute(
        "update quality.improvement_case set closed_at = %s where tenant_id = %s and case_id = %s",
        (now, tenant_id, case.case_id),
    )
    before = brakes(conn, tenant_id, [case.sku_id])[case.sku_id]
    after = replace(before.with_held(released(before.held)), counted_from=now)
    keep(conn, tenant_id, before, after, "case_closed", now)
