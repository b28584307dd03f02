"""Storing observations once each, one statement a batch. Which are good is decided in `reading`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from serving.watch.intake.contracts import Observation

Connection = psycopg.Connection[Any]

_COLUMNS = {
    "observation_id": "text",
    "kind": "text",
    "supplier_id": "text",
    "warehouse_id": "text",
    "sku_id": "text",
    "shipment_id": "text",
    "batch_id": "text",
    "device_id": "text",
    "place": "text",
    "status": "text",
    "qty": "bigint",
    "reading": "double precision",
    "reading_unit": "text",
    "occurred_at": "timestamptz",
}
_NAMES = ", ".join(_COLUMNS)
_ROWS = ", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())
_INSERT = (
    f"insert into watch.observation (tenant_id, {_NAMES}, received_at)"
    f" select %(tenant)s, {_NAMES}, %(received_at)s from unnest({_ROWS}) as sent ({_NAMES})"
    " on conflict (tenant_id, observation_id) do nothing returning observation_id"
)
_COMPARE = (
    f"select sent.observation_id from unnest({_ROWS}) as sent ({_NAMES})"
    " join watch.observation as known on known.tenant_id = %(tenant)s"
    " and known.observation_id = sent.observation_id where sent.observation_id = any(%(known)s) and ("
    + ", ".join(f"known.{name}" for name in _COLUMNS)
    + ") is distinct from ("
    + ", ".join(f"sent.{name}" for name in _COLUMNS)
    + ")"
)


def store_observations(
    conn: Connection, tenant_id: str, rows: Sequence[Observation], received_at: datetime
) -> tuple[set[str], set[str]]:
    """Store what is not stored yet.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        rows: With ids that differ.
        received_at: Business time of the receipt.

    Returns:
        Ids stored now, and ids that stand for an observation with another content.
    """
    if not rows:
        return set(), set()
    # In the order of their ids: two batches with the same rows then wait for each other, never in a circle.
    ordered = sorted(rows, key=lambda row: row.observation_id)
    values: dict[str, object] = {name: [getattr(row, name) for row in ordered] for name in _COLUMNS}
    values |= {"tenant": tenant_id, "received_at": received_at}
    stored = {row[0] for row in conn.execute(_INSERT, values)}
    known = [row.observation_id for row in ordered if row.observation_id not in stored]
    if not known:
        return stored, set()
    return stored, {row[0] for row in conn.execute(_COMPARE, {**values, "known": known})}
