r"""What WeChat Pay v3 signs (SHA256 with RSA, PKCS#1 v1.5, base64), and what it wants signed.

A message of the channel: `timestamp\nnonce\nbody\n` under the key that `Wechatpay-Serial` names. A request of
ours: `method\npath and query\ntimestamp\nnonce\nbody\n` under our certificate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.signatures import LONGEST_MESSAGE, check_time, is_signed, sign, three_lines

SCHEME = "WECHATPAY2-SHA256-RSA2048"
# The channel now and then sends a signature that must not verify, to see whether it is looked at.
_PROBE = "WECHATPAY/SIGNTEST/"
_NONCE = re.compile(r"[\x21-\x7e]{1,64}")


def request_message(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What a request of ours signs.

    Args:
        method: In upper case.
        target: Absolute path with its query.
        timestamp: Seconds since 1970.
        nonce: Random.
        body: As sent; empty for GET.
    """
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(
    key: str,
    *,
    merchant_number: str,
    serial: str,
    method: str,
    target: str,
    timestamp: str,
    nonce: str,
    body: bytes,
) -> str:
    """The `Authorization` header of a request of ours.

    Args:
        key: Our private key, PEM.
        merchant_number: `mchid`.
        serial: Of our certificate.
        method: See `request_message`; so are the rest.
        target: See `request_message`.
        timestamp: See `request_message`.
        nonce: See `request_message`.
        body: See `request_message`.

    Raises:
        ChannelKeyError: The key cannot be used.
    """
    signature = sign(key, request_message(method, target, timestamp, nonce, body))
    return (
        f'{SCHEME} mchid="{merchant_number}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial}"'
    )


def verified_nonce(
    public_keys: Mapping[str, str], headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The nonce of a message that the channel signed.

    Args:
        public_keys: Platform certificates or public keys by serial, PEM.
        headers: Names in lower case.
        body: As it was sent, before anything parsed it.
        now: Wall clock.

    Raises:
        NoticeRefusedError: The serial is unknown, the time is off, or the signature is not of this message.
    """
    if len(body) > LONGEST_MESSAGE:
        raise NoticeRefusedError(Doubt.CONTENT, f"the message is longer than {LONGEST_MESSAGE} bytes")
    return verified_answer(public_keys, headers, body, now)


def verified_answer(
    public_keys: Mapping[str, str], headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The nonce of an answer of any length; see `verified_nonce`.

    Raises:
        NoticeRefusedError: See `verified_nonce`.
    """
    key = public_keys.get(headers.get("wechatpay-serial", ""))
    if key is None:
        raise NoticeRefusedError(Doubt.SERIAL, "no certificate of the channel of that serial is registered")
    timestamp, nonce = headers.get("wechatpay-timestamp", ""), headers.get("wechatpay-nonce", "")
    check_time(timestamp, now)
    if not _NONCE.fullmatch(nonce):
        raise NoticeRefusedError(Doubt.NONCE, "the nonce has not 1 to 64 ASCII characters")
    signature = headers.get("wechatpay-signature", "")
    if signature.startswith(_PROBE) or not is_signed(key, three_lines(timestamp, nonce, body), signature):
        raise NoticeRefusedError(Doubt.SIGNATURE, "the signature is not of this message")
    return nonce
