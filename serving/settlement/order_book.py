"""What settlement asks of orders: to keep in step with what was booked.

Orders implement it: nobody else writes their tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import psycopg


class OrderBook(Protocol):
    """Orders, as settlement sees them. Every call is inside a transaction that holds the orders' rows."""

    def mark_released(
        self, conn: psycopg.Connection, tenant_id: str, sub_orders: Sequence[tuple[str, str]]
    ) -> None:
        """Nothing of these sub-orders (order id, supplier id) waits any more."""

    def count_refund(
        self,
        conn: psycopg.Connection,
        tenant_id: str,
        order_id: str,
        line_no: int,
        supplier_id: str,
        refund_cents: int,
    ) -> None:
        """So many fen more were given back of a line; of the supplier's freight for line 0."""
