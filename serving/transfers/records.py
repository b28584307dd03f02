"""Transfers in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from serving.db import locks
from serving.orders.errors import NotFoundError
from serving.transfers.states import MACHINE

Connection = psycopg.Connection[Any]
Cause = Literal["approved", "stated", "alarm"]

_COLUMNS = (
    "transfer_id, supplier_id, sku_id, from_warehouse_id, to_warehouse_id, status, cause, planned_qty,"
    " shipped_qty, received_qty, planned_at, expected_on, shipped_at, closed_at, reason_code, source"
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Units of a sku that go from one warehouse of a supplier to another.

    Attributes:
        transfer_id: Its id.
        supplier_id: Whose units.
        sku_id: The sku.
        from_warehouse_id: Where they lie.
        to_warehouse_id: Where they go.
        status: Where it is.
        cause: `approved` (suggested), `stated` by an operator, or an alternative of an `alarm`.
        planned_qty: Units that are kept for it until it is shipped.
        shipped_qty: Units that left.
        received_qty: Units that arrived, as counted; what is missing is lost.
        planned_at: When.
        expected_on: Local day on which it should arrive.
        shipped_at: When it left.
        closed_at: When it arrived or was cancelled.
        reason_code: Why it was cancelled.
        source: The approval, the key or the alarm that it comes from.
    """

    transfer_id: str
    supplier_id: str
    sku_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    status: str
    cause: str
    planned_qty: int
    shipped_qty: int
    received_qty: int
    planned_at: datetime
    expected_on: date
    shipped_at: datetime | None
    closed_at: datetime | None
    reason_code: str | None
    source: str


def find_transfer(
    conn: Connection,
    tenant_id: str,
    transfer_id: str,
    *,
    supplier_id: str | None = None,
    lock: bool = False,
) -> Transfer:
    """A transfer, locked until commit where it is to be moved.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        transfer_id: Its id.
        supplier_id: Only of this supplier.
        lock: Whether it is to be moved.

    Raises:
        NotFoundError: There is none.
    """
    if lock:
        locks.transfer(conn, tenant_id, transfer_id)
    with conn.cursor(row_factory=class_row(Transfer)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from transfers.transfer where tenant_id = %s and transfer_id = %s"
            " and (%s::text is null or supplier_id = %s)".encode(),
            (tenant_id, transfer_id, supplier_id, supplier_id),
        )
        found = cursor.fetchone()
    if found is None:
        raise NotFoundError("transfer", transfer_id)
    return found


def transfers_page(
    conn: Connection,
    tenant_id: str,
    *,
    supplier_id: str | None,
    status: str | None,
    after: str,
    limit: int,
) -> list[Transfer]:
    """Transfers by id, beginning after the given one; of one supplier, in one state, where named."""
    with conn.cursor(row_factory=class_row(Transfer)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from transfers.transfer where tenant_id = %s and transfer_id > %s"
            " and (%s::text is null or supplier_id = %s) and (%s::text is null or status = %s)"
            " order by transfer_id limit %s".encode(),
            (tenant_id, after, supplier_id, supplier_id, status, status, limit),
        )
        return cursor.fetchall()


def move_transfer(
    conn: Connection, tenant_id: str, transfer: Transfer, event: str, **changed: object
) -> None:
    """Move a transfer by an event and note what came with it; the transfer is locked.

    Raises:
        ImpossibleMoveError: It has no such move from where it is.
    """
    status = MACHINE.move(transfer.transfer_id, transfer.status, event)
    sets = "".join(f", {name} = %({name})s" for name in sorted(changed))
    conn.execute(
        f"update transfers.transfer set status = %(status)s{sets}"
        " where tenant_id = %(tenant)s and transfer_id = %(id)s".encode(),
        {**changed, "status": status, "tenant": tenant_id, "id": transfer.transfer_id},
    )
