r"""Stock that a supplier's own system pushes, signed: no key of ours, the signature is the proof.

A message is signed over `source_id\ntimestamp\nnonce\nbody\n` by RSA with SHA-256 or Ed25519: it is believed
for five minutes, once. A brand may sign for several suppliers or platforms with one key: what it sent to one
of them says nothing at another.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from cryptography.hazmat.primitives import serialization
from psycopg.rows import class_row

from serving.channels.errors import Doubt, NoticeRefusedError
from serving.channels.signatures import check_time, is_signed, public_key, three_lines
from serving.db import locks
from serving.orders.errors import NotFoundError, PushKeyTakenError

Connection = psycopg.Connection[Any]

LONGEST_NONCE = 64
_KEPT = timedelta(days=1)
_COLUMNS = "source_id, supplier_id, public_key, is_active, created_at"


@dataclass(frozen=True, slots=True)
class PushSource:
    """A system that pushes the stock of one supplier; `public_key` in PEM."""

    source_id: str
    supplier_id: str
    public_key: str
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Signed:
    """What came beside the body: as the headers say, unchecked."""

    timestamp: str
    nonce: str
    signature: str


def add_source(conn: Connection, tenant_id: str, supplier_id: str, key: str, now: datetime) -> PushSource:
    """Register a system by the public key of what it signs with; a known key is the system it names.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose stock it may state.
        key: Public key or certificate, PEM.
        now: Business time.

    Raises:
        ChannelKeyError: It is none, or of a kind that nobody signs with.
    """
    canonical = _canonical(key)
    with conn.cursor(row_factory=class_row(PushSource)) as cursor:
        made = cursor.execute(
            "insert into orders.push_source (tenant_id, source_id, supplier_id, public_key, created_at)"
            " values (%s, %s, %s, %s, %s) on conflict (tenant_id, supplier_id, md5(public_key))"
            f" do update set is_active = true returning {_COLUMNS}",
            (tenant_id, f"ps-{secrets.token_hex(8)}", supplier_id, canonical, now),
        ).fetchone()
    assert made is not None, "an insert that updates always returns its row"
    return made


def sources_of(conn: Connection, tenant_id: str, supplier_id: str) -> list[PushSource]:
    """Systems of a supplier, the oldest first, ended ones too; at most 500."""
    with conn.cursor(row_factory=class_row(PushSource)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from orders.push_source where tenant_id = %s and supplier_id = %s"
            " order by created_at, source_id limit 500",
            (tenant_id, supplier_id),
        ).fetchall()


def change_source(
    conn: Connection, tenant_id: str, supplier_id: str, source_id: str, key: str, is_active: bool
) -> None:
    """Renew the key of a system, or end it: what it sends then is not believed.

    Raises:
        ChannelKeyError: The key is none, or of a kind that nobody signs with.
        NotFoundError: The supplier has no such system.
        PushKeyTakenError: Another system of the supplier has the key.
    """
    try:
        changed = conn.execute(
            "update orders.push_source set public_key = %s, is_active = %s"
            " where tenant_id = %s and supplier_id = %s and source_id = %s",
            (_canonical(key), is_active, tenant_id, supplier_id, source_id),
        )
    except psycopg.errors.UniqueViolation as error:
        raise PushKeyTakenError(
            "another system of the supplier signs by this key: a key names one; end that one, or renew it"
        ) from error
    if changed.rowcount == 0:
        raise NotFoundError("push-source", source_id)


def tenant_of_push(conn: Connection, source_id: str) -> str:
    """Whose system that is, for a message that comes without a key.

    Raises:
        NoticeRefusedError: There is no active one of that id.
    """
    row = conn.execute("select orders.tenant_of_push(%s)", (source_id,)).fetchone()
    if row is None or row[0] is None:
        raise NoticeRefusedError(Doubt.CHANNEL, "there is no active system of that id")
    return str(row[0])


def believed(
    conn: Connection, tenant_id: str, source_id: str, signed: Signed, body: bytes, wall: datetime
) -> str:
    """Check a message, and note that it came: a second one with its nonce is a recording.

    Args:
        conn: Inside the transaction that takes the stock in.
        tenant_id: The tenant.
        source_id: Who says it sent it.
        signed: The headers.
        body: As sent.
        wall: Wall clock.

    Returns:
        The supplier whose stock it may state.

    Raises:
        NoticeRefusedError: It does not prove that the system sent it now, for the first time.
    """
    locks.push_source_stays(conn, tenant_id, source_id)
    row = conn.execute(
        "select supplier_id, public_key from orders.push_source"
        " where tenant_id = %s and source_id = %s and is_active",
        (tenant_id, source_id),
    ).fetchone()
    if row is None:
        raise NoticeRefusedError(Doubt.CHANNEL, "there is no active system of that id")
    supplier_id, key = row
    check_time(signed.timestamp, wall)
    if not (0 < len(signed.nonce) <= LONGEST_NONCE and signed.nonce.isascii() and signed.nonce.isprintable()):
        raise NoticeRefusedError(
            Doubt.NONCE, f"a nonce has 1 to {LONGEST_NONCE} printable characters of ASCII"
        )
    message = source_id.encode() + b"\n" + three_lines(signed.timestamp, signed.nonce, body)
    if not is_signed(key, message, signed.signature):
        raise NoticeRefusedError(Doubt.SIGNATURE, "the signature is not of this message by the known key")
    conn.execute(
        "delete from orders.push_nonce where tenant_id = %s and source_id = %s and seen_at < %s",
        (tenant_id, source_id, wall - _KEPT),
    )
    made = conn.execute(
        "insert into orders.push_nonce (tenant_id, source_id, nonce, seen_at) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (tenant_id, source_id, signed.nonce, wall),
    )
    if made.rowcount == 0:
        raise NoticeRefusedError(Doubt.NONCE, "the message was received before")
    return str(supplier_id)


def _canonical(key: str) -> str:
    """The public key in one spelling: a certificate of it, or other white space, is the same key."""
    pem = public_key(key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()
