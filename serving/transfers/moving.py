"""A transfer from plan to shelf: units are kept, leave a warehouse, lie in the other; each step once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.orders.assortment import shelves, stock
from serving.orders.errors import InvalidRequestError
from serving.orders.webhooks import webhooks
from serving.transfers.errors import TransferMovedError
from serving.transfers.records import Cause, find_transfer, move_transfer
from serving.transfers.states import MACHINE

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """Units of a sku of a supplier that shall go from one warehouse to another by a local day."""

    supplier_id: str
    sku_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    qty: int
    expected_on: date


def plan(conn: Connection, tenant_id: str, new: NewTransfer, cause: Cause, source: str, now: datetime) -> str:
    """Keep free units for a transfer, and tell their supplier; the id of the transfer.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        new: What shall go where.
        cause: Why.
        source: The approval, key or alarm.
        now: Business time.

    Raises:
        InvalidRequestError: A warehouse is none in which units of the supplier can lie, or both are the same,
            or the day is past.
        TransferMovedError: So many units are not free there.
    """
    if new.from_warehouse_id == new.to_warehouse_id:
        raise InvalidRequestError("to_warehouse_id", "the units lie there already")
    today = local_day(now, zone_of(conn, tenant_id))
    if new.expected_on < today:
        raise InvalidRequestError("expected_on", f"{new.expected_on} is past: today is {today}")
    for name in ("from_warehouse_id", "to_warehouse_id"):
        stock.require_house(conn, tenant_id, new.supplier_id, [getattr(new, name)], name)
    locks.stock(conn, tenant_id, [(new.supplier_id, new.sku_id)])
    held = shelves.free_of(conn, tenant_id, [new.sku_id]).get((new.supplier_id, new.sku_id))
    if held is None:
        raise TransferMovedError(
            f"supplier {new.supplier_id!r} does not count sku {new.sku_id!r} by warehouse:"
            " what lies where is not known"
        )
    free = held.get(new.from_warehouse_id, 0)
    if free < new.qty:
        raise TransferMovedError(
            f"{free} units of sku {new.sku_id!r} are free in {new.from_warehouse_id!r} by now, not {new.qty}"
        )
    return write(conn, tenant_id, new, cause, source, now)


def write(
    conn: Connection, tenant_id: str, new: NewTransfer, cause: Cause, source: str, now: datetime
) -> str:
    """Write a planned transfer and tell its supplier; the stock is locked and the units are there."""
    transfer_id = f"tr-{now:%Y%m%d}-{secrets.token_hex(6)}"
    conn.execute(
        "insert into transfers.transfer (tenant_id, transfer_id, supplier_id, sku_id, from_warehouse_id,"
        " to_warehouse_id, status, cause, planned_qty, planned_at, expected_on, source)"
        " values (%s, %s, %s, %s, %s, %s, 'planned', %s, %s, %s, %s, %s)",
        (
            tenant_id,
            transfer_id,
            new.supplier_id,
            new.sku_id,
            new.from_warehouse_id,
            new.to_warehouse_id,
            cause,
            new.qty,
            now,
            new.expected_on,
            source,
        ),
    )
    webhooks.tell_supplier_of_transfer(conn, tenant_id, transfer_id, new.supplier_id, "planned")
    return transfer_id


def ship(
    conn: Connection, tenant_id: str, supplier_id: str, transfer_id: str, qty: int | None, now: datetime
) -> int:
    """Units left their warehouse: until they arrive they lie in none, and nobody can order them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose transfer.
        transfer_id: The transfer.
        qty: Units that left, fewer than planned or as many; None: as planned. The rest is free again.
        now: Business time.

    Returns:
        Units that left.

    Raises:
        NotFoundError: The supplier has no such transfer.
        ImpossibleMoveError: It left before, or was cancelled.
        InvalidRequestError: None, or more than planned.
        TransferMovedError: Units that lines reserve would leave.
    """
    transfer = find_transfer(conn, tenant_id, transfer_id, supplier_id=supplier_id, lock=True)
    MACHINE.move(transfer_id, transfer.status, "ship")
    units = transfer.planned_qty if qty is None else qty
    if not 0 < units <= transfer.planned_qty:
        raise InvalidRequestError(
            "qty", f"{units} units are none, or more than the {transfer.planned_qty} planned"
        )
    key = transfer.supplier_id, transfer.sku_id
    locks.stock(conn, tenant_id, [key])
    # From here on it keeps nothing: what is free includes its own units.
    move_transfer(conn, tenant_id, transfer, "ship", shipped_qty=units, shipped_at=now)
    held = shelves.free_of(conn, tenant_id, [transfer.sku_id]).get(key)
    free = stock.unreserved(conn, tenant_id, key)
    if held is not None:
        there = held.get(transfer.from_warehouse_id, 0)
        # Lines that an alarm moved follow their units: those are reserved, and leave all the same.
        free = there if transfer.cause == "alarm" else min(there, free)
    if free < units:
        raise TransferMovedError(
            f"{free} units of sku {transfer.sku_id!r} are free in {transfer.from_warehouse_id!r} by now,"
            f" not {units}: ship fewer, or cancel the transfer"
        )
    stock.move_out(conn, tenant_id, transfer_id, key, units, transfer.from_warehouse_id, now)
    return units


def receive(
    conn: Connection, tenant_id: str, supplier_id: str, transfer_id: str, qty: int | None, now: datetime
) -> int:
    """Units arrived: they lie in the other warehouse from this moment on; what is missing is lost.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose transfer.
        transfer_id: The transfer.
        qty: Units as counted; None: all that left.
        now: Business time.

    Returns:
        Units that arrived.

    Raises:
        NotFoundError: The supplier has no such transfer.
        ImpossibleMoveError: It did not leave, or arrived before.
        InvalidRequestError: More than left.
    """
    transfer = find_transfer(conn, tenant_id, transfer_id, supplier_id=supplier_id, lock=True)
    MACHINE.move(transfer_id, transfer.status, "receive")
    units = transfer.shipped_qty if qty is None else qty
    if units > transfer.shipped_qty:
        raise InvalidRequestError("qty", f"{units} are more than the {transfer.shipped_qty} that left")
    move_transfer(conn, tenant_id, transfer, "receive", received_qty=units, closed_at=now)
    key = transfer.supplier_id, transfer.sku_id
    locks.stock(conn, tenant_id, [key])
    if units:
        stock.move_in(conn, tenant_id, transfer_id, key, units, transfer.to_warehouse_id, now)
    return units


def cancel(conn: Connection, tenant_id: str, transfer_id: str, reason_code: str, now: datetime) -> None:
    """Keep no more units for a transfer that has not left.

    Raises:
        NotFoundError: There is no such transfer.
        ImpossibleMoveError: It left, or was cancelled before.
    """
    transfer = find_transfer(conn, tenant_id, transfer_id, lock=True)
    move_transfer(conn, tenant_id, transfer, "cancel", closed_at=now, reason_code=reason_code)
    webhooks.tell_supplier_of_transfer(conn, tenant_id, transfer_id, transfer.supplier_id, "cancelled")
