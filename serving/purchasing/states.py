"""The state machine of purchase orders, as a table."""

from __future__ import annotations

from enum import StrEnum

from serving.orders.states import Machine


class PurchaseStatus(StrEnum):
    """Where a purchase order is.

    `changed` waits for our word on what the supplier changed; of `closed` the rest was given up.
    """

    PLACED = "placed"
    CHANGED = "changed"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    RECEIVED = "received"
    CLOSED = "closed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


MACHINE = Machine(
    "purchase order",
    {
        (PurchaseStatus.PLACED, "confirm"): PurchaseStatus.CONFIRMED,
        (PurchaseStatus.PLACED, "change"): PurchaseStatus.CHANGED,
        (PurchaseStatus.PLACED, "decline"): PurchaseStatus.DECLINED,
        (PurchaseStatus.PLACED, "cancel"): PurchaseStatus.CANCELLED,
        (PurchaseStatus.CHANGED, "agree"): PurchaseStatus.CONFIRMED,
        (PurchaseStatus.CHANGED, "cancel"): PurchaseStatus.CANCELLED,
        (PurchaseStatus.CONFIRMED, "cancel"): PurchaseStatus.CANCELLED,
        (PurchaseStatus.CONFIRMED, "ship"): PurchaseStatus.SHIPPED,
        (PurchaseStatus.SHIPPED, "ship"): PurchaseStatus.SHIPPED,
        (PurchaseStatus.SHIPPED, "receive_part"): PurchaseStatus.SHIPPED,
        (PurchaseStatus.SHIPPED, "receive_rest"): PurchaseStatus.RECEIVED,
        (PurchaseStatus.SHIPPED, "close_short"): PurchaseStatus.CLOSED,
    },
)
