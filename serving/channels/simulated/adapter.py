"""The adapter of the simulated channel: signed JSON both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

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
from serving.channels.simulated.messages import (
    encoded,
    fact_of,
    read_message,
    signed_headers,
    verified_nonce,
)
from serving.channels.wire import LONGEST_ANSWER, HttpWire, Wire

ADAPTER = "simulated"
"""Adapter of payments that move no real money."""

_T = TypeVar("_T", PaymentFact, RefundFact, PayoutFact)


class SimulatedAdapter:
    """See `protocol.Adapter`.

    Args:
        account: With the secret `private_key` (ours, Ed25519 in PEM); the merchant number names it there.
        wire: How the channel is reached.
        clock: Wall clock, for our own signatures.
    """

    bill_kinds: ClassVar[frozenset[str]] = frozenset(
        {"payment", "refund", "payout", "chargeback", "payout_return", "split", "split_return"}
    )
    bill_ready_after: ClassVar[timedelta] = timedelta()

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
        nonce = verified_nonce(self._account.public_keys, headers, body, now)
        message = read_message(body)
        return Notice(message.notice_id, fact_of(message), nonce)

    def acknowledgement(self) -> Acknowledgement:
        """See `Adapter.acknowledgement`."""
        return Acknowledgement("application/json", b'{"code":"SUCCESS"}')

    def query_payment(self, payment_id: str) -> PaymentFact | None:
        """See `Adapter.query_payment`."""
        return self._known(f"/payments/{quote(payment_id, safe='')}", PaymentFact)

    def request_refund(self, wanted: RefundWanted) -> RefundFact:
        """See `Adapter.request_refund`."""
        return self._asked("/refunds", wanted, RefundFact)

    def query_refund(self, wanted: RefundWanted) -> RefundFact | None:
        """See `Adapter.query_refund`."""
        return self._known(f"/refunds/{quote(wanted.reference, safe='')}", RefundFact)

    def request_payout(self, wanted: PayoutWanted) -> PayoutFact:
        """See `Adapter.request_payout`."""
        return self._asked("/payouts", wanted, PayoutFact)

    def query_payout(self, wanted: PayoutWanted) -> PayoutFact | None:
        """See `Adapter.query_payout`."""
        return self._known(f"/payouts/{quote(wanted.reference, safe='')}", PayoutFact)

    def add_receiver(self, wanted: ReceiverWanted) -> None:
        """See `Adapter.add_receiver`."""
        self._progress("/receivers", wanted)

    def split(self, wanted: SplitWanted) -> Progress:
        """See `Adapter.split`."""
        return self._progress("/splits", wanted)

    def return_split(self, wanted: SplitReturnWanted) -> Progress:
        """See `Adapter.return_split`."""
        return self._progress("/split-returns", wanted)

    def unfreeze(self, wanted: UnfreezeWanted) -> Progress:
        """See `Adapter.unfreeze`."""
        return self._progress("/unfreezes", wanted)

    def bill(self, day: date) -> Sequence[BillLine]:
        """See `Adapter.bill`."""
        body = self._call("GET", f"/bill?{urlencode({'day': day.isoformat()})}", b"")
        if body is None:
            raise ChannelUnavailableError("the simulated channel does not know what a bill is")
        try:
            return msgspec.json.decode(body, type=list[BillLine])
        except msgspec.MsgspecError as error:
            raise ChannelUnavailableError(f"a bill that cannot be read: {error}") from error

    def _known(self, path: str, kind: type[_T]) -> _T | None:
        body = self._call("GET", path, b"")
        return None if body is None else _fact(body, kind)

    def _asked(self, path: str, wanted: Any, kind: type[_T]) -> _T:
        body = self._call("POST", path, encoded(wanted))
        if body is None:
            raise ChannelRefusedError("NOT_FOUND", f"the channel does not know what {path} is about")
        return _fact(body, kind)

    def _progress(self, path: str, wanted: Any) -> Progress:
        body = self._call("POST", path, encoded(wanted))
        if body is None:
            raise ChannelRefusedError("NOT_FOUND", f"the channel does not know what {path} is about")
        return Progress(msgspec.json.decode(body, type=dict[str, str])["progress"])

    def _call(self, method: str, path: str, body: bytes) -> bytes | None:
        """Body of the signed answer; None for 404."""
        account = self._account
        # What is asked is signed as well, since a GET has no body.
        named = f"{method} {path}".encode() + b"\n" + body
        headers = signed_headers(
            account.secrets["private_key"], account.merchant_number, named, self._clock()
        )
        answer = self._wire.call(method, account.api_url.rstrip("/") + path, headers, body)
        if answer.status >= 500 or answer.status == 429:
            raise ChannelUnavailableError(f"the simulated channel answers {answer.status}")
        try:
            verified_nonce(
                account.public_keys, answer.headers, answer.body, self._clock(), longest=LONGEST_ANSWER
            )
        except NoticeRefusedError as error:
            raise ChannelUnavailableError(f"an answer that the channel did not sign: {error}") from error
        if answer.status == 404:
            return None
        if answer.status >= 400:
            problem = msgspec.json.decode(answer.body, type=dict[str, str])
            raise ChannelRefusedError(problem.get("code", str(answer.status)), problem.get("message", ""))
        return answer.body


def _fact(body: bytes, kind: type[_T]) -> _T:
    try:
        found = fact_of(read_message(body))
    except NoticeRefusedError as error:
        raise ChannelUnavailableError(f"an answer that cannot be read: {error}") from error
    if not isinstance(found, kind):
        raise ChannelUnavailableError(f"an answer about something else: {type(found).__name__}")
    return found
