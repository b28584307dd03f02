"""The adapter of Alipay; see `protocol.Adapter`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import msgspec

from serving.channels.alipay.bills import bill_lines, unzipped
from serving.channels.alipay.facts import payment_of_notice, payment_of_query, payout_of
from serving.channels.alipay.signing import SIGN_TYPE, request_message, signed_node, verified_form
from serving.channels.errors import ChannelRefusedError, ChannelUnavailableError, NoticeRefusedError
from serving.channels.facts import (
    BillLine,
    Notice,
    PaymentFact,
    PayoutFact,
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundFact,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.protocol import Account, Acknowledgement
from serving.channels.signatures import is_signed, sign
from serving.channels.wire import HttpWire, Wire
from serving.channels.yuan import fen, yuan

ADAPTER = "alipay"
API_URL = "https://openapi.alipay.com/gateway.do"
"""Where the channel answers."""

_CHINA = timezone(timedelta(hours=8))
_TRANSFER = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_BUSY = frozenset({"ACQ.SYSTEM_ERROR", "SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR", "PAYER_BALANCE_NOT_ENOUGH"})
_NOTHING_SOLD = "BILL_NOT_EXIST"
_UNKNOWN = frozenset({"ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST", "ORDER_NOT_EXIST"})
_T = TypeVar("_T")


class AlipayAdapter:
    """One application at Alipay.

    Args:
        account: With the secret `private_key` (ours, PEM); the merchant number is the seller id.
        wire: How the channel is reached.
        clock: Wall clock.
    """

    # The trade bill; transfers stand in the bill of the balance. It is made by 9 o'clock of the next day.
    bill_kinds: ClassVar[frozenset[str]] = frozenset({"payment", "refund"})
    bill_ready_after: ClassVar[timedelta] = timedelta(hours=10)

    def __init__(
        self,
        account: Account,
        wire: Wire | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._account = account
        self._wire = wire or HttpWire()
        self._clock = clock

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """See `Adapter.read_notice`.

        The platform sends the very same form again for a day, so that there is neither nonce nor window: a
        recording states a fact that is booked already.
        """
        account = self._account
        form = verified_form(account.public_keys, body)
        fact = payment_of_notice(form, account.app_id, account.merchant_number)
        return Notice(form.get("notify_id", "")[:128], fact, None)

    def acknowledgement(self) -> Acknowledgement:
        """See `Adapter.acknowledgement`."""
        return Acknowledgement("text/plain", b"success")

    def query_payment(self, payment_id: str) -> PaymentFact | None:
        """See `Adapter.query_payment`."""
        node = self._call("alipay.trade.query", {"trade_no": payment_id})
        return None if node is None else _answered(lambda: payment_of_query(node))

    def request_refund(self, wanted: RefundWanted) -> RefundFact:
        """See `Adapter.request_refund`."""
        content = {
            "trade_no": wanted.payment_id,
            "refund_amount": yuan(wanted.amount_cents),
            "out_request_no": wanted.reference,
            "refund_reason": wanted.reason[:256],
        }
        if self._call("alipay.trade.refund", content) is None:
            raise ChannelRefusedError("TRADE_NOT_EXIST", "the channel knows no such payment")
        # `fund_change` says whether this very call moved money; only the query says that the refund stands.
        found = self.query_refund(wanted)
        if found is not None:
            return found
        return RefundFact(wanted.reference, wanted.amount_cents, Progress.ACCEPTED, self._clock())

    def query_refund(self, wanted: RefundWanted) -> RefundFact | None:
        """See `Adapter.query_refund`."""
        content = {"trade_no": wanted.payment_id, "out_request_no": wanted.reference}
        node = self._call("alipay.trade.fastpay.refund.query", content)
        if node is None or node.get("refund_status") != "REFUND_SUCCESS":
            return None
        cents = _answered(lambda: _fen(node["refund_amount"]))
        return RefundFact(wanted.reference, cents, Progress.DONE, self._clock())

    def request_payout(self, wanted: PayoutWanted) -> PayoutFact:
        """See `Adapter.request_payout`."""
        content = {
            "out_biz_no": wanted.reference,
            "trans_amount": yuan(wanted.amount_cents),
            "order_title": wanted.remark[:64],
            "payee_info": {"identity": wanted.account, "identity_type": "ALIPAY_USER_ID"},
            **_TRANSFER,
        }
        return self._payout(self._call("alipay.fund.trans.uni.transfer", content), wanted)

    def query_payout(self, wanted: PayoutWanted) -> PayoutFact | None:
        """See `Adapter.query_payout`."""
        node = self._call("alipay.fund.trans.common.query", {"out_biz_no": wanted.reference, **_TRANSFER})
        return None if node is None else self._payout(node, wanted)

    def add_receiver(self, wanted: ReceiverWanted) -> None:
        """See `Adapter.add_receiver`."""
        content = {
            "out_request_no": hashlib.sha256(wanted.account.encode()).hexdigest()[:32],
            "receiver_list": [
                {
                    "type": "userId",
                    "account": wanted.account,
                    "name": wanted.name,
                    "memo": wanted.party_type,
                }
            ],
        }
        if self._call("alipay.trade.royalty.relation.bind", content) is None:
            raise ChannelRefusedError("USER_NOT_EXIST", "the channel does not know the receiver")

    def split(self, wanted: SplitWanted) -> Progress:
        """See `Adapter.split`."""
        content = {
            "out_request_no": wanted.reference,
            "trade_no": wanted.payment_id,
            # The answer is the result; asynchronously it would only say that the request was read.
            "royalty_mode": "sync",
            "royalty_parameters": [
                {
                    "royalty_type": "transfer",
                    "trans_in_type": "userId",
                    "trans_in": wanted.account,
                    "amount": yuan(wanted.amount_cents),
                    "desc": wanted.remark[:128],
                }
            ],
        }
        return self._done("alipay.trade.order.settle", content)

    def return_split(self, wanted: SplitReturnWanted) -> Progress:
        """See `Adapter.return_split`: the platform fetches a share back along with a refund of 0."""
        content = {
            "trade_no": wanted.payment_id,
            "refund_amount": yuan(0),
            "out_request_no": wanted.reference,
            "refund_royalty_parameters": [
                {
                    "royalty_type": "transfer",
                    "trans_out_type": "userId",
                    "trans_out": wanted.account,
                    "amount": yuan(wanted.amount_cents),
                    "desc": wanted.remark[:128],
                }
            ],
        }
        return self._done("alipay.trade.refund", content)

    def unfreeze(self, wanted: UnfreezeWanted) -> Progress:
        """See `Adapter.unfreeze`."""
        content = {
            "out_request_no": wanted.reference,
            "trade_no": wanted.payment_id,
            "royalty_parameters": [],
            "extend_params": {"royalty_finish": "true"},
        }
        return self._done("alipay.trade.order.settle", content)

    def bill(self, day: date) -> Sequence[BillLine]:
        """See `Adapter.bill`."""
        content = {"bill_type": "trade", "bill_date": day.isoformat()}
        try:
            node = self._call("alipay.data.dataservice.bill.downloadurl.query", content)
        except ChannelRefusedError as error:
            # `isp.` stands before it or not, by the version of the gateway.
            if error.code.rpartition(".")[2].upper() == _NOTHING_SOLD:
                return []
            raise
        if node is None:
            raise ChannelUnavailableError("Alipay answers for a trade where a bill was asked for")
        answer = self._wire.call("GET", node.get("bill_download_url", ""), {"user-agent": "muyun"}, b"")
        if answer.status != 200:
            raise ChannelUnavailableError(f"the bill is answered {answer.status}")
        return bill_lines(unzipped(answer.body))

    def _done(self, method: str, content: Mapping[str, Any]) -> Progress:
        if self._call(method, content) is None:
            raise ChannelRefusedError("TRADE_NOT_EXIST", "the channel knows no such payment")
        return Progress.DONE

    def _payout(self, node: Mapping[str, str] | None, wanted: PayoutWanted) -> PayoutFact:
        if node is None:
            raise ChannelUnavailableError("the channel does not know the transfer that it was asked for")
        return _answered(lambda: payout_of(node, wanted.reference, wanted.amount_cents, self._clock()))

    def _call(self, method: str, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The verified node of an answer; None when the channel does not know what it is about."""
        account = self._account
        parameters = {
            "app_id": account.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": SIGN_TYPE,
            "timestamp": self._clock().astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            "notify_url": account.notify_url,
            "biz_content": msgspec.json.encode(content).decode(),
        }
        parameters = {name: value for name, value in parameters.items() if value}
        parameters["sign"] = sign(account.secrets["private_key"], request_message(parameters))
        headers = {"content-type": "application/x-www-form-urlencoded;charset=utf-8", "user-agent": "muyun"}
        answer = self._wire.call("POST", account.api_url, headers, urlencode(parameters).encode())
        if answer.status != 200:
            raise ChannelUnavailableError(f"Alipay answers {answer.status}")
        node = self._verified(answer.body, method)
        code, sub_code = str(node.get("code", "")), str(node.get("sub_code", ""))
        if code == "10000":
            return node
        if sub_code in _UNKNOWN:
            return None
        message = f"{node.get('msg', '')} {node.get('sub_msg', '')}".strip()
        if code == "20000" or sub_code in _BUSY:
            raise ChannelUnavailableError(f"Alipay answers {code} {sub_code}: {message}")
        raise ChannelRefusedError(sub_code or code, message)

    def _verified(self, body: bytes, method: str) -> Mapping[str, Any]:
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
            name = method.replace(".", "_") + "_response"
            if name not in document:
                name = "error_response"
            raw = signed_node(body, name)
            signature = str(document.get("sign", ""))
            node = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError) as error:
            raise ChannelUnavailableError("an answer of Alipay that cannot be read") from error
        if not any(is_signed(key, raw, signature) for key in self._account.public_keys.values()):
            raise ChannelUnavailableError("an answer that Alipay did not sign")
        return node


def _fen(text: str) -> int:
    try:
        return fen(text)
    except ValueError as error:
        raise ChannelUnavailableError(f"an answer with no amount: {error}") from error


def _answered(read: Callable[[], _T]) -> _T:
    """What an answer says; one that says nothing is asked for again."""
    try:
        return read()
    except (NoticeRefusedError, KeyError) as error:
        raise ChannelUnavailableError(f"an answer that cannot be read: {error}") from error
