"""Documents of WeChat Pay v3 and the facts that they state. Amounts are in fen already."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.facts import Fact, PaymentFact, PayoutFact, Progress, RefundFact
from serving.channels.wechat.resource import Resource

_T = TypeVar("_T")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A notice; its resource is encrypted."""

    id: str
    event_type: str
    resource: Resource


class PaidAmount(msgspec.Struct, frozen=True, kw_only=True):
    """`total` is what the order asked for."""

    total: int
    currency: str = "CNY"


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A payment: resource of `TRANSACTION.*`, and answer of `/v3/pay/transactions/id/...`."""

    mchid: str
    out_trade_no: str
    trade_state: str
    transaction_id: str = ""
    success_time: str = ""
    amount: PaidAmount | None = None


class RefundAmount(msgspec.Struct, frozen=True, kw_only=True):
    """`refund` is what goes back."""

    refund: int


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund: resource of `REFUND.*` (`refund_status`), and answer of `/v3/refund/domestic/refunds`."""

    out_refund_no: str
    amount: RefundAmount
    mchid: str = ""
    refund_status: str = ""
    status: str = ""
    success_time: str = ""
    create_time: str = ""


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer to a payee: resource of `MCHTRANSFER.BILL.FINISHED`, and answer of the transfer bills."""

    out_bill_no: str
    state: str
    transfer_amount: int = 0
    mch_id: str = ""
    mchid: str = ""
    fail_reason: str = ""
    update_time: str = ""
    create_time: str = ""


class SplitReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one receiver's part: `PENDING`, `SUCCESS` or `CLOSED`, which gives it back to us."""

    result: str = ""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A profit-sharing order, its return, or an unfreezing: `state` or `result`.

    An order is `FINISHED` when every part has ended, in whichever way.
    """

    state: str = ""
    result: str = ""
    receivers: list[SplitReceiver] = []


class DownloadUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bill lies, and its SHA-1."""

    download_url: str
    hash_value: str
    hash_type: str = "SHA1"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the channel."""

    code: str = ""
    message: str = ""


_REFUNDS = {
    "SUCCESS": Progress.DONE,
    "CLOSED": Progress.FAILED,
    "ABNORMAL": Progress.FAILED,
    "PROCESSING": Progress.ACCEPTED,
}
_TRANSFERS = {
    "SUCCESS": Progress.DONE,
    "FAIL": Progress.FAILED,
    "CANCELLED": Progress.FAILED,
    "ACCEPTED": Progress.ACCEPTED,
    "PROCESSING": Progress.ACCEPTED,
    "WAIT_USER_CONFIRM": Progress.ACCEPTED,
    "TRANSFERING": Progress.ACCEPTED,
    "CANCELING": Progress.ACCEPTED,
}
_SPLITS = {
    "FINISHED": Progress.DONE,
    "SUCCESS": Progress.DONE,
    "PROCESSING": Progress.ACCEPTED,
    "FAILED": Progress.FAILED,
    "CLOSED": Progress.FAILED,
}


def read(data: bytes, kind: type[_T]) -> _T:
    """A document out of its JSON.

    Raises:
        NoticeRefusedError: It is none of that kind.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise NoticeRefusedError(Doubt.CONTENT, f"not a {kind.__name__}: {error}") from error


def payment_of(transaction: Transaction) -> PaymentFact | None:
    """The payment, or None as long as it did not succeed.

    Raises:
        NoticeRefusedError: It succeeded without an amount, an id or a time.
    """
    # A payment of which a part was refunded is `REFUND`; it had succeeded.
    if transaction.trade_state not in ("SUCCESS", "REFUND"):
        return None
    if transaction.amount is None or transaction.amount.total <= 0 or not transaction.transaction_id:
        raise NoticeRefusedError(Doubt.CONTENT, "a payment that succeeded has no amount or no id")
    return PaymentFact(
        transaction.transaction_id,
        transaction.out_trade_no,
        transaction.amount.total,
        transaction.amount.currency,
        moment(transaction.success_time),
    )


def refund_of(refund: Refund, now: datetime) -> RefundFact:
    """How far a refund is.

    Args:
        refund: As the channel has it.
        now: Wall clock; for states that have no time of their own.

    Raises:
        NoticeRefusedError: Its state is unknown, or the amount is not above 0.
    """
    state = refund.refund_status or refund.status
    progress = _REFUNDS.get(state)
    if progress is None or refund.amount.refund <= 0:
        raise NoticeRefusedError(Doubt.CONTENT, f"a refund of the unknown state {state!r}")
    at = moment(refund.success_time) if refund.success_time else now
    failure = state if progress is Progress.FAILED else None
    return RefundFact(refund.out_refund_no, refund.amount.refund, progress, at, failure)


def payout_of(transfer: Transfer, amount_cents: int, now: datetime) -> PayoutFact:
    """How far a transfer is.

    Args:
        transfer: As the channel has it.
        amount_cents: What was asked for; the answer to a request does not repeat it.
        now: Wall clock; for states that have no time of their own.

    Raises:
        NoticeRefusedError: Its state is unknown, or no amount is above 0.
    """
    progress = _TRANSFERS.get(transfer.state)
    cents = transfer.transfer_amount or amount_cents
    if progress is None or cents <= 0:
        raise NoticeRefusedError(Doubt.CONTENT, f"a transfer of the unknown state {transfer.state!r}")
    at = moment(transfer.update_time) if transfer.update_time else now
    failure = (transfer.fail_reason or transfer.state) if progress is Progress.FAILED else None
    return PayoutFact(transfer.out_bill_no, cents, progress, at, failure)


def split_progress(split: Split) -> Progress:
    """How far a split to one receiver, its return or an unfreezing is.

    Raises:
        NoticeRefusedError: Its state is unknown.
    """
    progress = _SPLITS.get(split.state or split.result)
    if progress is None:
        raise NoticeRefusedError(
            Doubt.CONTENT, f"a split of the unknown state {split.state or split.result!r}"
        )
    of_parts = {receiver.result for receiver in split.receivers}
    if progress is Progress.DONE and "CLOSED" in of_parts:
        return Progress.FAILED
    return Progress.ACCEPTED if progress is Progress.DONE and "PENDING" in of_parts else progress


def fact_of_notice(event_type: str, data: bytes, merchant_number: str, now: datetime) -> Fact | None:
    """What the decrypted resource of a notice says; None for events that no books hold.

    Raises:
        NoticeRefusedError: It cannot be read, or is of another merchant.
    """
    if event_type.startswith("TRANSACTION."):
        transaction = read(data, Transaction)
        check_merchant(transaction.mchid, merchant_number)
        return payment_of(transaction)
    if event_type.startswith("REFUND."):
        refund = read(data, Refund)
        check_merchant(refund.mchid, merchant_number)
        return refund_of(refund, now)
    if event_type == "MCHTRANSFER.BILL.FINISHED":
        transfer = read(data, Transfer)
        check_merchant(transfer.mchid or transfer.mch_id, merchant_number)
        return payout_of(transfer, 0, now)
    return None


def check_merchant(told: str, merchant_number: str) -> None:
    """Refuse what is of another merchant.

    Raises:
        NoticeRefusedError: It is.
    """
    if told != merchant_number:
        raise NoticeRefusedError(Doubt.MERCHANT, "the notice is of another merchant number")


def moment(text: str) -> datetime:
    """A time in RFC 3339, in UTC.

    Raises:
        NoticeRefusedError: It is none, or has no zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise NoticeRefusedError(Doubt.CONTENT, "a time is not in RFC 3339") from error
    if found.tzinfo is None:
        raise NoticeRefusedError(Doubt.CONTENT, "a time has no zone")
    return found.astimezone(UTC)
