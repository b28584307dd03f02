"""Envelope encryption of personal fields: AES-256-GCM over bytes, pure. No file and no database here.

Three layers: a master key wraps the data keys of each tenant, a data key seals the fields. A sealed value is
`version (1) | key id (8) | nonce (12) | ciphertext and tag`; its associated data are the header and the place
it belongs to, so a value opens neither after a bit changed nor in another row, column or tenant.
Nonces are random, so a data key should be rotated long before it has sealed 2**32 values.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.errors import PrivacyError

KEY_BYTES = 32
KEY_ID_BYTES = 8
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + KEY_ID_BYTES
_BODY_AT = _HEADER_BYTES + _NONCE_BYTES
_WRAPPED_BYTES = _BODY_AT + KEY_BYTES + _TAG_BYTES


@dataclass(frozen=True)
class Place:
    """Where a sealed value belongs: one column of one row of one tenant."""

    tenant_id: str
    table: str
    column: str
    row_id: str


@dataclass(frozen=True)
class MasterKey:
    """The key that wraps data keys; `key_id` is a fingerprint that tells nothing about it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise PrivacyError(f"a master key has {KEY_BYTES} bytes, this one has {len(self.secret)}")

    @property
    def key_id(self) -> bytes:
        """First bytes of a keyed hash: names the key in what it wrapped."""
        return hmac.digest(self.secret, b"muyun master key id", hashlib.sha256)[:KEY_ID_BYTES]


@dataclass(frozen=True)
class DataKey:
    """The key that seals the fields of one tenant."""

    tenant_id: str
    key_id: bytes
    secret: bytes = field(repr=False)


def new_master_key() -> MasterKey:
    """A random master key."""
    return MasterKey(secrets.token_bytes(KEY_BYTES))


def new_data_key(tenant_id: str) -> DataKey:
    """A random data key of a tenant."""
    return DataKey(tenant_id, secrets.token_bytes(KEY_ID_BYTES), secrets.token_bytes(KEY_BYTES))


def wrap(master: MasterKey, key: DataKey) -> bytes:
    """A data key as it may be stored: 69 bytes, bound to its tenant and id."""
    header = _VERSION + master.key_id
    nonce = secrets.token_bytes(_NONCE_BYTES)
    aad = _key_aad(header, key.tenant_id, key.key_id)
    return header + nonce + AESGCM(master.secret).encrypt(nonce, key.secret, aad)


def wrapped_by(wrapped: bytes) -> bytes:
    """Id of the master key that wrapped a data key.

    Raises:
        PrivacyError: The bytes are no wrapped data key.
    """
    if len(wrapped) != _WRAPPED_BYTES or wrapped[:1] != _VERSION:
        raise PrivacyError("a stored data key is damaged: restore privacy.data_key from a backup")
    return wrapped[1:_HEADER_BYTES]


def unwrap(master: MasterKey, tenant_id: str, key_id: bytes, wrapped: bytes) -> DataKey:
    """The data key of a tenant.

    Raises:
        PrivacyError: It was changed, belongs to another tenant, or another master key wrapped it.
    """
    if wrapped_by(wrapped) != master.key_id:
        raise PrivacyError(
            f"data key {key_id.hex()} was wrapped by another master key: "
            "put that key after the current one in MUYUN_MASTER_KEY or keys/master.key"
        )
    header = wrapped[:_HEADER_BYTES]
    nonce, body = wrapped[_HEADER_BYTES:_BODY_AT], wrapped[_BODY_AT:]
    try:
        secret = AESGCM(master.secret).decrypt(nonce, body, _key_aad(header, tenant_id, key_id))
    except InvalidTag as error:
        raise PrivacyError(
            f"data key {key_id.hex()} was changed: restore privacy.data_key from a backup"
        ) from error
    return DataKey(tenant_id, key_id, secret)


def seal(key: DataKey, text: str, place: Place) -> bytes:
    """Encrypt one personal value for its place.

    Args:
        key: Current data key of the tenant of `place`.
        text: The value; never part of any error message.
        place: Where the result will be stored.

    Returns:
        37 bytes more than the text in UTF-8.

    Raises:
        PrivacyError: The key belongs to another tenant, or the text is no valid Unicode.
    """
    if key.tenant_id != place.tenant_id:
        raise PrivacyError(f"the data key of tenant {key.tenant_id!r} cannot seal for {place.tenant_id!r}")
    try:
        clear = text.encode()
    except UnicodeEncodeError:
        # Without its cause, which holds the value.
        raise PrivacyError(f"the value for {place.table}.{place.column} is no valid text") from None
    header = _VERSION + key.key_id
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return header + nonce + AESGCM(key.secret).encrypt(nonce, clear, _field_aad(header, place))


def sealed_by(sealed: bytes) -> bytes:
    """Id of the data key that sealed a value.

    Raises:
        PrivacyError: The bytes are no sealed value.
    """
    if len(sealed) < _BODY_AT + _TAG_BYTES or sealed[:1] != _VERSION:
        raise PrivacyError("a stored personal value is damaged: restore its row from a backup")
    return sealed[1:_HEADER_BYTES]


def open_sealed(key_of: Callable[[bytes], DataKey], sealed: bytes, place: Place) -> str:
    """Decrypt one personal value.

    Args:
        key_of: Data key by id; raises when there is none.
        sealed: What `seal` returned.
        place: Where it was stored.

    Raises:
        PrivacyError: A byte was changed, or the value comes from another place.
    """
    key = key_of(sealed_by(sealed))
    header = sealed[:_HEADER_BYTES]
    nonce, body = sealed[_HEADER_BYTES:_BODY_AT], sealed[_BODY_AT:]
    try:
        clear = AESGCM(key.secret).decrypt(nonce, body, _field_aad(header, place))
    except InvalidTag as error:
        raise PrivacyError(
            f"{place.table}.{place.column} of row {place.row_id!r} was changed or comes from another place: "
            "restore the row from a backup"
        ) from error
    return clear.decode()


def blind_index(key: DataKey, text: str, *, table: str, column: str) -> bytes:
    """A keyed hash by which equal values of a column can be found without being read.

    Args:
        key: The tenant's index key, which stays the same when data keys rotate.
        text: The value, already in the form in which it is compared.
        table: Table of the index; the same value has unrelated hashes in different columns.
        column: Column of the index.

    Returns:
        32 bytes.
    """
    return hmac.digest(key.secret, _join(key.tenant_id, table, column, text), hashlib.sha256)


def _field_aad(header: bytes, place: Place) -> bytes:
    return header + _join(place.tenant_id, place.table, place.column, place.row_id)


def _key_aad(header: bytes, tenant_id: str, key_id: bytes) -> bytes:
    return header + _join("muyun data key", tenant_id, key_id.hex())


def _join(*parts: str) -> bytes:
    """The parts with their lengths, so that no two lists of parts give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
