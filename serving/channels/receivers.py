"""Whom a channel sends parts of payments to: parties that were registered as receivers, sealed.

A receiver never changes: another account or name is another receiver. A request keeps the one that it was
made for, so that it is repeated as it was, and a part comes back from whom it went to.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import psycopg

from serving.db import locks
from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import CHANNEL_RECEIVER

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver in clear.

    Attributes:
        receiver_id: Its id here.
        party_type: `supplier`, `merchant` or `agent`.
        account: What the channel calls it: a merchant number at WeChat Pay, a user id at Alipay.
        name: Its registered name, which the channel compares.
        is_told: Whether the channel was told of it before.
    """

    receiver_id: str
    party_type: str
    account: str = field(repr=False)
    name: str = field(repr=False)
    is_told: bool


def put_receiver(
    conn: Connection,
    vault: Vault,
    tenant_id: str,
    channel_id: str,
    party: tuple[str, str],
    account: str,
    name: str,
) -> None:
    """Register a party as the receiver of a channel for what is paid from now on.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Seals account and name.
        tenant_id: The tenant.
        channel_id: An account of ours.
        party: Type and id.
        account: What the channel calls the receiver.
        name: Its registered name.
    """
    locks.receivers(conn, tenant_id, channel_id)
    conn.execute(
        "update channels.receiver set is_current = false where tenant_id = %s and channel_id = %s"
        " and (party_type, party_id) = (%s, %s) and is_current",
        (tenant_id, channel_id, *party),
    )
    receiver_id = f"rc-{secrets.token_hex(8)}"
    clear = {"account_enc": account, "name_enc": name}
    sealed = vault.seal_row(conn, tenant_id, CHANNEL_RECEIVER.qualified, receiver_id, clear)
    conn.execute(
        "insert into channels.receiver (tenant_id, receiver_id, channel_id, party_type, party_id,"
        " account_enc, name_enc) values (%s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, receiver_id, channel_id, *party, sealed["account_enc"], sealed["name_enc"]),
    )


def find_receiver(conn: Connection, vault: Vault, tenant_id: str, receiver_id: str) -> Receiver:
    """A receiver by its id; a request names one that there is."""
    row = conn.execute(
        "select account_enc, name_enc, party_type, is_told from channels.receiver"
        " where tenant_id = %s and receiver_id = %s",
        (tenant_id, receiver_id),
    ).fetchone()
    assert row is not None
    sealed = {"account_enc": row[0], "name_enc": row[1]}
    opened = vault.open_row(conn, tenant_id, CHANNEL_RECEIVER.qualified, receiver_id, sealed)
    return Receiver(receiver_id, row[2], opened["account_enc"], opened["name_enc"], row[3])


def note_told(conn: Connection, tenant_id: str, receiver_id: str) -> None:
    """Note that the channel knows a receiver."""
    conn.execute(
        "update channels.receiver set is_told = true"
        " where tenant_id = %s and receiver_id = %s and not is_told",
        (tenant_id, receiver_id),
    )
