"""Merchants are told which of their orders a recall concerns; whom they reach their buyers by is theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.orders.webhooks import webhooks
from serving.quality.recalls import buyers_page

Connection = psycopg.Connection[Any]

MOST_ORDERS = 500
"""Orders that one message names; more come in further ones."""
_PAGE = 1_000


def tell_of_recalls(conn: Connection, tenant_id: str, opened_at: datetime) -> int:
    """Tell every merchant concerned of the recalls that were opened at a moment; again it tells nobody twice.

    Args:
        conn: Inside the transaction that opened them.
        tenant_id: The tenant.
        opened_at: Business time of the opening.

    Returns:
        Orders that were named.
    """
    recalls = conn.execute(
        "select recall_id, sku_id, reason_code from quality.recall where tenant_id = %s and opened_at = %s"
        " order by recall_id",
        (tenant_id, opened_at),
    ).fetchall()
    told = 0
    for recall_id, sku_id, reason_code in recalls:
        for merchant_id, orders in _orders(conn, tenant_id, recall_id).items():
            for number, first in enumerate(range(0, len(orders), MOST_ORDERS)):
                part = orders[first : first + MOST_ORDERS]
                told += len(part)
                webhooks.tell_merchant_of_recall(
                    conn, tenant_id, merchant_id, recall_id, number, sku_id, reason_code, part
                )
    return told


def _orders(conn: Connection, tenant_id: str, recall_id: int) -> dict[str, list[str]]:
    """Merchant to the orders that hold something of a recall, each once, in order."""
    found: dict[str, list[str]] = {}
    after = ("", 0)
    while page := buyers_page(conn, tenant_id, recall_id, merchant_id=None, after=after, limit=_PAGE):
        for line in page:
            orders = found.setdefault(line.merchant_id, [])
            if line.order_id not in orders[-1:]:
                orders.append(line.order_id)
        after = (page[-1].order_id, page[-1].line_no)
    return found
