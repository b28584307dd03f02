"""Signatures of channels: RSA with SHA-256 and Ed25519 in base64, keys in PEM. Pure; no formats."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from serving.channels.errors import ChannelKeyError, Doubt, NoticeRefusedError

WINDOW = timedelta(minutes=5)
"""How far the time of a signed message may be off our clock: what is older may be a recording."""

LONGEST_MESSAGE = 64 * 1024
"""Bytes; no channel sends a longer notice."""


def public_key(text: str) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    """A channel's public key out of PEM: a certificate or a bare key.

    Raises:
        ChannelKeyError: It is none, or of a kind that no channel signs with.
    """
    try:
        data = text.strip().encode()
        found: PublicKeyTypes
        if b"BEGIN CERTIFICATE" in data:
            found = x509.load_pem_x509_certificate(data).public_key()
        else:
            found = serialization.load_pem_public_key(data)
    except ValueError as error:
        raise ChannelKeyError("a public key is neither a PEM certificate nor a PEM public key") from error
    if not isinstance(found, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ChannelKeyError("a public key is neither RSA nor Ed25519")
    if isinstance(found, rsa.RSAPublicKey) and found.key_size < 2048:
        raise ChannelKeyError(f"an RSA key of {found.key_size} bits proves nothing: 2048 or more are needed")
    return found


def private_key(text: str) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    """Our own key out of PEM (PKCS#8 or PKCS#1), without a password.

    Raises:
        ChannelKeyError: It is none; without its cause, whose message may quote it.
    """
    try:
        found = serialization.load_pem_private_key(text.strip().encode(), None)
    except (ValueError, TypeError):
        raise ChannelKeyError("a private key is no PEM key without a password") from None
    if not isinstance(found, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ChannelKeyError("a private key is neither RSA nor Ed25519")
    return found


def sign(key: str, message: bytes) -> str:
    """Sign with our own key: RSA PKCS#1 v1.5 over SHA-256, or Ed25519, whichever it is.

    Args:
        key: PEM.
        message: What is signed.

    Returns:
        The signature in base64.

    Raises:
        ChannelKeyError: The key cannot be used.
    """
    found = private_key(key)
    if isinstance(found, rsa.RSAPrivateKey):
        return base64.b64encode(found.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    return base64.b64encode(found.sign(message)).decode()


def is_signed(key: str, message: bytes, signature: str) -> bool:
    """Whether a signature in base64 is of that message by the holder of that key.

    Args:
        key: Public key or certificate, PEM.
        message: What should have been signed.
        signature: As it came; anything.

    Raises:
        ChannelKeyError: The key cannot be used.
    """
    found = public_key(key)
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    try:
        if isinstance(found, rsa.RSAPublicKey):
            found.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            found.verify(raw, message)
    except InvalidSignature:
        return False
    return True


def three_lines(timestamp: str, nonce: str, body: bytes) -> bytes:
    r"""What WeChat Pay v3 and the simulated channel sign: `timestamp\nnonce\nbody\n`, the body as sent."""
    return timestamp.encode() + b"\n" + nonce.encode() + b"\n" + body + b"\n"


def check_time(timestamp: str, now: datetime) -> datetime:
    """The moment of a message.

    Args:
        timestamp: Seconds since 1970 as ASCII digits.
        now: Wall clock.

    Raises:
        NoticeRefusedError: It is no number, or more than `WINDOW` off.
    """
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise NoticeRefusedError(Doubt.TIMESTAMP, "the timestamp is not in seconds since 1970")
    moment = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(now - moment) > WINDOW:
        raise NoticeRefusedError(
            Doubt.TIMESTAMP, f"the message is of {moment.isoformat()}: more than 5 minutes off our clock"
        )
    return moment
