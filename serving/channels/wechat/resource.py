"""What is encrypted between WeChat Pay v3 and us, in base64.

Resources of notices: AEAD_AES_256_GCM under the APIv3 key. Names that we send: RSAES-OAEP under its own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.channels.errors import ChannelKeyError, Doubt, NoticeRefusedError
from serving.channels.signatures import public_key

ALGORITHM = "AEAD_AES_256_GCM"
_KEY_BYTES = 32


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """As it stands in a notice."""

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: str = ""
    original_type: str = ""


def check_key(api_v3_key: str) -> None:
    """Refuse what is no APIv3 key.

    Raises:
        ChannelKeyError: It has not 32 bytes.
    """
    if len(api_v3_key.encode()) != _KEY_BYTES:
        raise ChannelKeyError(f"an APIv3 key has {_KEY_BYTES} bytes")


def decrypted(api_v3_key: str, resource: Resource) -> bytes:
    """The clear bytes of a resource.

    Args:
        api_v3_key: 32 bytes as text.
        resource: Ciphertext with its tag behind it.

    Raises:
        NoticeRefusedError: Another algorithm, no base64, or another key or associated data encrypted it.
    """
    if resource.algorithm != ALGORITHM:
        raise NoticeRefusedError(Doubt.CONTENT, f"the resource is not encrypted by {ALGORITHM}")
    try:
        return AESGCM(api_v3_key.encode()).decrypt(
            resource.nonce.encode(),
            base64.b64decode(resource.ciphertext, validate=True),
            resource.associated_data.encode(),
        )
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise NoticeRefusedError(Doubt.CONTENT, "the resource cannot be decrypted with our key") from error


def encrypted(public_keys: Mapping[str, str], text: str) -> tuple[str, str]:
    """A personal value for the channel alone.

    Args:
        public_keys: The channel's keys by serial, PEM; the last registered one is used.
        text: At most 190 bytes under a key of 2048 bits.

    Returns:
        Serial of the key, to be sent as `Wechatpay-Serial`, and the ciphertext.

    Raises:
        ChannelKeyError: The key is not RSA, or the text too long for it.
    """
    serial, pem = list(public_keys.items())[-1]
    key = public_key(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ChannelKeyError("names are encrypted for WeChat Pay with an RSA key")
    # The channel's own choice of hash.
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    try:
        sealed = key.encrypt(text.encode(), oaep)
    except ValueError as error:
        raise ChannelKeyError("the name is too long to be encrypted for the channel") from error
    return serial, base64.b64encode(sealed).decode()
