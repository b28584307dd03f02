"""What a way out is asked, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from serving.journeys.definition.steps import Channel


@dataclass(frozen=True)
class Outgoing:
    """A message on its way.

    Attributes:
        message_id: Names it: a provider that was asked twice with one name sends once.
        tenant_id: Whose message.
        consumer_id: To whom; the provider knows the address, this system does not.
        channel: By which way.
        body: Its text.
        sku_ids: Skus that it names.
    """

    message_id: int
    tenant_id: str
    consumer_id: str
    channel: Channel
    body: str
    sku_ids: tuple[str, ...]


class Answer(NamedTuple):
    """What a provider said at once.

    Attributes:
        state: `sent`: taken, a receipt follows; `delivered`: there already; `refused`: never.
        reason: Why it is refused.
    """

    state: Literal["sent", "delivered", "refused"]
    reason: str | None = None


class UnavailableError(Exception):
    """The provider cannot be asked now, or asks to be asked later."""


class Gateway(Protocol):
    """A way out."""

    def send(self, message: Outgoing) -> Answer:
        """Hand a message over.

        Raises:
            UnavailableError: Not now; the message waits.
        """


class OutboxPage:
    """The way out where there is no provider: the message stands in the outbox, for people to see."""

    def send(self, message: Outgoing) -> Answer:
        """It is where it can be seen already."""
        return Answer("delivered")


Gateways = Mapping[Channel, Gateway]
