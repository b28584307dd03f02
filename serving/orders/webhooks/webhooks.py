"""Messages to parties: who is told what, and the endpoints. Sending lives in `delivery`.

A message is written in the transaction of what it tells about. Its times are those of the wall clock: they
belong to the wire, not to business. No message in the database holds a personal value.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.orders.errors import NotFoundError
from serving.orders.promotions.groups import is_waiting
from serving.privacy.data_keys import Vault
from serving.privacy.personal_fields import WEBHOOK_SECRET

Connection = psycopg.Connection[Any]

INSTRUCTION = "shipping_instruction.created"
"""Event whose message carries the whole instruction, with the recipient while the supplier may see it."""


@dataclass(frozen=True)
class Endpoint:
    """Where a party wants to be told."""

    endpoint_id: str
    party_type: str
    party_id: str
    url: str
    is_active: bool


def add_endpoint(
    conn: Connection, vault: Vault, tenant_id: str, party_type: str, party_id: str, url: str
) -> tuple[Endpoint, str]:
    """Register an address.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Seals the secret.
        tenant_id: The tenant.
        party_type: `supplier` or `merchant`.
        party_id: Whose address.
        url: http or https.

    Returns:
        The endpoint, and the secret that signs its messages; it is shown this once.
    """
    endpoint = Endpoint(f"we-{secrets.token_hex(8)}", party_type, party_id, url, True)
    secret = secrets.token_urlsafe(32)
    sealed = vault.seal_row(
        conn, tenant_id, WEBHOOK_SECRET.qualified, endpoint.endpoint_id, {"secret_enc": secret}
    )
    conn.execute(
        "insert into orders.webhook_endpoint (tenant_id, endpoint_id, party_type, party_id, url, secret_enc)"
        " values (%(tenant)s, %(endpoint)s, %(type)s, %(party)s, %(url)s, %(secret_enc)s)",
        {
            "tenant": tenant_id,
            "endpoint": endpoint.endpoint_id,
            "type": party_type,
            "party": party_id,
            "url": url,
            **sealed,
        },
    )
    return endpoint, secret


def endpoints_of(
    conn: Connection, tenant_id: str, party_type: str | None, party_id: str | None
) -> list[Endpoint]:
    """Endpoints of a party, or of all parties, the newest first."""
    rows = conn.execute(
        "select endpoint_id, party_type, party_id, url, is_active from orders.webhook_endpoint"
        " where tenant_id = %(tenant)s and (%(type)s::text is null or party_type = %(type)s)"
        " and (%(party)s::text is null or party_id = %(party)s)"
        " order by created_at desc, endpoint_id limit 500",
        {"tenant": tenant_id, "type": party_type, "party": party_id},
    ).fetchall()
    return [Endpoint(*row) for row in rows]


def find_endpoint(conn: Connection, tenant_id: str, endpoint_id: str) -> Endpoint:
    """One endpoint.

    Raises:
        NotFoundError: There is no such endpoint.
    """
    row = conn.execute(
        "select endpoint_id, party_type, party_id, url, is_active from orders.webhook_endpoint"
        " where tenant_id = %(tenant)s and endpoint_id = %(endpoint)s",
        {"tenant": tenant_id, "endpoint": endpoint_id},
    ).fetchone()
    if row is None:
        raise NotFoundError("webhook-endpoint", endpoint_id)
    return Endpoint(*row)


def change_endpoint(conn: Connection, tenant_id: str, endpoint_id: str, url: str, is_active: bool) -> None:
    """Change the address of an endpoint, or end it: then nothing is sent there and what waits is given up."""
    values = {"tenant": tenant_id, "endpoint": endpoint_id, "url": url, "active": is_active}
    conn.execute(
        "update orders.webhook_endpoint set url = %(url)s, is_active = %(active)s"
        " where tenant_id = %(tenant)s and endpoint_id = %(endpoint)s",
        values,
    )
    if not is_active:
        conn.execute(
            "update orders.webhook_delivery set state = 'given_up', last_answer = 'the endpoint was ended'"
            " where tenant_id = %(tenant)s and endpoint_id = %(endpoint)s and state = 'waiting'",
            values,
        )


def once_more(cause: str) -> str:
    """A cause that may come again, as lines go to and fro: each time it is a message of its own.

    It is told in the transaction of what it tells, so that nothing is told twice.
    """
    return f"{cause}-{secrets.token_hex(6)}"


def tell_supplier(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str, cause: str = "paid"
) -> None:
    """Tell a supplier that there is something to ship; `cause` tells several messages on one order apart.

    Of an order that waits for its group of buyers no supplier is told anything.
    """
    if is_waiting(conn, tenant_id, order_id):
        return
    payload = {"order_id": order_id, "supplier_id": supplier_id}
    _tell(conn, tenant_id, "supplier", supplier_id, INSTRUCTION, f"{order_id}:{supplier_id}:{cause}", payload)


def tell_supplier_ended(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str, cause: str
) -> None:
    """Tell a supplier that a part of an order is not to be shipped any more, if it was told to ship it."""
    if is_waiting(conn, tenant_id, order_id):
        return
    payload = {"order_id": order_id, "supplier_id": supplier_id}
    object_id = f"{order_id}:{supplier_id}:{cause}"
    _tell(conn, tenant_id, "supplier", supplier_id, "sub_order.cancelled", object_id, payload)


def tell_supplier_of_case(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str, event_type: str, case_id: str
) -> None:
    """Tell a supplier about an after-sale case on what it shipped."""
    payload = {"order_id": order_id, "supplier_id": supplier_id, "case_id": case_id}
    _tell(conn, tenant_id, "supplier", supplier_id, event_type, f"{order_id}:{case_id}", payload)


def tell_supplier_of_purchase(
    conn: Connection, tenant_id: str, purchase_order_id: str, supplier_id: str, event: str
) -> None:
    """Tell a supplier of a purchase order: `placed`, `agreed` or `cancelled`."""
    payload = {"purchase_order_id": purchase_order_id, "supplier_id": supplier_id}
    _tell(conn, tenant_id, "supplier", supplier_id, f"purchase_order.{event}", purchase_order_id, payload)


def tell_supplier_of_transfer(
    conn: Connection, tenant_id: str, transfer_id: str, supplier_id: str, event: str
) -> None:
    """Tell a supplier of a transfer between warehouses: `planned` or `cancelled`."""
    payload = {"transfer_id": transfer_id, "supplier_id": supplier_id}
    _tell(conn, tenant_id, "supplier", supplier_id, f"transfer.{event}", transfer_id, payload)


def tell_of_alarm(
    conn: Connection, tenant_id: str, party_type: str, party_id: str, alarm_id: int, kind: str, event: str
) -> None:
    """Tell a supplier or a merchant of an alarm that concerns it: `opened` or `cleared`."""
    payload = {"alarm_id": str(alarm_id), "kind": kind}
    _tell(conn, tenant_id, party_type, party_id, f"supply_alarm.{event}", str(alarm_id), payload)


def tell_merchant(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    event_type: str,
    order_id: str,
    part: str = "",
    **details: str,
) -> None:
    """Tell a merchant about its order; `part` names the supplier, the case or the parcel that it is about."""
    payload = {"order_id": order_id} | ({"part": part} if part else {}) | details
    object_id = f"{order_id}:{part}" if part else order_id
    _tell(conn, tenant_id, "merchant", merchant_id, event_type, object_id, payload)


def tell_merchant_of_recall(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    recall_id: int,
    part: int,
    sku_id: str,
    reason_code: str,
    order_ids: Sequence[str],
) -> None:
    """Tell a merchant whose buyers a recall concerns; `part` counts its messages about one recall."""
    payload = {
        "recall_id": recall_id,
        "sku_id": sku_id,
        "reason_code": reason_code,
        "order_ids": list(order_ids),
    }
    _tell(conn, tenant_id, "merchant", merchant_id, "recall.opened", f"{recall_id}:{part}", payload)


def _tell(
    conn: Connection,
    tenant_id: str,
    party_type: str,
    party_id: str,
    event_type: str,
    object_id: str,
    payload: Mapping[str, Any],
) -> None:
    conn.execute(
        "insert into orders.webhook_delivery (tenant_id, endpoint_id, event_type, object_id, payload,"
        " next_attempt_at) select tenant_id, endpoint_id, %(event)s, %(object)s, %(payload)s,"
        " clock_timestamp() from orders.webhook_endpoint where tenant_id = %(tenant)s"
        " and party_type = %(type)s and party_id = %(party)s and is_active"
        " order by endpoint_id on conflict do nothing",
        {
            "tenant": tenant_id,
            "type": party_type,
            "party": party_id,
            "event": event_type,
            "object": object_id,
            "payload": Jsonb(dict(payload)),
        },
    )
