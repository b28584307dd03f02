"""Paying orders in tests of the API: the one helper that signs as the simulated channel."""

import secrets
from contextlib import contextmanager
from datetime import UTC, datetime

from benchmarks.money.till import Till
from serving.channels.simulated.bank import Bank
from serving.channels.simulated.messages import new_keys
from serving.channels.simulated.server import SimulatedChannel
from serving.security import Scope, issue_key


def posting(client):
    """How a till reaches an application under test."""

    def post(path, headers, body):
        answer = client.post(path, content=body, headers=dict(headers))
        return answer.status_code, answer.content

    return post


def till_of(client, url, *, fee_bps=0, **more):
    """An account of the simulated channel, registered by an operator with the application under test."""
    key = issue_key(url, name="till", scopes=[Scope.PAYMENTS_WRITE]).secret
    number = f"till-{secrets.token_hex(4)}"
    return Till.register(posting(client), key, merchant_number=number, fee_bps=fee_bps, **more)


@contextmanager
def till_with_server(client, url, *, fee_bps=0, split_max_bps=0, clock=lambda: datetime.now(UTC)):
    """A till whose channel also answers requests, as a real HTTP server; `clock`: of what its bank does."""
    keys, bank = new_keys(), Bank(fee_bps, clock, split_max_bps=split_max_bps)
    with SimulatedChannel(keys.private, {}, bank) as channel:
        till = till_of(
            client,
            url,
            fee_bps=fee_bps,
            split_max_bps=split_max_bps,
            api_url=channel.url,
            keys=keys,
            bank=bank,
        )
        channel.shop_keys[till.merchant_number] = till.shop_key
        yield till
