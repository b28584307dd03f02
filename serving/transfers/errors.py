"""The typed error of transfers. Nothing is raised here."""

from __future__ import annotations

from serving.orders.errors import OrdersError


class TransferMovedError(OrdersError):
    """The units are not free any more, or where they lie is not known."""

    slug = "transfer-moved"
    title = "The units are not there to be moved"
