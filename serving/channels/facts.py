"""What channels say happened, and what they are asked to do. Amounts in minor units of the currency (fen).

Times are UTC. Nothing is read, sent or booked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

CURRENCY = "CNY"
"""The only currency that the books are kept in."""


class Progress(StrEnum):
    """How far a refund or a pay-out is at the channel; `returned` is a pay-out that came back when done."""

    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """A buyer paid.

    Attributes:
        payment_id: The channel's id of the payment.
        order_ref: What the shop named the order when it asked for the payment.
        amount_cents: What was paid, above 0.
        currency: ISO 4217.
        paid_at: When.
    """

    payment_id: str
    order_ref: str
    amount_cents: int
    currency: str
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class RefundFact:
    """How far a refund is; `reference` is the one that we gave it."""

    reference: str
    amount_cents: int
    progress: Progress
    occurred_at: datetime
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutFact:
    """How far a pay-out is; `reference` is the one that we gave it."""

    reference: str
    amount_cents: int
    progress: Progress
    occurred_at: datetime
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ChargebackFact:
    """The channel took a payment back from us, in whole or in part."""

    chargeback_id: str
    payment_id: str
    amount_cents: int
    currency: str
    occurred_at: datetime


class SplitKind(StrEnum):
    """What a channel is asked to do with a payment that it holds for splitting."""

    SPLIT = "split"
    RETURN = "split_return"
    UNFREEZE = "unfreeze"


@dataclass(frozen=True, slots=True)
class SplitFact:
    """How far a split, its return or an unfreezing is; `reference` is the one that we gave it."""

    kind: SplitKind
    reference: str
    amount_cents: int
    progress: Progress
    occurred_at: datetime
    failure: str | None = None


Fact = PaymentFact | RefundFact | PayoutFact | ChargebackFact
"""What notices say."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of a channel whose signature was verified.

    Attributes:
        notice_id: The channel's id of the message; the same message may come again under it.
        fact: What it says; None when it says nothing that books hold, as that a trade was closed unpaid.
        nonce: What makes this sending of it unique, where the channel has such a thing.
    """

    notice_id: str
    fact: Fact | None
    nonce: str | None


@dataclass(frozen=True, slots=True)
class RefundWanted:
    """Money of a payment that is to go back to the buyer; `total_cents` is the whole payment."""

    reference: str
    payment_id: str
    amount_cents: int
    total_cents: int
    reason: str


@dataclass(frozen=True, slots=True)
class PayoutWanted:
    """Money that is to go to a payee; `account` is the payee's at the channel."""

    reference: str
    account: str
    amount_cents: int
    remark: str


@dataclass(frozen=True, slots=True)
class ReceiverWanted:
    """Whom the channel shall be ready to send parts of payments to.

    Attributes:
        account: The receiver's at the channel.
        name: Its registered name, which the channel compares.
        party_type: `supplier`, `merchant` or `agent`: how it stands to us.
    """

    account: str
    name: str
    party_type: str


@dataclass(frozen=True, slots=True)
class SplitWanted:
    """A part of a frozen payment that is to go to another account at the same channel."""

    reference: str
    payment_id: str
    account: str
    amount_cents: int
    remark: str


@dataclass(frozen=True, slots=True)
class SplitReturnWanted:
    """A part of an earlier split (`split_reference`) that is to come back from its account."""

    reference: str
    split_reference: str
    payment_id: str
    account: str
    amount_cents: int
    remark: str


@dataclass(frozen=True, slots=True)
class UnfreezeWanted:
    """A payment whose rest is to be freed: nothing more of it will be split."""

    reference: str
    payment_id: str
    remark: str


class BillLine(NamedTuple):
    """One line of a bill; amounts in fen, time in UTC."""

    kind: str
    reference: str
    amount_cents: int
    fee_cents: int
    occurred_at: datetime
