"""The ways out of an installation: providers that its settings name, the outbox page for the rest."""

from __future__ import annotations

from typing import get_args

from serving.journeys.channels.gateway import HttpGateway
from serving.journeys.channels.protocol import Gateway, Gateways, OutboxPage
from serving.journeys.definition.steps import Channel
from serving.journeys.errors import JourneyError
from serving.orders.webhooks.delivery import HttpSender
from serving.orders.webhooks.webhook_addresses import address_rules
from serving.settings import Settings


def gateways_of(settings: Settings) -> Gateways:
    """A way out for each channel.

    Raises:
        JourneyError: A provider is named without a secret, or it or a price for a channel that there is not.
    """
    channels = get_args(Channel)
    for variable, named in (
        ("MUYUN_JOURNEY_GATEWAYS", settings.journey_gateways),
        ("MUYUN_MESSAGE_CENTS", settings.message_cents),
    ):
        unknown = sorted(set(named) - set(channels))
        if unknown:
            raise JourneyError(f"{variable} names {unknown[0]}; channels are {', '.join(channels)}")
    if settings.journey_gateways and settings.journey_secret is None:
        raise JourneyError(
            "MUYUN_JOURNEY_GATEWAYS needs MUYUN_JOURNEY_SECRET, which messages are signed with"
        )
    secret = b"" if settings.journey_secret is None else settings.journey_secret.get_secret_value().encode()
    sender = HttpSender(settings.webhook_deadline_s, address_rules(settings))
    found: dict[Channel, Gateway] = {
        channel: HttpGateway(url, secret, sender)
        if (url := settings.journey_gateways.get(channel)) is not None
        else OutboxPage()
        for channel in channels
    }
    return found
