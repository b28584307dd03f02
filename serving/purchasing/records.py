"""Purchase orders in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.errors import NotFoundError
from serving.purchasing.states import MACHINE, PurchaseStatus

Connection = psycopg.Connection[Any]

_ORDER = (
    "purchase_order_id, supplier_id, status, cause, placed_at, expected_on, answered_at, shipped_at,"
    " closed_at, reason_code, source"
)
_LINE = "sku_id, ordered_qty, confirmed_qty, shipped_qty, received_qty, supply_price_cents, promised_on"


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """One sku of a purchase order.

    Attributes:
        sku_id: The sku.
        ordered_qty: Units that are wanted.
        confirmed_qty: Units that the supplier said it brings; None before it answered.
        shipped_qty: Units on their way or here.
        received_qty: Units here.
        supply_price_cents: Of a unit, as the offer said when it was ordered, fen.
        promised_on: Day by which the supplier said it brings them; None before it answered.
    """

    sku_id: str
    ordered_qty: int
    confirmed_qty: int | None
    shipped_qty: int
    received_qty: int
    supply_price_cents: int
    promised_on: date | None

    @property
    def due_qty(self) -> int:
        """Units that were confirmed and are not shipped."""
        return (self.confirmed_qty or 0) - self.shipped_qty


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """A purchase order with its lines by sku.

    Attributes:
        purchase_order_id: Its id.
        supplier_id: Whom it is placed with.
        status: Where it is.
        cause: `auto` (by the category's policy), `approved` or `stated` by an operator.
        placed_at: When.
        expected_on: Day by which the offer's lead time lets it be here.
        answered_at: When the supplier confirmed, changed or declined.
        shipped_at: When the first parcel left.
        closed_at: When it was received, closed, declined or cancelled.
        reason_code: Why it was declined, cancelled or closed short.
        source: Publication that it was made from, or the approval or key that stated it.
        lines: What is ordered.
    """

    purchase_order_id: str
    supplier_id: str
    status: PurchaseStatus
    cause: str
    placed_at: datetime
    expected_on: date
    answered_at: datetime | None
    shipped_at: datetime | None
    closed_at: datetime | None
    reason_code: str | None
    source: str
    lines: tuple[PurchaseLine, ...]

    def line(self, sku_id: str) -> PurchaseLine | None:
        """The line of a sku, or None."""
        return next((line for line in self.lines if line.sku_id == sku_id), None)


def find_purchase(
    conn: Connection,
    tenant_id: str,
    purchase_order_id: str,
    *,
    supplier_id: str | None = None,
    lock: bool = False,
) -> PurchaseOrder:
    """A purchase order, locked until commit where it is to be moved.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        purchase_order_id: Its id.
        supplier_id: Only of this supplier.
        lock: Whether it is to be moved.

    Raises:
        NotFoundError: There is none.
    """
    if lock:
        locks.purchase_order(conn, tenant_id, purchase_order_id)
    row = conn.execute(
        f"select {_ORDER} from purchasing.purchase_order where tenant_id = %s and purchase_order_id = %s"
        " and (%s::text is null or supplier_id = %s)".encode(),
        (tenant_id, purchase_order_id, supplier_id, supplier_id),
    ).fetchone()
    if row is None:
        raise NotFoundError("purchase-order", purchase_order_id)
    return _orders(conn, tenant_id, [row])[0]


def purchases_page(
    conn: Connection,
    tenant_id: str,
    *,
    supplier_id: str | None,
    status: str | None,
    after: str,
    limit: int,
) -> list[PurchaseOrder]:
    """Purchase orders by id, beginning after the given one; of one supplier, in one state, where named."""
    rows = conn.execute(
        f"select {_ORDER} from purchasing.purchase_order where tenant_id = %s and purchase_order_id > %s"
        " and (%s::text is null or supplier_id = %s) and (%s::text is null or status = %s)"
        " order by purchase_order_id limit %s".encode(),
        (tenant_id, after, supplier_id, supplier_id, status, status, limit),
    ).fetchall()
    return _orders(conn, tenant_id, rows)


@dataclass(frozen=True, slots=True)
class MerchantShare:
    """What of a purchase order is expected to sell at a merchant; `qty` of `ordered_qty` units."""

    purchase_order_id: str
    sku_id: str
    status: str
    expected_on: date
    ordered_qty: int
    received_qty: int
    qty: int


def shares_page(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    *,
    status: str | None,
    after: tuple[str, str],
    limit: int,
) -> list[MerchantShare]:
    """Lines of purchase orders that a merchant's customers wait for, by purchase order and sku."""
    rows = conn.execute(
        "select o.purchase_order_id, l.sku_id, o.status, coalesce(l.promised_on, o.expected_on),"
        " l.ordered_qty, l.received_qty, s.qty from purchasing.purchase_share s"
        " join purchasing.purchase_line l using (tenant_id, purchase_order_id, sku_id)"
        " join purchasing.purchase_order o using (tenant_id, purchase_order_id)"
        " where s.tenant_id = %s and s.merchant_id = %s and (o.purchase_order_id, l.sku_id) > (%s, %s)"
        " and (%s::text is null or o.status = %s) order by 1, 2 limit %s",
        (tenant_id, merchant_id, *after, status, status, limit),
    )
    return [MerchantShare(*row) for row in rows]


def move_purchase(
    conn: Connection, tenant_id: str, order: PurchaseOrder, event: str, **changed: object
) -> None:
    """Move a purchase order by an event and note what came with it; the order is locked.

    Raises:
        ImpossibleMoveError: The order has no such move from where it is.
    """
    status = MACHINE.move(order.purchase_order_id, order.status, event)
    names = sorted(changed)
    sets = "".join(f", {name} = %({name})s" for name in names)
    conn.execute(
        f"update purchasing.purchase_order set xact_id = pg_current_xact_id(), status = %(status)s{sets}"
        " where tenant_id = %(tenant)s and purchase_order_id = %(id)s".encode(),
        {**changed, "status": status, "tenant": tenant_id, "id": order.purchase_order_id},
    )


def _orders(conn: Connection, tenant_id: str, rows: Sequence[tuple[Any, ...]]) -> list[PurchaseOrder]:
    lines: dict[str, list[PurchaseLine]] = {row[0]: [] for row in rows}
    for purchase_order_id, *values in conn.execute(
        f"select purchase_order_id, {_LINE} from purchasing.purchase_line"
        " where tenant_id = %s and purchase_order_id = any(%s) order by purchase_order_id, sku_id".encode(),
        (tenant_id, list(lines)),
    ):
        lines[purchase_order_id].append(PurchaseLine(*values))
    return [_order(*row, lines=lines[row[0]]) for row in rows]


def _order(
    purchase_order_id: str, supplier_id: str, status: str, *rest: Any, lines: Sequence[PurchaseLine]
) -> PurchaseOrder:
    values = (purchase_order_id, supplier_id, PurchaseStatus(status), *rest, tuple(lines))
    return PurchaseOrder(*values)
