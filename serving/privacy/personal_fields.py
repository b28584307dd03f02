"""Which columns hold personal values, writing and reading them, and sealing them again after a rotation.

Clear values exist in the process only: no statement carries one, so that neither tables, write-ahead log,
server log nor dumps can hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import sql

from serving.db import locks
from serving.privacy.data_keys import Connection, Vault
from serving.privacy.envelope import KEY_ID_BYTES


@dataclass(frozen=True)
class PersonalTable:
    """A table with sealed columns.

    Attributes:
        schema: Schema of the table.
        name: Name of the table.
        key: Column that, with `tenant_id`, is the primary key.
        columns: Sealed columns (BYTEA).
    """

    schema: str
    name: str
    key: str
    columns: tuple[str, ...]

    @property
    def qualified(self) -> str:
        """Name that sealed values are bound to."""
        return f"{self.schema}.{self.name}"


RECIPIENT = PersonalTable("orders", "recipient", "order_id", ("name_enc", "phone_enc", "address_enc"))
RETURN_ADDRESS = PersonalTable("orders", "return_address", "case_id", RECIPIENT.columns)
WEBHOOK_SECRET = PersonalTable("orders", "webhook_endpoint", "endpoint_id", ("secret_enc",))
CHANNEL_SECRETS = PersonalTable("channels", "account", "channel_id", ("secrets_enc",))
CHANNEL_PAYEE = PersonalTable("channels", "payee", "payee_id", ("account_enc",))
CHANNEL_RECEIVER = PersonalTable("channels", "receiver", "receiver_id", ("account_enc", "name_enc"))
PERSONAL_TABLES = (
    RECIPIENT,
    RETURN_ADDRESS,
    WEBHOOK_SECRET,
    CHANNEL_SECRETS,
    CHANNEL_PAYEE,
    CHANNEL_RECEIVER,
)
"""Every table with sealed columns; secrets of endpoints and of channel accounts are kept the same way."""


@dataclass(frozen=True)
class Recipient:
    """Who receives an order, in clear; `repr` shows no personal value."""

    name: str = field(repr=False)
    phone: str = field(repr=False)
    address: str = field(repr=False)
    region_code: str | None = None


def put_recipient(
    conn: Connection, vault: Vault, tenant_id: str, order_id: str, recipient: Recipient
) -> None:
    """Store who receives an order; replaces an earlier recipient.

    Args:
        conn: Connection inside a transaction of the tenant.
        vault: Seals the values.
        tenant_id: Whose order.
        order_id: An existing order.
        recipient: Clear values.

    Raises:
        PrivacyError: No usable master key, or a value is no valid text.
    """
    sealed = vault.seal_row(
        conn,
        tenant_id,
        RECIPIENT.qualified,
        order_id,
        {"name_enc": recipient.name, "phone_enc": recipient.phone, "address_enc": recipient.address},
    )
    conn.execute(
        "insert into orders.recipient (tenant_id, order_id, name_enc, phone_enc, address_enc, region_code)"
        " values (%(tenant)s, %(order)s, %(name_enc)s, %(phone_enc)s, %(address_enc)s, %(region)s)"
        " on conflict (tenant_id, order_id) do update set name_enc = excluded.name_enc,"
        " phone_enc = excluded.phone_enc, address_enc = excluded.address_enc,"
        " region_code = excluded.region_code",
        {"tenant": tenant_id, "order": order_id, "region": recipient.region_code, **sealed},
    )


def get_recipient(conn: Connection, vault: Vault, tenant_id: str, order_id: str) -> Recipient | None:
    """Who receives an order, in clear; who may see it so: `masking`. Every call by a key is to be audited.

    Returns:
        None when the order has no recipient.

    Raises:
        PrivacyError: A value was changed or moved, or its key is missing.
    """
    row = conn.execute(
        "select name_enc, phone_enc, address_enc, region_code from orders.recipient"
        " where tenant_id = %(tenant)s and order_id = %(order)s",
        {"tenant": tenant_id, "order": order_id},
    ).fetchone()
    if row is None:
        return None
    clear = vault.open_row(
        conn, tenant_id, RECIPIENT.qualified, order_id, dict(zip(RECIPIENT.columns, row[:3], strict=True))
    )
    return Recipient(clear["name_enc"], clear["phone_enc"], clear["address_enc"], row[3])


def reencrypt(
    conn: Connection, vault: Vault, tenant_id: str, table: PersonalTable, *, batch: int = 500
) -> int:
    """Seal rows again that another than the tenant's current key sealed; call it until it returns 0.

    Rows that other transactions hold are left for a later call.

    Args:
        conn: Connection inside a transaction of the tenant; committing after each call keeps it short.
        vault: Opens and seals.
        tenant_id: Whose rows.
        table: One of `PERSONAL_TABLES`.
        batch: Most rows of this call.

    Returns:
        Rows sealed again.

    Raises:
        PrivacyError: A value was changed or moved, or its key is missing; the message names the row.
    """
    current = vault.current_key_id(conn, tenant_id)
    columns = [sql.Identifier(column) for column in table.columns]
    name = sql.Identifier(table.schema, table.name)
    # Bytes 2 to 9 of a sealed value are the id of its key.
    sealed_by = [
        sql.SQL("substring({} from 2 for {})").format(column, sql.Literal(KEY_ID_BYTES)) for column in columns
    ]
    stale = conn.execute(
        sql.SQL(
            "select {key}, {columns} from {name} where tenant_id = %(tenant)s and ({other})"
            " order by {key} limit %(batch)s" + locks.CLAIMED
        ).format(
            key=sql.Identifier(table.key),
            columns=sql.SQL(", ").join(columns),
            name=name,
            other=sql.SQL(" or ").join(sql.SQL("{} <> %(current)s").format(part) for part in sealed_by),
        ),
        {"tenant": tenant_id, "current": current, "batch": batch},
    ).fetchall()
    update = sql.SQL("update {name} set {sets} where tenant_id = %(tenant)s and {key} = %(row)s").format(
        name=name,
        key=sql.Identifier(table.key),
        sets=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column))
            for column in table.columns
        ),
    )
    for row_id, *values in stale:
        sealed: Mapping[str, bytes] = dict(zip(table.columns, values, strict=True))
        clear = vault.open_row(conn, tenant_id, table.qualified, row_id, sealed)
        fresh = vault.seal_row(conn, tenant_id, table.qualified, row_id, clear)
        conn.execute(update, {"tenant": tenant_id, "row": row_id, **fresh})
    return len(stale)
