"""Facts out of Alipay's forms and answers: amounts in yuan, times in China without a zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.facts import CURRENCY, PaymentFact, PayoutFact, Progress
from serving.channels.yuan import fen

_CHINA = timezone(timedelta(hours=8))
_PAID = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED"})
_TRANSFERS = {
    "SUCCESS": Progress.DONE,
    "FAIL": Progress.FAILED,
    "CLOSED": Progress.FAILED,
    "REFUND": Progress.RETURNED,
    "DEALING": Progress.ACCEPTED,
    "INIT": Progress.ACCEPTED,
    "WAIT_PAY": Progress.ACCEPTED,
}


def payment_of_notice(form: Mapping[str, str], app_id: str, merchant_number: str) -> PaymentFact | None:
    """The payment that a notice states; None for what is no payment that succeeded.

    Args:
        form: Verified.
        app_id: Ours.
        merchant_number: Our seller id.

    Raises:
        NoticeRefusedError: It is of another application or seller, or lacks something.
    """
    if form.get("app_id") != app_id or form.get("seller_id") not in (merchant_number, None):
        raise NoticeRefusedError(Doubt.MERCHANT, "the notice is of another application or seller")
    # A partial refund is told with the trade's status and an `out_biz_no`: the payment itself is known.
    if form.get("trade_status") not in _PAID or form.get("refund_fee") or form.get("gmt_refund"):
        return None
    return _payment(form, form.get("gmt_payment", ""))


def payment_of_query(node: Mapping[str, str]) -> PaymentFact | None:
    """The payment that an answer to `alipay.trade.query` states; None while it did not succeed.

    Raises:
        NoticeRefusedError: It lacks something.
    """
    if node.get("trade_status") not in _PAID:
        return None
    return _payment(node, node.get("send_pay_date", ""))


def payout_of(node: Mapping[str, str], reference: str, amount_cents: int, now: datetime) -> PayoutFact:
    """How far a transfer is; `REFUND` is one that came back after it had succeeded.

    Raises:
        NoticeRefusedError: Its status is unknown.
    """
    progress = _TRANSFERS.get(node.get("status", ""))
    if progress is None:
        raise NoticeRefusedError(Doubt.CONTENT, f"a transfer of the unknown status {node.get('status')!r}")
    when = node.get("trans_date") or node.get("pay_date") or ""
    is_bad = progress in (Progress.FAILED, Progress.RETURNED)
    failure = (node.get("fail_reason") or node.get("error_code") or node["status"]) if is_bad else None
    return PayoutFact(reference, amount_cents, progress, china_time(when) if when else now, failure)


def china_time(text: str) -> datetime:
    """A time of the channel, in UTC.

    Raises:
        NoticeRefusedError: It is none.
    """
    try:
        found = datetime.strptime(text.partition(".")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA)
    except ValueError as error:
        raise NoticeRefusedError(Doubt.CONTENT, "a time is not like 2026-11-01 08:00:00") from error
    return found.astimezone(UTC)


def _payment(told: Mapping[str, str], paid_at: str) -> PaymentFact:
    try:
        cents = fen(told["total_amount"])
        payment_id, order_ref = told["trade_no"], told["out_trade_no"]
    except (KeyError, ValueError) as error:
        raise NoticeRefusedError(Doubt.CONTENT, f"a payment lacks something: {error}") from error
    if cents <= 0 or not payment_id:
        raise NoticeRefusedError(Doubt.CONTENT, "a payment has no amount or no id")
    currency = told.get("settle_currency") or told.get("trans_currency") or CURRENCY
    return PaymentFact(payment_id, order_ref, cents, currency, china_time(paid_at))
