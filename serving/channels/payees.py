"""Where a channel pays parties to: their accounts there, sealed; an account is a personal value."""

from __future__ import annotations

from typing import Any

import psycopg

from serving.channels.protocol import Account
from serving.channels.simulated.adapter import ADAPTER as SIMULATED
from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import CHANNEL_PAYEE

Connection = psycopg.Connection[Any]


def put_payee(
    conn: Connection, vault: Vault, tenant_id: str, channel_id: str, party: tuple[str, str], account: str
) -> None:
    """Register a party's account at a channel; replaces an earlier one.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Seals the account.
        tenant_id: The tenant.
        channel_id: An account of ours.
        party: Type and id.
        account: What the channel calls the payee.
    """
    payee_id = _payee_id(channel_id, party)
    sealed = vault.seal_row(conn, tenant_id, CHANNEL_PAYEE.qualified, payee_id, {"account_enc": account})
    conn.execute(
        "insert into channels.payee (tenant_id, payee_id, channel_id, party_type, party_id, account_enc)"
        " values (%s, %s, %s, %s, %s, %s) on conflict (tenant_id, payee_id)"
        " do update set account_enc = excluded.account_enc",
        (tenant_id, payee_id, channel_id, *party, sealed["account_enc"]),
    )


def payee_of(
    conn: Connection, vault: Vault, tenant_id: str, account: Account, party: tuple[str, str]
) -> str | None:
    """A party's account at a channel; None when none is registered. The simulated channel pays by our ids."""
    payee_id = _payee_id(account.channel_id, party)
    row = conn.execute(
        "select account_enc from channels.payee where tenant_id = %s and payee_id = %s", (tenant_id, payee_id)
    ).fetchone()
    if row is None:
        return ":".join(party) if account.adapter == SIMULATED else None
    opened = vault.open_row(conn, tenant_id, CHANNEL_PAYEE.qualified, payee_id, {"account_enc": row[0]})
    return opened["account_enc"]


def _payee_id(channel_id: str, party: tuple[str, str]) -> str:
    return "\x1f".join((channel_id, *party))
