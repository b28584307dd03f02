"""Orders kept in step with settlement, and the settlement of orders with that wired in.

Settlement books and asks its `OrderBook`; this is it. Whoever refunds or releases calls the functions here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from serving.orders.states import ENDED, ORDER, SUB_ORDER, OrderStatus, SubOrderStatus
from serving.settlement.books import deadline, refunds, release

Connection = psycopg.Connection[Any]

_RELEASED = SUB_ORDER.moves[SubOrderStatus.RECEIVED, "release"]
_COMPLETED = ORDER.moves[OrderStatus.RECEIVED, "complete"]


class KeptOrders:
    """The order book over the tables of orders."""

    def mark_released(self, conn: Connection, tenant_id: str, sub_orders: Sequence[tuple[str, str]]) -> None:
        """Received sub-orders become released, and orders of which all is released completed.

        A locked leg does not keep its sub-order open: it may wait for months.
        """
        conn.execute(
            """
            update orders.sub_order s set status = %(released)s
            where s.tenant_id = %(tenant)s and s.order_id = any(%(orders)s) and s.status = %(received)s
                and (s.order_id, s.supplier_id) in
                    (select * from unnest(%(orders)s::text[], %(suppliers)s::text[]))
            """,
            {
                "tenant": tenant_id,
                "released": _RELEASED,
                "received": SubOrderStatus.RECEIVED,
                "orders": [order_id for order_id, _ in sub_orders],
                "suppliers": [supplier_id for _, supplier_id in sub_orders],
            },
        )
        conn.execute(
            """
            update orders.customer_order o set status = %(completed)s, xact_id = pg_current_xact_id()
            where o.tenant_id = %(tenant)s and o.order_id = any(%(orders)s) and o.status = %(received)s
                and not exists (select 1 from orders.sub_order s where s.tenant_id = o.tenant_id
                    and s.order_id = o.order_id and s.status <> all(%(done)s))
            """,
            {
                "tenant": tenant_id,
                "completed": _COMPLETED,
                "received": OrderStatus.RECEIVED,
                "orders": sorted({order_id for order_id, _ in sub_orders}),
                "done": [_RELEASED, *sorted(ENDED)],
            },
        )

    def count_refund(
        self,
        conn: Connection,
        tenant_id: str,
        order_id: str,
        line_no: int,
        supplier_id: str,
        refund_cents: int,
    ) -> None:
        """The line (or the freight) and the order remember what was given back; no status moves."""
        values = {
            "tenant": tenant_id,
            "order": order_id,
            "line": line_no,
            "supplier": supplier_id,
            "cents": refund_cents,
        }
        if line_no:
            conn.execute(
                "update orders.order_line set refunded_cents = refunded_cents + %(cents)s"
                " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s",
                values,
            )
        else:
            conn.execute(
                "update orders.sub_order set refunded_freight_cents = refunded_freight_cents + %(cents)s"
                " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(supplier)s",
                values,
            )
        conn.execute(
            "update orders.customer_order set"
            " refunded_cents = refunded_cents + %(cents)s, xact_id = pg_current_xact_id()"
            " where tenant_id = %(tenant)s and order_id = %(order)s",
            values,
        )


ORDER_BOOK = KeptOrders()

refund_line = partial(refunds.refund_line, orders=ORDER_BOOK)
"""`serving.settlement.books.refunds.refund_line` of these orders."""
release_due = partial(release.release_due, orders=ORDER_BOOK)
"""`serving.settlement.books.release.release_due` of these orders."""
unfreeze_due = partial(deadline.unfreeze_due, orders=ORDER_BOOK)
"""`serving.settlement.books.deadline.unfreeze_due` of these orders."""
