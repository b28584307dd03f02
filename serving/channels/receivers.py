"""Whom a channel sends parts of payments to: parties that were registered as receivers, sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import CHANNEL_RECEIVER

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver in clear.

    Attributes:
        party_type: `supplier`, `merchant` or `agent`.
        account: What the channel calls it: a merchant number at WeChat Pay, a user id at Alipay.
        name: Its registered name, which the channel compares.
        is_told: Whether the channel was told of it before.
    """

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
    """Register a party as a receiver of a channel; replaces an earlier one, and the channel is told again.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Seals account and name.
        tenant_id: The tenant.
        channel_id: An account of ours.
        party: Type and id.
        account: What the channel calls the receiver.
        name: Its registered name.
    """
    receiver_id = _receiver_id(channel_id, party)
    clear = {"account_enc": account, "name_enc": name}
    sealed = vault.seal_row(conn, tenant_id, CHANNEL_RECEIVER.qualified, receiver_id, clear)
    conn.execute(
        "insert into channels.receiver (tenant_id, receiver_id, channel_id, party_type, party_id,"
        " account_enc, name_enc) values (%s, %s, %s, %s, %s, %s, %s) on conflict (tenant_id, receiver_id)"
        " do update set account_enc = excluded.account_enc, name_enc = excluded.name_enc, is_told = false",
        (tenant_id, receiver_id, channel_id, *party, sealed["account_enc"], sealed["name_enc"]),
    )


def receiver_of(
    conn: Connection, vault: Vault, tenant_id: str, channel_id: str, party: tuple[str, str]
) -> Receiver | None:
    """A party as the receiver of a channel; None when it is not registered."""
    receiver_id = _receiver_id(channel_id, party)
    row = conn.execute(
        "select account_enc, name_enc, is_told from channels.receiver"
        " where tenant_id = %s and receiver_id = %s",
        (tenant_id, receiver_id),
    ).fetchone()
    if row is None:
        return None
    sealed = {"account_enc": row[0], "name_enc": row[1]}
    opened = vault.open_row(conn, tenant_id, CHANNEL_RECEIVER.qualified, receiver_id, sealed)
    return Receiver(party[0], opened["account_enc"], opened["name_enc"], row[2])


def note_told(conn: Connection, tenant_id: str, channel_id: str, party: tuple[str, str]) -> None:
    """Note that the channel knows a receiver."""
    conn.execute(
        "update channels.receiver set is_told = true where tenant_id = %s and receiver_id = %s",
        (tenant_id, _receiver_id(channel_id, party)),
    )


def _receiver_id(channel_id: str, party: tuple[str, str]) -> str:
    return "\x1f".join((channel_id, *party))
