"""The recipient of an order as one key may see it; a clear one is recorded. What is masked how: `masking`."""

from __future__ import annotations

from serving.audit import record
from serving.privacy.data_keys import Connection, Vault
from serving.privacy.masking import (
    Relation,
    Visibility,
    mask_address,
    mask_name,
    mask_phone,
    recipient_visibility,
)
from serving.privacy.personal_fields import Recipient, get_recipient
from serving.security.principal import Principal


def show_recipient(
    conn: Connection, vault: Vault, principal: Principal, order_id: str, *, request_id: str
) -> Recipient | None:
    """The recipient of an order, clear, masked or not at all; a clear one leaves a line in the audit log.

    Args:
        conn: Connection inside a transaction of the principal's tenant.
        vault: Opens the values.
        principal: Who asks.
        order_id: The order.
        request_id: Of the request, for the audit log.

    Returns:
        None when the key may not see it or the order has none.

    Raises:
        PrivacyError: A stored value was changed or moved, or its key is missing.
    """
    visibility = recipient_visibility(principal, relation_to_order(conn, principal, order_id))
    if visibility is Visibility.NOTHING:
        return None
    recipient = get_recipient(conn, vault, principal.tenant_id, order_id)
    if recipient is None:
        return None
    if visibility is Visibility.CLEAR:
        record(conn, principal, "recipient.read", "order", order_id, request_id=request_id)
        return recipient
    return masked(recipient)


def masked(recipient: Recipient) -> Recipient:
    """The recipient with every personal value masked; the region stays."""
    return Recipient(
        mask_name(recipient.name),
        mask_phone(recipient.phone),
        mask_address(recipient.address),
        recipient.region_code,
    )


def relation_to_order(conn: Connection, principal: Principal, order_id: str) -> Relation:
    """What the party of a key has to do with an order; `NONE` for keys without a party.

    Args:
        conn: Connection inside a transaction of the principal's tenant.
        principal: Who asks.
        order_id: The order, whether or not it exists.
    """
    row = conn.execute(
        "select o.merchant_id = %(party)s and %(role)s = 'merchant'"
        " or o.agent_id = %(party)s and %(role)s = 'agent', s.supplier_id is not null,"
        " s.status in ('pending', 'accepted', 'shipped')"
        " from orders.customer_order o left join orders.sub_order s on s.tenant_id = o.tenant_id"
        " and s.order_id = o.order_id and s.supplier_id = %(party)s and %(role)s = 'supplier'"
        " where o.tenant_id = %(tenant)s and o.order_id = %(order)s",
        {
            "tenant": principal.tenant_id,
            "order": order_id,
            "party": principal.party_id,
            "role": str(principal.role),
        },
    ).fetchone()
    if row is None:
        return Relation.NONE
    sells, supplies, still_ships = row
    if still_ships:
        return Relation.SHIPS
    return Relation.PARTY if sells or supplies else Relation.NONE
