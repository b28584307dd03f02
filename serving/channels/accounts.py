"""Accounts at payment channels in the database: registered by the operator, their secrets sealed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from serving.channels.errors import ChannelAccountError, ChannelKeyError, UnknownChannelError
from serving.channels.protocol import CALENDAR, Account
from serving.channels.registry import ADAPTERS, SECRETS, check_secrets
from serving.channels.signatures import private_key, public_key
from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import CHANNEL_SECRETS

Connection = psycopg.Connection[Any]

_COLUMNS = (
    "tenant_id, channel_id, adapter, merchant_number, app_id, api_url, notify_url, fee_bps, public_keys,"
    " secrets_enc, is_active, split_max_bps"
)


@dataclass(frozen=True)
class NewAccount:
    """What an operator registers; see `protocol.Account`."""

    adapter: str
    merchant_number: str
    app_id: str
    api_url: str
    notify_url: str
    fee_bps: int
    public_keys: Mapping[str, str]
    secrets: Mapping[str, str]
    split_max_bps: int = 0


def add_account(conn: Connection, vault: Vault, tenant_id: str, wanted: NewAccount) -> str:
    """Register an account.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Seals the secrets.
        tenant_id: The tenant.
        wanted: The account.

    Returns:
        Its channel id: it stands in the address to which the channel sends its notices.

    Raises:
        ChannelAccountError: Adapter, addresses or names of secrets do not fit, or the account is known.
        ChannelKeyError: A key cannot be used.
    """
    _check_account(wanted)
    check_public_keys(wanted.public_keys)
    channel_id = f"ch-{secrets.token_hex(8)}"
    made = conn.execute(
        "insert into channels.account (tenant_id, channel_id, adapter, merchant_number, app_id, api_url,"
        " notify_url, fee_bps, public_keys, secrets_enc, split_max_bps) values (%(tenant)s, %(channel)s,"
        " %(adapter)s, %(merchant)s, %(app)s, %(url)s, %(notify)s, %(fee)s, %(keys)s, %(secrets_enc)s,"
        " %(split)s)"
        " on conflict (tenant_id, adapter, merchant_number) do nothing",
        {
            "tenant": tenant_id,
            "channel": channel_id,
            "adapter": wanted.adapter,
            "merchant": wanted.merchant_number,
            "app": wanted.app_id,
            "url": wanted.api_url,
            "notify": wanted.notify_url,
            "fee": wanted.fee_bps,
            "keys": Jsonb(dict(wanted.public_keys)),
            "split": wanted.split_max_bps,
            **_sealed(conn, vault, tenant_id, channel_id, wanted.secrets),
        },
    )
    if made.rowcount == 0:
        raise ChannelAccountError(
            f"the {wanted.adapter} account {wanted.merchant_number!r} is registered: change that one"
        )
    return channel_id


def change_account(
    conn: Connection,
    tenant_id: str,
    channel_id: str,
    *,
    public_keys: Mapping[str, str],
    fee_bps: int,
    is_active: bool,
    split_max_bps: int | None = None,
) -> None:
    """Change the channel's keys (certificates are renewed), the contract's rates, or end the account.

    What may be split of payments that came before stays as it was; None leaves it as it is.

    Raises:
        UnknownChannelError: There is no such account.
        ChannelKeyError: A key cannot be used.
    """
    check_public_keys(public_keys)
    changed = conn.execute(
        "update channels.account set public_keys = %s, fee_bps = %s, is_active = %s,"
        " split_max_bps = coalesce(%s, split_max_bps),"
        # Bills of an account that was ended begin anew.
        " bills_from = case when %s then bills_from end where tenant_id = %s and channel_id = %s",
        (Jsonb(dict(public_keys)), fee_bps, is_active, split_max_bps, is_active, tenant_id, channel_id),
    )
    if changed.rowcount == 0:
        raise UnknownChannelError(f"there is no channel account {channel_id!r}")


def tenant_of(conn: Connection, channel_id: str) -> str | None:
    """Whose account that is, for a notice that comes without a key; None for nobody's."""
    row = conn.execute("select channels.tenant_of(%s)", (channel_id,)).fetchone()
    return None if row is None else row[0]


def find_account(
    conn: Connection, vault: Vault, tenant_id: str, channel_id: str, *, with_ended: bool = False
) -> Account:
    """An account with its secrets.

    Raises:
        UnknownChannelError: There is none, or it was ended.
    """
    row = conn.execute(
        f"select {_COLUMNS} from channels.account where tenant_id = %s and channel_id = %s".encode(),
        (tenant_id, channel_id),
    ).fetchone()
    if row is None or not (row[10] or with_ended):
        raise UnknownChannelError(f"there is no active channel account {channel_id!r}")
    opened = vault.open_row(conn, tenant_id, CHANNEL_SECRETS.qualified, channel_id, {"secrets_enc": row[9]})
    return _account(row, msgspec.json.decode(opened["secrets_enc"], type=dict[str, str]))


def accounts_of(conn: Connection, tenant_id: str) -> list[Account]:
    """Every account of a tenant, without its secrets, the oldest first."""
    rows = conn.execute(
        f"select {_COLUMNS} from channels.account where tenant_id = %s"
        " order by created_at, channel_id limit 500".encode(),
        (tenant_id,),
    ).fetchall()
    return [_account(row, {}) for row in rows]


def bills_begin(conn: Connection, tenant_id: str, channel_id: str, earliest: date, last: date) -> date:
    """The first day whose bill is wanted of an account, settled by the first call.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        channel_id: The account.
        earliest: An account that told something before begins there, but no earlier than this day.
        last: The last day whose bill is complete: where any other account begins.

    Raises:
        UnknownChannelError: There is no such account.
    """
    row = conn.execute(
        "update channels.account a set bills_from = coalesce(a.bills_from, least(%(last)s::date,"
        " (select greatest(%(earliest)s::date, (min(f.occurred_at) at time zone %(zone)s)::date)"
        "  from channels.fact f where f.tenant_id = a.tenant_id and f.channel_id = a.channel_id"
        "  having count(*) > 0)))"
        " where a.tenant_id = %(tenant)s and a.channel_id = %(channel)s returning a.bills_from",
        {
            "tenant": tenant_id,
            "channel": channel_id,
            "earliest": earliest,
            "last": last,
            "zone": CALENDAR.key,
        },
    ).fetchone()
    if row is None:
        raise UnknownChannelError(f"there is no channel account {channel_id!r}")
    found: date = row[0]
    return found


def is_account_of(conn: Connection, tenant_id: str, channel_id: str, adapter: str) -> bool:
    """Whether the tenant has that account at that channel, ended or not."""
    row = conn.execute(
        "select from channels.account where tenant_id = %s and channel_id = %s and adapter = %s",
        (tenant_id, channel_id, adapter),
    ).fetchone()
    return row is not None


def dearest_fee_bps(conn: Connection, tenant_id: str) -> int:
    """The largest share of a payment that an active account's contract keeps, bps; 0 without accounts."""
    row = conn.execute(
        "select coalesce(max(fee_bps), 0) from channels.account where tenant_id = %s and is_active",
        (tenant_id,),
    ).fetchone()
    return int(row[0]) if row else 0


def check_public_keys(keys: Mapping[str, str]) -> None:
    """Refuse keys that prove nothing.

    Raises:
        ChannelKeyError: There is none, or one cannot be used.
    """
    if not keys:
        raise ChannelKeyError("without a public key of the channel no notice could be believed: give one")
    for serial, text in keys.items():
        if not serial or len(serial) > 128:
            raise ChannelKeyError("a serial has 1 to 128 characters")
        public_key(text)


def _account(row: tuple[Any, ...], opened: Mapping[str, str]) -> Account:
    tenant, channel, adapter, merchant, app, api_url, notify_url, fee_bps, keys, _, is_active, split = row
    return Account(
        tenant, channel, adapter, merchant, app, api_url, notify_url, fee_bps, keys, opened, is_active, split
    )


def _check_account(wanted: NewAccount) -> None:
    if wanted.adapter not in ADAPTERS:
        raise ChannelAccountError(f"there is no adapter {wanted.adapter!r}: {', '.join(sorted(ADAPTERS))}")
    for name, url in (("api_url", wanted.api_url), ("notify_url", wanted.notify_url)):
        if name == "notify_url" and not url:
            continue
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or not url.isascii() or any(character <= " " for character in url):
            raise ChannelAccountError(f"{name} is no http or https address")
    needed = SECRETS[wanted.adapter]
    if set(wanted.secrets) != set(needed):
        raise ChannelAccountError(f"an account of {wanted.adapter} has the secrets {', '.join(needed)}")
    private_key(wanted.secrets["private_key"])
    check_secrets(wanted.adapter, wanted.secrets)


def _sealed(
    conn: Connection, vault: Vault, tenant_id: str, channel_id: str, values: Mapping[str, str]
) -> dict[str, bytes]:
    text = msgspec.json.encode(dict(values)).decode()
    return vault.seal_row(conn, tenant_id, CHANNEL_SECRETS.qualified, channel_id, {"secrets_enc": text})
