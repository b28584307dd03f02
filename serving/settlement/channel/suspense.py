"""Money that fits nothing: booked into `reconciliation_suspense`, listed, and taken out by a documented act.

A misfit keeps what the books hold for it in `booked_cents`: above 0 money at the channel that belongs to
nobody yet, below 0 money that left the channel for no reason that the books know. In another currency than
the books' nothing is booked; the misfit itself is the record.

Source: settlement rules, account `reconciliation_suspense`; L14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import psycopg

from serving.channels.facts import CURRENCY
from serving.db import locks
from serving.ledger.accounts import AccountBook, AccountKind
from serving.ledger.posting import Line, Posting, post
from serving.settlement.errors import SettlementError


class MisfitKind(StrEnum):
    """Why money fits nothing."""

    UNKNOWN_ORDER = "unknown_order"
    SECOND_PAYMENT = "second_payment"
    PAYMENT_AFTER_END = "payment_after_end"
    LARGER_PAYMENT = "larger_payment"
    SMALLER_PAYMENT = "smaller_payment"
    FOREIGN_CURRENCY = "foreign_currency"
    NOT_SETTLED = "not_settled"
    CHARGEBACK = "chargeback"
    PAYOUT_RETURNED = "payout_returned"
    PAYOUT_AFTER_FAILURE = "payout_after_failure"
    REFUND_RETURNED = "refund_returned"
    UNKNOWN_REFUND = "unknown_refund"
    UNKNOWN_PAYOUT = "unknown_payout"
    BILL_MISSING_IN_LEDGER = "bill_missing_in_ledger"
    BILL_MISSING_IN_BILL = "bill_missing_in_bill"
    BILL_AMOUNT_DIFFERS = "bill_amount_differs"
    BILL_FEE_DIFFERS = "bill_fee_differs"
    BILL_DUPLICATE = "bill_duplicate_in_bill"
    BILL_STATUS_DIFFERS = "bill_status_differs"


class UnknownMisfitError(SettlementError):
    """There is no misfit of that id."""


class MisfitClosedError(SettlementError):
    """A misfit was closed before, or cannot be closed by that act."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something to hold.

    Attributes:
        kind: Why.
        reference: The channel's id of the payment, charge-back or pay-out. With the kind, the account and the
            direction it names the misfit: two accounts may use one id, and what left may come back.
        amount_cents: Minor units, above 0.
        currency: ISO 4217.
        occurred_at: When, by the channel.
        channel_id: Who said so; None when it came out of a bill of all accounts.
        order_ref: What the channel calls the order.
        detail: For whoever decides; no personal value.
        leaves: Whether the money left the channel instead of arriving.
    """

    kind: MisfitKind
    reference: str
    amount_cents: int
    currency: str
    occurred_at: datetime
    channel_id: str | None = None
    order_ref: str | None = None
    detail: str | None = None
    leaves: bool = False


class StoredMisfit(NamedTuple):
    """A row of `channels.misfit`."""

    misfit_id: int
    kind: str
    channel_id: str | None
    reference: str
    order_ref: str | None
    amount_cents: int
    booked_cents: int
    currency: str
    occurred_at: datetime
    detail: str | None
    state: str
    act: str | None
    reason: str | None
    closed_by: str | None
    closed_at: datetime | None

    @property
    def is_of_a_bill(self) -> bool:
        """Whether a reconciliation found it; else a channel said so."""
        return self.kind.startswith("bill_")


_COLUMNS = ", ".join(StoredMisfit._fields)


def hold_misfit(conn: psycopg.Connection, tenant_id: str, misfit: Misfit, now: datetime) -> int:
    """Book money into suspense and list it; once per kind, reference, account and direction.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        misfit: What to hold.
        now: Time of booking.

    Returns:
        Its id.
    """
    booked = 0
    if misfit.currency == CURRENCY:
        booked = -misfit.amount_cents if misfit.leaves else misfit.amount_cents
    row = conn.execute(
        "insert into channels.misfit (tenant_id, kind, channel_id, reference, order_ref, amount_cents,"
        " booked_cents, currency, occurred_at, detail, leaves)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict on constraint misfit_is_held_once do nothing returning misfit_id",
        (
            tenant_id, misfit.kind, misfit.channel_id, misfit.reference, misfit.order_ref,
            misfit.amount_cents, booked, misfit.currency, misfit.occurred_at, misfit.detail,
            misfit.leaves,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        known = conn.execute(
            "select misfit_id from channels.misfit where tenant_id = %s and kind = %s and reference = %s"
            " and channel_id is not distinct from %s and leaves = %s",
            (tenant_id, misfit.kind, misfit.reference, misfit.channel_id, misfit.leaves),
        ).fetchone()
        assert known is not None
        return int(known[0])
    if booked:
        lines = [
            Line(AccountKind.RECONCILIATION_SUSPENSE, booked),
            Line(AccountKind.CHANNEL_AVAILABLE, -booked),
        ]
        details = {"misfit": misfit.kind, "reference": misfit.reference}
        posting = Posting(f"misfit:{row[0]}:held", "misfit_held", now, lines, None, details)
        post(conn, tenant_id, posting)
    return int(row[0])


def misfits_of(
    conn: psycopg.Connection, tenant_id: str, state: str | None, *, after: int, limit: int
) -> Sequence[StoredMisfit]:
    """Misfits by id, beginning after the given one; all states when none is given."""
    rows = conn.execute(
        f"select {_COLUMNS} from channels.misfit where tenant_id = %s and misfit_id > %s"
        " and (%s::text is null or state = %s) order by misfit_id limit %s".encode(),
        (tenant_id, after, state, state, limit),
    )
    return [StoredMisfit(*row) for row in rows]


def lock_misfit(conn: psycopg.Connection, tenant_id: str, misfit_id: int) -> StoredMisfit:
    """One misfit, locked until commit.

    Raises:
        UnknownMisfitError: There is none.
    """
    locks.misfit(conn, tenant_id, misfit_id)
    return find_misfit(conn, tenant_id, misfit_id)


def find_misfit(conn: psycopg.Connection, tenant_id: str, misfit_id: int) -> StoredMisfit:
    """One misfit.

    Raises:
        UnknownMisfitError: There is none.
    """
    row = conn.execute(
        f"select {_COLUMNS} from channels.misfit where tenant_id = %s and misfit_id = %s".encode(),
        (tenant_id, misfit_id),
    ).fetchone()
    if row is None:
        raise UnknownMisfitError(f"there is no misfit {misfit_id}")
    return StoredMisfit(*row)


def close_misfit(
    conn: psycopg.Connection,
    tenant_id: str,
    misfit: StoredMisfit,
    act: str,
    reason: str,
    closed_by: str,
    now: datetime,
    lines: Sequence[Line],
    book: AccountBook | None = None,
) -> None:
    """Take a misfit out of suspense, once, into what `lines` name.

    Args:
        conn: Inside a transaction of the tenant; the misfit is locked.
        tenant_id: The tenant.
        misfit: As locked.
        act: What was done.
        reason: Why; kept.
        closed_by: Key or job.
        now: Time of booking.
        lines: Where the money goes: they sum to `booked_cents`. None where nothing was booked.
        book: Account ids known in this transaction.

    Raises:
        MisfitClosedError: It was closed before.
        PostingRefusedError: The lines do not sum to what was held.
    """
    if misfit.state != "open":
        raise MisfitClosedError(f"misfit {misfit.misfit_id} was closed by {misfit.closed_by}: {misfit.act}")
    if misfit.booked_cents:
        out = Line(AccountKind.RECONCILIATION_SUSPENSE, -misfit.booked_cents)
        details = {"misfit": misfit.kind, "act": act, "reason": reason}
        key = f"misfit:{misfit.misfit_id}:closed"
        post(conn, tenant_id, Posting(key, "misfit_closed", now, [out, *lines], None, details), book)
    conn.execute(
        "update channels.misfit set state = 'closed', act = %s, reason = %s, closed_by = %s, closed_at = %s"
        " where tenant_id = %s and misfit_id = %s",
        (act, reason, closed_by, now, tenant_id, misfit.misfit_id),
    )
