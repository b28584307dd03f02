"""Paying orders in tests of the API: the one helper that signs as the simulated channel."""

import secrets

from serving.channels.simulated.till import Till
from serving.security import Scope, issue_key


def posting(client):
    """How a till reaches an application under test."""

    def post(path, headers, body):
        answer = client.post(path, content=body, headers=dict(headers))
        return answer.status_code, answer.content

    return post


def till_of(client, url, *, fee_bps=0, api_url="http://127.0.0.1:9"):
    """An account of the simulated channel, registered by an operator with the application under test."""
    key = issue_key(url, name="till", scopes=[Scope.PAYMENTS_WRITE]).secret
    number = f"till-{secrets.token_hex(4)}"
    return Till.register(posting(client), key, merchant_number=number, fee_bps=fee_bps, api_url=api_url)
