"""The data keys of the tenants in `privacy.data_key`: making, finding, rotating, wrapping again.

Clear keys live in this process only. What is sealed with them and where it belongs: `personal_fields`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import psycopg

from serving.db import locks
from serving.errors import PrivacyError
from serving.privacy.envelope import (
    DataKey,
    Place,
    blind_index,
    new_data_key,
    new_master_key,
    open_sealed,
    seal,
    unwrap,
    wrap,
    wrapped_by,
)
from serving.privacy.master_key import Keyring, load_keyring, write_keyring
from serving.settings import Settings

Connection = psycopg.Connection[Any]
Purpose = Literal["field", "index"]


class Vault:
    """Seals and opens personal values of any tenant; keeps unwrapped keys. May be shared by threads.

    Every connection handed in is inside a transaction whose tenant is set.
    """

    def __init__(self, keyring: Callable[[], Keyring]) -> None:
        """Describe the vault; nothing is read before the first use.

        Args:
            keyring: Reads the master keys; asked again when one is missing, since they may have rotated.
        """
        self._read_keyring = keyring
        self._keyring: Keyring | None = None
        self._keys: dict[tuple[str, bytes], DataKey] = {}

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        """The vault with the master keys of this installation."""
        return cls(lambda: load_keyring(settings))

    def seal_row(
        self, conn: Connection, tenant_id: str, table: str, row_id: str, values: Mapping[str, str]
    ) -> dict[str, bytes]:
        """Encrypt the personal columns of one row with the tenant's current key.

        Args:
            conn: Connection inside a transaction of the tenant.
            tenant_id: Whose row.
            table: Qualified name, as in `PERSONAL_TABLES`.
            row_id: Key of the row within tenant and table.
            values: Clear value by column.

        Returns:
            Sealed value by column.

        Raises:
            PrivacyError: No usable master key, or a value is no valid text.
        """
        key = self._current(conn, tenant_id, "field")
        return {
            column: seal(key, text, Place(tenant_id, table, column, row_id))
            for column, text in values.items()
        }

    def open_row(
        self, conn: Connection, tenant_id: str, table: str, row_id: str, sealed: Mapping[str, bytes]
    ) -> dict[str, str]:
        """Decrypt the personal columns of one row, whichever of the tenant's keys sealed them.

        Raises:
            PrivacyError: A value was changed or moved, or its key is missing.
        """
        return {
            column: open_sealed(
                lambda key_id: self._key(conn, tenant_id, key_id),
                value,
                Place(tenant_id, table, column, row_id),
            )
            for column, value in sealed.items()
        }

    def blind_index(self, conn: Connection, tenant_id: str, text: str, *, table: str, column: str) -> bytes:
        """A hash by which equal values of an encrypted column are found; survives every rotation of keys."""
        return blind_index(self._current(conn, tenant_id, "index"), text, table=table, column=column)

    def current_key_id(self, conn: Connection, tenant_id: str) -> bytes:
        """Id of the data key that seals the tenant's values now; makes the first one."""
        return self._current(conn, tenant_id, "field").key_id

    def add_key(self, conn: Connection, tenant_id: str, purpose: Purpose) -> bool:
        """Store a new current key unless there is one.

        Returns:
            False when another transaction was faster.
        """
        # Before the master key is read: `rotate_master` waits for this lock, so a key that it ends cannot
        # wrap anything afterwards.
        locks.data_keys(conn, alone=False)
        self._keyring = self._read_keyring()
        key = new_data_key(tenant_id)
        added = conn.execute(
            "insert into privacy.data_key (tenant_id, key_id, purpose, wrapped)"
            " values (%(tenant)s, %(key)s, %(purpose)s, %(wrapped)s)"
            " on conflict (tenant_id, purpose) where retired_at is null do nothing",
            {
                "tenant": tenant_id,
                "key": key.key_id.hex(),
                "purpose": purpose,
                "wrapped": wrap(self._keyring.current, key),
            },
        )
        return added.rowcount == 1

    def _current(self, conn: Connection, tenant_id: str, purpose: Purpose) -> DataKey:
        query = (
            "select key_id, wrapped from privacy.data_key"
            " where tenant_id = %(tenant)s and purpose = %(purpose)s and retired_at is null"
        )
        values = {"tenant": tenant_id, "purpose": purpose}
        row = conn.execute(query, values).fetchone()
        if row is None:
            self.add_key(conn, tenant_id, purpose)
            row = conn.execute(query, values).fetchone()
        if row is None:
            raise PrivacyError(
                f"the data keys of tenant {tenant_id!r} cannot be read: is it the tenant of the transaction?"
            )
        return self._unwrapped(tenant_id, bytes.fromhex(row[0]), row[1])

    def _key(self, conn: Connection, tenant_id: str, key_id: bytes) -> DataKey:
        if (known := self._keys.get((tenant_id, key_id))) is not None:
            return known
        row = conn.execute(
            "select wrapped from privacy.data_key where tenant_id = %(tenant)s and key_id = %(key)s",
            {"tenant": tenant_id, "key": key_id.hex()},
        ).fetchone()
        if row is None:
            raise PrivacyError(
                f"tenant {tenant_id!r} has no data key {key_id.hex()}: restore privacy.data_key from a backup"
            )
        return self._unwrapped(tenant_id, key_id, row[0])

    def _unwrapped(self, tenant_id: str, key_id: bytes, wrapped: bytes) -> DataKey:
        if (known := self._keys.get((tenant_id, key_id))) is not None:
            return known
        master_id = wrapped_by(wrapped)
        if self._keyring is None or all(key.key_id != master_id for key in self._keyring.keys):
            self._keyring = self._read_keyring()
        key = unwrap(self._keyring.find(master_id), tenant_id, key_id, wrapped)
        self._keys[tenant_id, key_id] = key
        return key


def rotate_data_key(conn: Connection, vault: Vault, tenant_id: str) -> bytes:
    """Begin a new data key for a tenant; the old ones still open what they sealed.

    Args:
        conn: Connection inside a transaction of the tenant.
        vault: Where master keys come from.
        tenant_id: Whose key.

    Returns:
        Id of the new key.

    Raises:
        PrivacyError: Another rotation of this tenant runs.
    """
    conn.execute(
        "update privacy.data_key set retired_at = clock_timestamp()"
        " where tenant_id = %(tenant)s and purpose = 'field' and retired_at is null",
        {"tenant": tenant_id},
    )
    if not vault.add_key(conn, tenant_id, "field"):
        raise PrivacyError(f"another rotation of the data key of tenant {tenant_id!r} runs: try again")
    return vault.current_key_id(conn, tenant_id)


def rewrap(conn: Connection, keyring: Keyring) -> int:
    """Wrap every data key of every tenant with the current master key.

    Args:
        conn: Connection of the owner of the tables inside a transaction, since it sees all tenants.
        keyring: Master keys; the current one and those that wrapped until now.

    Returns:
        Data keys that another master key had wrapped.

    Raises:
        PrivacyError: A data key is damaged or its master key is missing; the transaction must be rolled back.
    """
    locks.data_keys(conn, alone=True)
    rows = conn.execute("select tenant_id, key_id, wrapped from privacy.data_key").fetchall()
    changed = 0
    for tenant_id, key_id, wrapped in rows:
        master_id = wrapped_by(wrapped)
        if master_id == keyring.current.key_id:
            continue
        key = unwrap(keyring.find(master_id), tenant_id, bytes.fromhex(key_id), wrapped)
        conn.execute(
            "update privacy.data_key set wrapped = %(wrapped)s"
            " where tenant_id = %(tenant)s and key_id = %(key)s",
            {"wrapped": wrap(keyring.current, key), "tenant": tenant_id, "key": key_id},
        )
        changed += 1
    return changed


def rotate_master(conn: Connection, settings: Settings) -> int:
    """Replace the master key; safe against a crash at any moment.

    With the key in a file: a new one is put in front, all data keys are wrapped again, then the old one is
    dropped. With `MUYUN_MASTER_KEY` the operator puts the new one in front, and this wraps again.

    Args:
        conn: Connection of the owner of the tables, outside of a transaction.
        settings: Where the master key is.

    Returns:
        Data keys that were wrapped again.

    Raises:
        PrivacyError: See `rewrap`; nothing was changed but that the file may hold a further key.
    """
    keyring = load_keyring(settings)
    if settings.master_key is None:
        keyring = Keyring((new_master_key(), *keyring.keys))
        write_keyring(settings.home, keyring)
    with conn.transaction():
        changed = rewrap(conn, keyring)
    if settings.master_key is None:
        write_keyring(settings.home, Keyring((keyring.current,)))
    return changed
