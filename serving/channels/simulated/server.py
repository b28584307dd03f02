"""The simulated channel as an HTTP server on loopback, and the notices that it sends.

What the shop asks for must be signed with the shop's key; `/buyer/...` and `/sandbox/...` play the buyer and
the channel's staff and need no signature: whoever reaches the server may use them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from serving.channels.errors import ChannelUnavailableError, NoticeRefusedError
from serving.channels.facts import (
    PayoutWanted,
    Progress,
    ReceiverWanted,
    RefundWanted,
    SplitReturnWanted,
    SplitWanted,
    UnfreezeWanted,
)
from serving.channels.simulated.bank import Bank, RefusedByBankError
from serving.channels.simulated.messages import (
    SERIAL,
    Message,
    encoded,
    signed_headers,
    verified_nonce,
)
from serving.channels.wire import Answer, HttpWire, Wire


class BuyerPays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A buyer pays for an order; without a time, now."""

    order_ref: str
    amount_cents: int
    payment_id: str | None = None
    currency: str = "CNY"
    paid_at: datetime | None = None


class StaffEnds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The channel ends a refund or pay-out that it had accepted, or sends a pay-out back."""

    kind: str
    reference: str
    progress: Progress


@dataclass(frozen=True)
class Sent:
    """A notice that was sent, and what came back; 0 when nothing did."""

    message: Message
    status: int


class SimulatedChannel:
    """The server; use it as a context manager.

    Args:
        private_key: The channel's key, PEM; its public half is registered with the shop under `SERIAL`.
        shop_keys: The shop's public keys by merchant number, PEM.
        bank: Its books.
        notify_url: Where notices go; may be set later.
        port: 0 takes a free one.
        wire: How notices are sent.
        clock: Wall clock of its signatures.
    """

    def __init__(
        self,
        private_key: str,
        shop_keys: Mapping[str, str],
        bank: Bank,
        *,
        notify_url: str = "",
        port: int = 0,
        wire: Wire | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.bank = bank
        self.notify_url = notify_url
        self.shop_keys = dict(shop_keys)
        self._private_key = private_key
        self._wire = wire or HttpWire()
        self._clock = clock
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        cast(Any, self._server).channel = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> SimulatedChannel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def notify(self, message: Message) -> Sent:
        """Sign a message and send it to the shop, once."""
        body = encoded(message)
        try:
            answer = self._wire.call("POST", self.notify_url, self.headers(body), body)
        except ChannelUnavailableError:
            return Sent(message, 0)
        return Sent(message, answer.status)

    def headers(self, body: bytes) -> dict[str, str]:
        """Headers that prove a body of the channel."""
        return signed_headers(self._private_key, SERIAL, body, self._clock())

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The signed answer to a request."""
        try:
            status, document = self._done(method, target, headers, body)
        except RefusedByBankError as error:
            status, document = 409, {"code": error.code, "message": str(error)}
        except NoticeRefusedError as error:
            status, document = 401, {"code": "SIGN_ERROR", "message": str(error)}
        except msgspec.MsgspecError as error:
            status, document = 400, {"code": "PARAM_ERROR", "message": str(error)}
        text = encoded(document)
        return Answer(status, self.headers(text), text)

    def _done(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        path = urlsplit(target).path
        if method == "POST" and path == "/buyer/payments":
            pays = msgspec.json.decode(body, type=BuyerPays)
            sent = self.notify(
                self.bank.pay(
                    pays.order_ref,
                    pays.amount_cents,
                    payment_id=pays.payment_id,
                    currency=pays.currency,
                    paid_at=pays.paid_at,
                )
            )
            return 200, {"payment_id": sent.message.id, "shop_answered": sent.status}
        if method == "POST" and path == "/sandbox/ends":
            ends = msgspec.json.decode(body, type=StaffEnds)
            if ends.progress is Progress.RETURNED:
                sent = self.notify(self.bank.return_payout(ends.reference, "returned by the payee's bank"))
            else:
                sent = self.notify(self.bank.finish(ends.kind, ends.reference, ends.progress))
            return 200, {"shop_answered": sent.status}
        verified_nonce(self.shop_keys, headers, f"{method} {target}".encode() + b"\n" + body, self._clock())
        if self.bank.faults.busy > 0:
            self.bank.faults.busy -= 1
            return 503, {"code": "SYSTEM_ERROR", "message": "busy"}
        done = self._asked(method, target, body)
        if method == "POST" and self.bank.faults.silent > 0:
            self.bank.faults.silent -= 1
            return 503, {"code": "SYSTEM_ERROR", "message": "busy"}
        return done

    def _asked(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        room, _, name = parts.path.strip("/").partition("/")
        match (method, room):
            case ("POST", "refunds"):
                return 200, self.bank.refund(msgspec.json.decode(body, type=RefundWanted))
            case ("POST", "payouts"):
                return 200, self.bank.pay_out(msgspec.json.decode(body, type=PayoutWanted))
            case ("POST", "receivers"):
                self.bank.add_receiver(msgspec.json.decode(body, type=ReceiverWanted))
                return 200, {"progress": Progress.DONE}
            case ("POST", "splits"):
                return 200, {"progress": self.bank.split(msgspec.json.decode(body, type=SplitWanted))}
            case ("POST", "split-returns"):
                wanted = msgspec.json.decode(body, type=SplitReturnWanted)
                return 200, {"progress": self.bank.return_split(wanted)}
            case ("POST", "unfreezes"):
                return 200, {"progress": self.bank.unfreeze(msgspec.json.decode(body, type=UnfreezeWanted))}
            case ("GET", "payments"):
                return _found(self.bank.payment(unquote(name)))
            case ("GET", "refunds"):
                return _found(self.bank.other("refund", unquote(name)))
            case ("GET", "payouts"):
                return _found(self.bank.other("payout", unquote(name)))
            case ("GET", "bill"):
                day = parse_qs(parts.query).get("day", [""])[0]
                return 200, self.bank.bill(date.fromisoformat(day))
        return 404, {"code": "NOT_FOUND", "message": f"{method} {parts.path}"}


def _found(message: Message | None) -> tuple[int, Any]:
    if message is None:
        return 404, {"code": "NOT_FOUND", "message": "unknown"}
    return 200, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a query."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a request."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the server runs beside tests and demonstrations."""

    def _answer(self) -> None:
        channel = cast(SimulatedChannel, cast(Any, self.server).channel)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = channel.answer(self.command, self.path, headers, body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
