"""The state machines of orders, sub-orders and after-sale cases, as tables. Pure; they know no caller.

A move that is not in a table is impossible, whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from serving.orders.errors import ImpossibleMoveError


class OrderStatus(StrEnum):
    """Where an order is; `shipped` and later speak of all its live sub-orders."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    RECEIVED = "received"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class SubOrderStatus(StrEnum):
    """Where one supplier's part of an order is."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SHIPPED = "shipped"
    RECEIVED = "received"
    RELEASED = "released"
    CANCELLED = "cancelled"


class CaseStatus(StrEnum):
    """Where an after-sale case is; an open one stops the release of money, whatever was refunded on it."""

    OPEN = "open"
    REFUNDED = "refunded"
    REJECTED = "rejected"
    CLOSED = "closed"


@dataclass(frozen=True, eq=False)
class Machine:
    """A state machine.

    Attributes:
        what: What moves, for messages.
        moves: (state, event) to the next state.
    """

    what: str
    moves: Mapping[tuple[str, str], str]

    def move(self, name: str, state: str, event: str) -> str:
        """The state after an event.

        Args:
            name: Id of the thing, for the message.
            state: Where it is.
            event: What shall happen.

        Raises:
            ImpossibleMoveError: There is no such move.
        """
        after = self.moves.get((state, event))
        if after is None:
            raise ImpossibleMoveError(self.what, name, state, event, self.possible(state))
        return after

    def possible(self, state: str) -> list[str]:
        """Events that a state knows."""
        return sorted(event for known, event in self.moves if known == state)


ORDER = Machine(
    "order",
    {
        (OrderStatus.PLACED, "pay"): OrderStatus.PAID,
        (OrderStatus.PLACED, "cancel"): OrderStatus.CANCELLED,
        (OrderStatus.PAID, "ship"): OrderStatus.SHIPPED,
        (OrderStatus.PAID, "refund"): OrderStatus.REFUNDED,
        (OrderStatus.SHIPPED, "receive"): OrderStatus.RECEIVED,
        (OrderStatus.SHIPPED, "refund"): OrderStatus.REFUNDED,
        (OrderStatus.RECEIVED, "complete"): OrderStatus.COMPLETED,
        (OrderStatus.RECEIVED, "refund"): OrderStatus.REFUNDED,
        (OrderStatus.COMPLETED, "refund"): OrderStatus.REFUNDED,
    },
)
"""`refund` stands for the last fen: a partly refunded order stays where it is."""

SUB_ORDER = Machine(
    "sub-order",
    {
        (SubOrderStatus.PENDING, "accept"): SubOrderStatus.ACCEPTED,
        (SubOrderStatus.PENDING, "reject"): SubOrderStatus.REJECTED,
        (SubOrderStatus.PENDING, "cancel"): SubOrderStatus.CANCELLED,
        (SubOrderStatus.PENDING, "extend"): SubOrderStatus.PENDING,
        (SubOrderStatus.ACCEPTED, "ship"): SubOrderStatus.SHIPPED,
        (SubOrderStatus.ACCEPTED, "reject"): SubOrderStatus.REJECTED,
        (SubOrderStatus.ACCEPTED, "cancel"): SubOrderStatus.CANCELLED,
        # Lines that another supplier rejected: they have to be accepted as well.
        (SubOrderStatus.ACCEPTED, "extend"): SubOrderStatus.PENDING,
        # A further parcel.
        (SubOrderStatus.SHIPPED, "ship"): SubOrderStatus.SHIPPED,
        (SubOrderStatus.SHIPPED, "receive"): SubOrderStatus.RECEIVED,
        (SubOrderStatus.RECEIVED, "release"): SubOrderStatus.RELEASED,
    },
)

CASE = Machine(
    "after-sale case",
    {
        # Part of what was asked for: the case goes on.
        (CaseStatus.OPEN, "refund"): CaseStatus.OPEN,
        (CaseStatus.OPEN, "refund_all"): CaseStatus.REFUNDED,
        (CaseStatus.OPEN, "reject"): CaseStatus.REJECTED,
        (CaseStatus.OPEN, "close"): CaseStatus.CLOSED,
        (CaseStatus.REFUNDED, "close"): CaseStatus.CLOSED,
    },
)

UNSHIPPED = frozenset({SubOrderStatus.PENDING, SubOrderStatus.ACCEPTED})
"""Sub-orders whose goods are reserved and not on the way."""
UNRECEIVED = UNSHIPPED | {SubOrderStatus.SHIPPED}
"""Sub-orders that still have to reach the buyer: their supplier needs the recipient."""
ENDED = frozenset({SubOrderStatus.REJECTED, SubOrderStatus.CANCELLED})
"""Sub-orders that ship nothing."""
_ARRIVED = frozenset({SubOrderStatus.RECEIVED, SubOrderStatus.RELEASED})
_STEPS = (
    (OrderStatus.PAID, "ship", _ARRIVED | {SubOrderStatus.SHIPPED}),
    (OrderStatus.SHIPPED, "receive", _ARRIVED),
    (OrderStatus.RECEIVED, "complete", frozenset({SubOrderStatus.RELEASED})),
)


def follow(name: str, status: str, sub_orders: Iterable[str]) -> str:
    """The status of an order that follows from its sub-orders.

    Args:
        name: Id of the order.
        status: Where the order is.
        sub_orders: States of all its sub-orders.

    Returns:
        The same status while any live sub-order lags behind.
    """
    live = {SubOrderStatus(state) for state in sub_orders} - ENDED
    for before, event, wanted in _STEPS:
        if live and status == before and live <= wanted:
            status = ORDER.move(name, status, event)
    return status
