"""The adapter of WeChat Pay v3; see `protocol.Adapter`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

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
from serving.channels.wechat import documents
from serving.channels.wechat.bills import bill_lines
from serving.channels.wechat.resource import decrypted, encrypted
from serving.channels.wechat.signing import authorization, verified_answer, verified_nonce
from serving.channels.wire import Answer, HttpWire, Wire

ADAPTER = "wechat"
_T = TypeVar("_T")

API_URL = "https://api.mch.weixin.qq.com"
"""Where the channel answers."""

_NOT_ENOUGH = "NOT_ENOUGH"
_BUSY = frozenset(
    {
        "SYSTEM_ERROR", "FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", "BANK_ERROR", _NOT_ENOUGH,
        "STATEMENT_CREATING",
    }
)  # fmt: skip
_NOTHING_SOLD = "NO_STATEMENT_EXIST"
_RELATIONS = {"supplier": "SUPPLIER", "merchant": "STORE", "agent": "DISTRIBUTOR"}
# Scene 1005 is commission, 1000 marketing; the scene is a part of what the merchant agreed with the channel.
_TRANSFER_SCENE = "1005"


class WeChatAdapter:
    """One merchant number at WeChat Pay.

    Args:
        account: With the secrets `private_key` (ours, PEM), `serial` (of our certificate), `api_v3_key`.
        wire: How the channel is reached.
        clock: Wall clock.
    """

    # The trade bill; transfers stand in the fund-flow bill. It is made from 10 o'clock of the next day on.
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
        """See `Adapter.read_notice`."""
        account = self._account
        nonce = verified_nonce(account.public_keys, headers, body, now)
        envelope = documents.read(body, documents.Envelope)
        data = decrypted(account.secrets["api_v3_key"], envelope.resource)
        fact = documents.fact_of_notice(envelope.event_type, data, account.merchant_number, now)
        return Notice(envelope.id, fact, nonce)

    def acknowledgement(self) -> Acknowledgement:
        """See `Adapter.acknowledgement`."""
        return Acknowledgement("application/json", b'{"code":"SUCCESS","message":"\xe6\x88\x90\xe5\x8a\x9f"}')

    def query_payment(self, payment_id: str) -> PaymentFact | None:
        """See `Adapter.query_payment`."""
        query = urlencode({"mchid": self._account.merchant_number})
        found = self._get(f"/v3/pay/transactions/id/{quote(payment_id, safe='')}?{query}")
        if found is None:
            return None
        return _answered(lambda: documents.payment_of(documents.read(found, documents.Transaction)))

    def request_refund(self, wanted: RefundWanted) -> RefundFact:
        """See `Adapter.request_refund`."""
        document = {
            "transaction_id": wanted.payment_id,
            "out_refund_no": wanted.reference,
            "reason": wanted.reason[:80],
            "amount": {"refund": wanted.amount_cents, "total": wanted.total_cents, "currency": "CNY"},
        } | self._notify()
        return self._refund(self._post("/v3/refund/domestic/refunds", document))

    def query_refund(self, wanted: RefundWanted) -> RefundFact | None:
        """See `Adapter.query_refund`."""
        found = self._get(f"/v3/refund/domestic/refunds/{quote(wanted.reference, safe='')}")
        return None if found is None else self._refund(found)

    def request_payout(self, wanted: PayoutWanted) -> PayoutFact:
        """See `Adapter.request_payout`."""
        document = {
            "appid": self._account.app_id,
            "out_bill_no": wanted.reference,
            "transfer_scene_id": _TRANSFER_SCENE,
            "openid": wanted.account,
            "transfer_amount": wanted.amount_cents,
            "transfer_remark": wanted.remark[:32],
            "transfer_scene_report_infos": [
                {"info_type": "岗位类型", "info_content": "推广员"},
                {"info_type": "报酬说明", "info_content": wanted.remark[:32]},
            ],
        } | self._notify()
        return self._payout(self._post("/v3/fund-app/mch-transfer/transfer-bills", document), wanted)

    def query_payout(self, wanted: PayoutWanted) -> PayoutFact | None:
        """See `Adapter.query_payout`."""
        reference = quote(wanted.reference, safe="")
        found = self._get(f"/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{reference}")
        return None if found is None else self._payout(found, wanted)

    def add_receiver(self, wanted: ReceiverWanted) -> None:
        """See `Adapter.add_receiver`."""
        serial, name = encrypted(self._account.public_keys, wanted.name)
        document = {
            "appid": self._account.app_id,
            "type": "MERCHANT_ID",
            "account": wanted.account,
            "name": name,
            "relation_type": _RELATIONS[wanted.party_type],
        }
        self._post("/v3/profitsharing/receivers/add", document, {"wechatpay-serial": serial})

    def split(self, wanted: SplitWanted) -> Progress:
        """See `Adapter.split`."""
        document = {
            "appid": self._account.app_id,
            "transaction_id": wanted.payment_id,
            "out_order_no": wanted.reference,
            "receivers": [
                {
                    "type": "MERCHANT_ID",
                    "account": wanted.account,
                    "amount": wanted.amount_cents,
                    "description": wanted.remark[:80],
                }
            ],
            "unfreeze_unsplit": False,
        }
        try:
            return self._split(self._post("/v3/profitsharing/orders", document))
        except ChannelUnavailableError as error:
            if error.code == _NOT_ENOUGH:
                # Not our account is short, as with a transfer, but what is left of the payment: for ever.
                raise ChannelRefusedError(error.code, str(error)) from error
            raise

    def return_split(self, wanted: SplitReturnWanted) -> Progress:
        """See `Adapter.return_split`."""
        document = {
            "out_order_no": wanted.split_reference,
            "out_return_no": wanted.reference,
            "return_mchid": wanted.account,
            "amount": wanted.amount_cents,
            "description": wanted.remark[:80],
        }
        return self._split(self._post("/v3/profitsharing/return-orders", document))

    def unfreeze(self, wanted: UnfreezeWanted) -> Progress:
        """See `Adapter.unfreeze`."""
        document = {
            "transaction_id": wanted.payment_id,
            "out_order_no": wanted.reference,
            "description": wanted.remark[:80],
        }
        return self._split(self._post("/v3/profitsharing/orders/unfreeze", document))

    def bill(self, day: date) -> Sequence[BillLine]:
        """See `Adapter.bill`."""
        try:
            found = self._get(
                f"/v3/bill/tradebill?{urlencode({'bill_date': day.isoformat(), 'bill_type': 'ALL'})}"
            )
        except ChannelRefusedError as error:
            if error.code == _NOTHING_SOLD:
                return []
            raise
        if found is None:
            # Nobody signed that: it is no word about a day.
            raise ChannelUnavailableError("WeChat Pay answers 404 for a bill: is the address right?")
        where = _answered(lambda: documents.read(found, documents.DownloadUrl))
        # The file itself is not signed; the signed answer says its hash.
        text = self._call("GET", where.download_url, b"").body
        if hashlib.sha1(text, usedforsecurity=False).hexdigest() != where.hash_value.lower():
            raise ChannelUnavailableError("the bill is not the one that the channel announced")
        try:
            return bill_lines(text.decode("utf-8", "strict"))
        except UnicodeError as error:
            raise ChannelUnavailableError("the bill is not written in UTF-8") from error

    def _refund(self, data: bytes) -> RefundFact:
        return _answered(lambda: documents.refund_of(documents.read(data, documents.Refund), self._clock()))

    def _payout(self, data: bytes, wanted: PayoutWanted) -> PayoutFact:
        return _answered(
            lambda: documents.payout_of(
                documents.read(data, documents.Transfer), wanted.amount_cents, self._clock()
            )
        )

    def _split(self, data: bytes) -> Progress:
        return _answered(lambda: documents.split_progress(documents.read(data, documents.Split)))

    def _notify(self) -> dict[str, str]:
        return {"notify_url": self._account.notify_url} if self._account.notify_url else {}

    def _get(self, target: str) -> bytes | None:
        answer = self._call("GET", self._account.api_url.rstrip("/") + target, b"")
        if answer.status == 404:
            return None
        return self._verified(answer)

    def _post(self, target: str, document: Mapping[str, Any], more: Mapping[str, str] | None = None) -> bytes:
        body = msgspec.json.encode(document)
        url = self._account.api_url.rstrip("/") + target
        return self._verified(self._call("POST", url, body, more))

    def _verified(self, answer: Answer) -> bytes:
        """Body of an answer that the channel signed; an error is an error whoever signed it."""
        if answer.status >= 400:
            raise _refusal(answer)
        account = self._account
        _answered(lambda: verified_answer(account.public_keys, answer.headers, answer.body, self._clock()))
        return answer.body

    def _call(self, method: str, url: str, body: bytes, more: Mapping[str, str] | None = None) -> Answer:
        account, parts = self._account, urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {
            "accept": "application/json",
            "user-agent": "muyun",
            "authorization": authorization(
                account.secrets["private_key"],
                merchant_number=account.merchant_number,
                serial=account.secrets["serial"],
                method=method,
                target=target,
                timestamp=str(int(self._clock().timestamp())),
                nonce=secrets.token_hex(16).upper(),
                body=body,
            ),
        }
        if body:
            headers["content-type"] = "application/json"
        headers |= more or {}
        return self._wire.call(method, url, headers, body)


def _refusal(answer: Answer) -> ChannelUnavailableError | ChannelRefusedError:
    try:
        problem = msgspec.json.decode(answer.body, type=documents.Problem)
    except msgspec.MsgspecError:
        problem = documents.Problem()
    if answer.status >= 500 or answer.status in (401, 429) or problem.code in _BUSY:
        # 401 tells of our own keys or clock: that is repaired here, and the same asked again.
        return ChannelUnavailableError(
            f"WeChat Pay answers {answer.status} {problem.code}: {problem.message}", problem.code
        )
    return ChannelRefusedError(problem.code or str(answer.status), problem.message)


def _answered(read: Callable[[], _T]) -> _T:
    """What an answer says; one that is not the channel's, or says nothing, is none: it is asked again."""
    try:
        return read()
    except NoticeRefusedError as error:
        raise ChannelUnavailableError(f"an answer that cannot be believed: {error}") from error
