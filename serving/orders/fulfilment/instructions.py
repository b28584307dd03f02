"""Shipping instructions: what one supplier has to send of paid orders, and to whom. Who may ask: the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import psycopg

from serving.orders.contracts import Instruction, InstructionLine, RecipientView
from serving.orders.states import UNSHIPPED
from serving.privacy.data_keys import Vault
from serving.privacy.masking import Visibility, mask_address, mask_name, mask_phone
from serving.privacy.personal_fields import Recipient, get_recipient

Connection = psycopg.Connection[Any]

_LINES = (
    "(select json_agg(json_build_object('line_no', l.line_no, 'sku_id', l.sku_id, 'title', p.title,"
    " 'qty', case when s.status in ('pending', 'accepted') then l.reserved_qty else l.qty end,"
    " 'supply_price_cents', l.supply_price_cents, 'warehouse_id', l.warehouse_id, 'ships_on', l.ships_on)"
    " order by l.line_no)"
    " from orders.order_line l left join orders.product p using (tenant_id, sku_id)"
    " where l.tenant_id = s.tenant_id and l.order_id = s.order_id and l.supplier_id = s.supplier_id"
    " and (s.status not in ('pending', 'accepted') or l.reserved_qty > 0))"
)
_SELECT = (
    f"select o.order_id, s.supplier_id, s.status, o.paid_at, o.region_code, {_LINES}"
    " from orders.sub_order s join orders.customer_order o using (tenant_id, order_id)"
    " where s.tenant_id = %(tenant)s and s.supplier_id = %(supplier)s and o.paid_at is not null"
    # Nothing is to be sent while a group of buyers is not complete.
    " and not exists (select from promotions.claim c join promotions.buying_group g"
    " using (tenant_id, group_id) where c.tenant_id = s.tenant_id and c.order_id = s.order_id"
    " and g.status <> 'complete')"
)


def instructions_of(
    conn: Connection,
    vault: Vault,
    tenant_id: str,
    supplier_id: str,
    *,
    statuses: Sequence[str] = tuple(UNSHIPPED),
    after: tuple[datetime, str] | None,
    limit: int,
    visibility: Visibility,
) -> list[Instruction]:
    """What a supplier has to send, the oldest payment first.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Opens the recipients.
        tenant_id: The tenant.
        supplier_id: The supplier.
        statuses: States of the sub-orders that are wanted.
        after: Payment time and order id of the last instruction of the page before.
        limit: Most instructions.
        visibility: How recipients are shown.
    """
    rows = conn.execute(
        f"{_SELECT} and s.status = any(%(statuses)s)"
        " and (%(at)s::timestamptz is null or (o.paid_at, o.order_id) > (%(at)s, %(order)s))"
        " order by o.paid_at, o.order_id limit %(limit)s",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "statuses": [str(status) for status in statuses],
            "at": after[0] if after else None,
            "order": after[1] if after else "",
            "limit": limit,
        },
    ).fetchall()
    return [_instruction(conn, vault, tenant_id, row, visibility) for row in rows]


def find_instruction(
    conn: Connection, vault: Vault, tenant_id: str, order_id: str, supplier_id: str, visibility: Visibility
) -> Instruction | None:
    """The instruction on one order; None when the supplier has no part of it or it is not paid."""
    row = conn.execute(
        f"{_SELECT} and o.order_id = %(order)s",
        {"tenant": tenant_id, "supplier": supplier_id, "order": order_id},
    ).fetchone()
    return _instruction(conn, vault, tenant_id, row, visibility) if row else None


def recipient_view(recipient: Recipient | None, visibility: Visibility) -> RecipientView | None:
    """A recipient as somebody may see it."""
    if recipient is None or visibility is Visibility.NOTHING:
        return None
    if visibility is Visibility.CLEAR:
        return RecipientView(
            name=recipient.name,
            phone=recipient.phone,
            address=recipient.address,
            region_code=recipient.region_code,
        )
    return RecipientView(
        name=mask_name(recipient.name),
        phone=mask_phone(recipient.phone),
        address=mask_address(recipient.address),
        region_code=recipient.region_code,
    )


def _line(values: dict[str, Any]) -> InstructionLine:
    day = values["ships_on"]
    return InstructionLine(**{**values, "ships_on": date.fromisoformat(day) if day else None})


def _instruction(
    conn: Connection, vault: Vault, tenant_id: str, row: tuple[Any, ...], visibility: Visibility
) -> Instruction:
    order_id, supplier_id, status, paid_at, region_code, lines = row
    found = get_recipient(conn, vault, tenant_id, order_id) if visibility is not Visibility.NOTHING else None
    return Instruction(
        order_id=order_id,
        supplier_id=supplier_id,
        status=status,
        paid_at=paid_at,
        region_code=region_code,
        lines=[_line(line) for line in lines or []],
        recipient=recipient_view(found, visibility),
    )
