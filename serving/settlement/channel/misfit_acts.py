"""Documented acts by which money leaves suspense: back to its payer, to or from a party, to the platform.

Matching money with an order is an act of orders: `serving.orders.paying.misfits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg

from serving.channels.facts import CURRENCY
from serving.channels.requests import NewRequest, open_request
from serving.ledger.accounts import AccountBook, AccountKind, Party
from serving.ledger.posting import Line
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.channel.suspense import (
    MisfitClosedError,
    MisfitKind,
    StoredMisfit,
    close_misfit,
    lock_misfit,
)

PAYMENTS = frozenset(
    {
        MisfitKind.UNKNOWN_ORDER,
        MisfitKind.SECOND_PAYMENT,
        MisfitKind.PAYMENT_AFTER_END,
        MisfitKind.LARGER_PAYMENT,
        MisfitKind.SMALLER_PAYMENT,
        MisfitKind.NOT_SETTLED,
    }
)
"""Kinds that are a buyer's money at the channel, in the currency of the books."""
_TO_THE_BUYER = PAYMENTS | {MisfitKind.REFUND_RETURNED}


class Act(StrEnum):
    """What may be done with a misfit beside matching it."""

    REFUND = "refund"
    GIVE_TO_PARTY = "give_to_party"
    CHARGE_PARTY = "charge_party"
    ABSORB = "absorb"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class Resolution:
    """An act and its reason.

    Attributes:
        act: `refund`: back to the buyer through the channel, once more where it came back.
            `give_to_party`: a party gets what came. `charge_party`: a party bears what left; what it does
            not have becomes its debt. `absorb`: the platform keeps or bears it. `correct`: there was no
            difference (a corrected bill), or it is in another currency and was settled outside.
        reason: Kept with the misfit.
        by: Key or job.
        party: Whom it is given to or charged.
    """

    act: Act
    reason: str
    by: str
    party: Party | None = None


def resolve_misfit(
    conn: psycopg.Connection, tenant_id: str, misfit_id: int, resolution: Resolution, now: datetime
) -> StoredMisfit:
    """Do an act, once; the misfit as it is afterwards.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        misfit_id: The misfit.
        resolution: The act.
        now: Time of booking.

    Raises:
        UnknownMisfitError: There is none.
        MisfitClosedError: It was closed before, or the act does not fit it.
    """
    misfit = lock_misfit(conn, tenant_id, misfit_id)
    if misfit.state != "open":
        raise MisfitClosedError(f"misfit {misfit_id} was closed by {misfit.closed_by}: {misfit.act}")
    book = AccountBook(conn, tenant_id)
    lines = _lines(conn, tenant_id, misfit, resolution, now, book)
    close_misfit(conn, tenant_id, misfit, resolution.act, resolution.reason, resolution.by, now, lines, book)
    return lock_misfit(conn, tenant_id, misfit_id)


def _lines(
    conn: psycopg.Connection,
    tenant_id: str,
    misfit: StoredMisfit,
    resolution: Resolution,
    now: datetime,
    book: AccountBook,
) -> Sequence[Line]:
    """Where the money goes: entries that sum to what is held."""
    cents, party = misfit.booked_cents, resolution.party
    match resolution.act:
        case Act.REFUND if misfit.kind in _TO_THE_BUYER and misfit.channel_id and cents > 0:
            _ask_refund(conn, tenant_id, misfit, resolution.reason, now)
            return [Line(AccountKind.REFUND_IN_TRANSIT, cents)]
        case Act.GIVE_TO_PARTY if party is not None and cents > 0:
            return PartyFunds.lock(conn, tenant_id, book, [party]).credit(party, cents)
        case Act.CHARGE_PARTY if party is not None and cents < 0:
            return PartyFunds.lock(conn, tenant_id, book, [party]).debit(party, -cents)
        case Act.ABSORB if cents:
            return [Line(AccountKind.PLATFORM_FEE if cents > 0 else AccountKind.SUBSIDY, cents)]
        case Act.CORRECT if not cents:
            return []
        case Act.CORRECT if misfit.is_of_a_bill:
            return [Line(AccountKind.CHANNEL_AVAILABLE, cents)]
    raise MisfitClosedError(
        f"{resolution.act} does not fit misfit {misfit.misfit_id}: {misfit.kind} over {cents} fen"
        + ("" if party else ", no party named")
    )


def _ask_refund(
    conn: psycopg.Connection, tenant_id: str, misfit: StoredMisfit, reason: str, now: datetime
) -> None:
    assert misfit.channel_id is not None
    payment = _payment_of(conn, tenant_id, misfit, misfit.channel_id)
    if payment is None:
        raise MisfitClosedError(f"the channel said nothing of payment {misfit.reference}: nothing to refund")
    wanted = NewRequest(
        "refund",
        f"misfit:{misfit.misfit_id}",
        misfit.channel_id,
        misfit.amount_cents,
        reason[:80],
        *payment,
    )
    open_request(conn, tenant_id, wanted, now)


def _payment_of(
    conn: psycopg.Connection, tenant_id: str, misfit: StoredMisfit, channel_id: str
) -> tuple[str, int] | None:
    """The channel's payment that the money is of, and the whole of it in fen."""
    if misfit.kind == MisfitKind.REFUND_RETURNED:
        query = (
            "select payment_id, total_cents from channels.request where tenant_id = %s and channel_id = %s"
            " and kind = 'refund' and reference = %s and payment_id is not null"
        )
    else:
        query = (
            "select reference, amount_cents from channels.fact where tenant_id = %s and channel_id = %s"
            f" and kind = 'payment' and reference = %s and currency = '{CURRENCY}'"
        )
    row = conn.execute(query.encode(), (tenant_id, channel_id, misfit.reference)).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))
