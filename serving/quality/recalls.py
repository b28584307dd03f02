"""Recalls: skus that came to level 4, and who bought them. Buyers are read from the orders, never copied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.quality.errors import UnknownRecallError

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Recall:
    """A recall."""

    recall_id: int
    sku_id: str
    reason_code: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Buyer:
    """A line that was not called off; `delivered_at` is None where no parcel was seen to arrive."""

    order_id: str
    line_no: int
    merchant_id: str
    consumer_id: str
    supplier_id: str
    qty: int
    placed_at: datetime
    delivered_at: datetime | None


def recalls_page(
    conn: Connection, tenant_id: str, *, merchant_id: str | None, after: int, limit: int
) -> list[Recall]:
    """Recalls after an id, by id; of skus that a merchant lists or listed, or all."""
    with conn.cursor(row_factory=class_row(Recall)) as cursor:
        cursor.execute(
            "select r.recall_id, r.sku_id, r.reason_code, r.opened_at from quality.recall r"
            " where r.tenant_id = %(tenant)s and r.recall_id > %(after)s and (%(merchant)s::text is null"
            " or exists (select from orders.listing l where l.tenant_id = r.tenant_id"
            "  and l.merchant_id = %(merchant)s and l.sku_id = r.sku_id))"
            " order by r.recall_id limit %(limit)s",
            {"tenant": tenant_id, "merchant": merchant_id, "after": after, "limit": limit},
        )
        return cursor.fetchall()


def buyers_page(
    conn: Connection,
    tenant_id: str,
    recall_id: int,
    *,
    merchant_id: str | None,
    after: tuple[str, int],
    limit: int,
) -> list[Buyer]:
    """Who bought the sku of a recall and is to be told, by order and line; of one merchant, or of all.

    Lines of suppliers that the evidence does not point to are left out where it points to any, and those of
    other batches where batches asked for the recall.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        recall_id: The recall.
        merchant_id: Only its buyers.
        after: Order and line where the page before ended.
        limit: Most lines.

    Raises:
        UnknownRecallError: There is no such recall.
    """
    recall = conn.execute(
        "select sku_id, evidence from quality.recall where tenant_id = %s and recall_id = %s",
        (tenant_id, recall_id),
    ).fetchone()
    if recall is None:
        raise UnknownRecallError(f"there is no recall {recall_id}")
    with conn.cursor(row_factory=class_row(Buyer)) as cursor:
        cursor.execute(
            "select l.order_id, l.line_no, o.merchant_id, o.consumer_id, l.supplier_id, l.qty, o.placed_at,"
            " (select max(s.delivered_at) from orders.shipment s where s.tenant_id = l.tenant_id"
            "  and s.order_id = l.order_id and s.supplier_id = l.supplier_id) as delivered_at"
            " from orders.order_line l join orders.customer_order o using (tenant_id, order_id)"
            " join orders.sub_order p using (tenant_id, order_id, supplier_id)"
            " where l.tenant_id = %(tenant)s and l.sku_id = %(sku)s and p.status <> all(%(called_off)s)"
            " and (cardinality(%(suppliers)s::text[]) = 0 or l.supplier_id = any(%(suppliers)s))"
            " and (not exists (select from quality.recall_line r where r.recall_id = %(recall)s)"
            "  or exists (select from quality.recall_line r where r.recall_id = %(recall)s"
            "   and r.order_id = l.order_id and r.line_no = l.line_no))"
            " and (%(merchant)s::text is null or o.merchant_id = %(merchant)s)"
            " and (l.order_id, l.line_no) > (%(order)s, %(line)s) order by l.order_id, l.line_no"
            " limit %(limit)s",
            {
                "tenant": tenant_id,
                "sku": recall[0],
                "recall": recall_id,
                "called_off": ["cancelled", "rejected"],
                "suppliers": recall[1].get("suppliers", []),
                "merchant": merchant_id,
                "order": after[0],
                "line": after[1],
                "limit": limit,
            },
        )
        return cursor.fetchall()
