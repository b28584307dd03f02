"""Codes of a programme: issuing them to a consumer or to whoever brings them, and reading them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.consumers.erased import require_not_erased
from serving.db import locks
from serving.experiments.records import running
from serving.orders.coupons.programme import Terms
from serving.orders.coupons.store import find, of_promotions
from serving.orders.errors import InvalidRequestError, ProgrammeStateError

Connection = psycopg.Connection[Any]

MOST_AT_ONCE = 1_000
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 14
"""Characters of a code: 30 ^ 14 codes, so that none is found by trying."""


@dataclass(frozen=True)
class Coupon:
    """An issued coupon.

    Attributes:
        code: What the consumer brings.
        programme_id: Whose terms it has.
        consumer_id: Who alone may use it; None for whoever brings it.
        max_uses: Most redemptions.
        used_count: Its standing redemptions.
        issued_at: When.
        expires_at: First moment at which it is not taken any more.
    """

    code: str
    programme_id: str
    consumer_id: str | None
    max_uses: int
    used_count: int
    issued_at: datetime
    expires_at: datetime

    def state(self, now: datetime) -> str:
        """`issued`, `used` or `expired`; nothing has to run for a coupon to expire."""
        if self.used_count >= self.max_uses:
            return "used"
        return "issued" if now < self.expires_at else "expired"


_COLUMNS = ", ".join(Coupon.__dataclass_fields__)


def issue(
    conn: Connection,
    tenant_id: str,
    programme_id: str,
    now: datetime,
    *,
    count: int = 1,
    consumer_id: str | None = None,
    max_uses: int = 1,
    expires_at: datetime | None = None,
    by_promotion: bool = False,
) -> list[Coupon]:
    """Issue coupons of an active programme.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        programme_id: The programme.
        now: Business time.
        count: How many.
        consumer_id: Who alone may use them; None for whoever brings them.
        max_uses: Most redemptions of each; a consumer's limit and the budget of the programme hold besides.
        expires_at: First moment at which they are not taken; None for the end of the programme.
        by_promotion: An order takes a unit of the programme's promotion for it.

    Raises:
        NotFoundError: There is no such programme.
        ProgrammeStateError: It is not active, or over, or a running experiment gives it to another arm, or
            it is of a promotion.
        InvalidRequestError: The count or the expiry is out of range.
        ConsumerErasedError: The consumer was erased.
    """
    terms = _issuable(conn, tenant_id, programme_id, now, by_promotion=by_promotion)
    if not 1 <= count <= MOST_AT_ONCE:
        raise InvalidRequestError("count", f"1 to {MOST_AT_ONCE} at once")
    ends = expires_at or terms.valid_to
    if not now < ends <= terms.valid_to:
        raise InvalidRequestError("expires_at", f"between now and the end, {terms.valid_to.isoformat()}")
    if consumer_id is not None:
        require_not_erased(conn, tenant_id, consumer_id, "no coupon is issued under this id any more")
    if not by_promotion:
        _require_own_arm(conn, tenant_id, programme_id, consumer_id)
    codes = [_new_code() for _ in range(count)]
    conn.execute(
        "insert into coupons.coupon (tenant_id, code, programme_id, consumer_id, max_uses, issued_at,"
        " expires_at) select %(tenant)s, code, %(programme)s, %(consumer)s, %(uses)s, %(now)s, %(ends)s"
        " from unnest(%(codes)s::text[]) as c (code)",
        {
            "tenant": tenant_id,
            "programme": programme_id,
            "consumer": consumer_id,
            "uses": max_uses,
            "now": now,
            "ends": ends,
            "codes": codes,
        },
    )
    return [Coupon(code, programme_id, consumer_id, max_uses, 0, now, ends) for code in sorted(codes)]


def issue_each(
    conn: Connection, tenant_id: str, programme_id: str, consumer_ids: Sequence[str], now: datetime
) -> dict[str, str]:
    """A coupon of an active programme for each consumer, valid until the end of the programme.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        programme_id: The programme.
        consumer_ids: Who each alone may use one; none of them was erased.
        now: Business time.

    Returns:
        Code by consumer.

    Raises:
        NotFoundError: There is no such programme.
        ProgrammeStateError: It is not active, or over.
    """
    terms = _issuable(conn, tenant_id, programme_id, now)
    codes = {consumer_id: _new_code() for consumer_id in sorted(set(consumer_ids))}
    conn.execute(
        "insert into coupons.coupon (tenant_id, code, programme_id, consumer_id, max_uses, issued_at,"
        " expires_at) select %(tenant)s, code, %(programme)s, consumer, 1, %(now)s, %(ends)s"
        " from unnest(%(codes)s::text[], %(consumers)s::text[]) as c (code, consumer)",
        {
            "tenant": tenant_id,
            "programme": programme_id,
            "now": now,
            "ends": terms.valid_to,
            "codes": list(codes.values()),
            "consumers": list(codes),
        },
    )
    return codes


def _issuable(
    conn: Connection, tenant_id: str, programme_id: str, now: datetime, *, by_promotion: bool = False
) -> Terms:
    programme = find(conn, tenant_id, programme_id)
    if not by_promotion and of_promotions(conn, tenant_id, [programme_id]):
        raise ProgrammeStateError(
            f"Programme {programme_id!r} is of a promotion: orders that name the promotion get its coupons."
        )
    if programme.status != "active":
        raise ProgrammeStateError(
            f"Programme {programme_id!r} is {programme.status}: coupons are issued once every funder agreed, "
            "and until it is closed."
        )
    if now >= programme.terms.valid_to:
        raise ProgrammeStateError(
            f"Programme {programme_id!r} ended at {programme.terms.valid_to.isoformat()}."
        )
    return programme.terms


def _require_own_arm(conn: Connection, tenant_id: str, programme_id: str, consumer_id: str | None) -> None:
    # An experiment that starts at this moment waits, and gives the programme to its arm after these codes.
    locks.experiments(conn, tenant_id)
    for kept in running(conn, tenant_id, "coupons"):
        with_it = {arm.name for arm in kept.experiment.arms if arm.programme_id == programme_id}
        if not with_it:
            continue
        name = kept.experiment.experiment_id
        if consumer_id is None:
            raise ProgrammeStateError(
                f"experiment {name} gives programme {programme_id!r} to one arm: codes for whoever brings"
                " them would reach the others"
            )
        arm = kept.arm_of(tenant_id, consumer_id)
        if arm is not None and arm not in with_it:
            raise ProgrammeStateError(
                f"experiment {name} gives programme {programme_id!r} to another arm than this consumer's:"
                " wait for its end"
            )


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def page(conn: Connection, tenant_id: str, programme_id: str, *, after: str, limit: int) -> list[Coupon]:
    """Coupons of a programme by code, after the given one."""
    with conn.cursor(row_factory=class_row(Coupon)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from coupons.coupon where tenant_id = %(tenant)s"
            " and programme_id = %(programme)s and code > %(after)s order by code limit %(limit)s".encode(),
            {"tenant": tenant_id, "programme": programme_id, "after": after, "limit": limit},
        ).fetchall()


def locked(conn: Connection, tenant_id: str, codes: list[str]) -> list[Coupon]:
    """Coupons by code, locked in that order; unknown codes are missing."""
    locks.coupons(conn, tenant_id, codes)
    with conn.cursor(row_factory=class_row(Coupon)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from coupons.coupon where tenant_id = %(tenant)s and code = any(%(codes)s)"
            " order by code".encode(),
            {"tenant": tenant_id, "codes": codes},
        ).fetchall()
