"""The encrypted part of a WeChat Pay v3 notice: AEAD_AES_256_GCM under the APIv3 key, in base64."""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.channels.errors import ChannelKeyError, Doubt, NoticeRefusedError

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
