"""The state machine of transfers, as a table."""

from __future__ import annotations

from enum import StrEnum

from serving.orders.states import Machine


class TransferStatus(StrEnum):
    """Where a transfer is; of `planned` the units are kept for it, of `shipped` they lie in no warehouse."""

    PLANNED = "planned"
    SHIPPED = "shipped"
    RECEIVED = "received"
    CANCELLED = "cancelled"


MACHINE = Machine(
    "transfer",
    {
        (TransferStatus.PLANNED, "ship"): TransferStatus.SHIPPED,
        (TransferStatus.PLANNED, "cancel"): TransferStatus.CANCELLED,
        (TransferStatus.SHIPPED, "receive"): TransferStatus.RECEIVED,
    },
)
