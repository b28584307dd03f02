"""The language of the simulated channel: JSON under an Ed25519 signature over `timestamp, nonce, body`.

Headers `Muyun-Timestamp` (seconds), `Muyun-Nonce`, `Muyun-Serial` (which key), `Muyun-Signature` (base64).
Notices and requests are signed alike, each side with its own key.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.facts import ChargebackFact, Fact, PaymentFact, PayoutFact, Progress, RefundFact
from serving.channels.signatures import LONGEST_MESSAGE, check_time, is_signed, sign, three_lines

SERIAL = "simulated-1"
"""Serial of the channel's key."""


@dataclass(frozen=True)
class Keys:
    """A pair of keys in PEM."""

    private: str
    public: str


def new_keys() -> Keys:
    """A fresh pair."""
    key = ed25519.Ed25519PrivateKey.generate()
    return Keys(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notice, or what the channel knows of one thing; `reference` is ours, `id` the channel's."""

    notice_id: str
    kind: Literal["payment", "refund", "payout", "chargeback"]
    id: str
    reference: str
    amount_cents: int
    occurred_at: datetime
    currency: str = "CNY"
    progress: Progress = Progress.DONE
    failure: str | None = None


_DECODER = msgspec.json.Decoder(Message)


def signed_headers(key: str, serial: str, body: bytes, now: datetime) -> dict[str, str]:
    """Headers that prove a body.

    Args:
        key: Private key of the sender, PEM.
        serial: Which of its keys.
        body: As it will be sent.
        now: Wall clock.
    """
    timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
    return {
        "content-type": "application/json",
        "muyun-timestamp": timestamp,
        "muyun-nonce": nonce,
        "muyun-serial": serial,
        "muyun-signature": sign(key, three_lines(timestamp, nonce, body)),
    }


def verified_nonce(
    public_keys: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    longest: int = LONGEST_MESSAGE,
) -> str:
    """The nonce of a message whose signature holds.

    Args:
        public_keys: Keys of the sender by serial, PEM.
        headers: Names in lower case.
        body: As it was sent.
        now: Wall clock.
        longest: Bytes of the longest message that is read.

    Raises:
        NoticeRefusedError: The serial is unknown, the time is off, or the signature is not of this message.
    """
    if len(body) > longest:
        raise NoticeRefusedError(Doubt.CONTENT, f"the message is longer than {longest} bytes")
    key = public_keys.get(headers.get("muyun-serial", ""))
    if key is None:
        raise NoticeRefusedError(Doubt.SERIAL, "no public key of that serial is registered")
    timestamp, nonce = headers.get("muyun-timestamp", ""), headers.get("muyun-nonce", "")
    check_time(timestamp, now)
    if not nonce.isascii() or not 8 <= len(nonce) <= 64:
        raise NoticeRefusedError(Doubt.NONCE, "the nonce has not 8 to 64 ASCII characters")
    if not is_signed(key, three_lines(timestamp, nonce, body), headers.get("muyun-signature", "")):
        raise NoticeRefusedError(Doubt.SIGNATURE, "the signature is not of this message")
    return nonce


def read_message(body: bytes) -> Message:
    """A message out of its JSON.

    Raises:
        NoticeRefusedError: It is none.
    """
    try:
        message = _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise NoticeRefusedError(Doubt.CONTENT, f"not a message of the simulated channel: {error}") from error
    if message.amount_cents <= 0 or message.occurred_at.tzinfo is None:
        raise NoticeRefusedError(Doubt.CONTENT, "the amount is not above 0, or the time has no zone")
    return message


def fact_of(message: Message) -> Fact:
    """What a message says."""
    at = message.occurred_at.astimezone(UTC)
    match message.kind:
        case "payment":
            return PaymentFact(message.id, message.reference, message.amount_cents, message.currency, at)
        case "chargeback":
            return ChargebackFact(message.id, message.reference, message.amount_cents, message.currency, at)
        case "refund":
            return RefundFact(message.reference, message.amount_cents, message.progress, at, message.failure)
        case "payout":
            return PayoutFact(message.reference, message.amount_cents, message.progress, at, message.failure)


def encoded(document: Any) -> bytes:
    """JSON of a message or a request."""
    return msgspec.json.encode(document)
