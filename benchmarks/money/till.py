"""Pays orders of a shop as the simulated channel reports it: a registered account, a signed notice an order.

Whoever plays buyers (demonstrations, benchmarks, tests) pays through here; there is no other way to say that
money came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from serving.channels.simulated.bank import Bank
from serving.channels.simulated.messages import SERIAL, Keys, Message, encoded, new_keys, signed_headers

Post = Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]
"""Posts a body under `path` with headers; status and body of the answer."""


class Till:
    """An account at the simulated channel, registered with a shop.

    Args:
        post: How the shop is reached.
        channel_id: The account; see `register`.
        merchant_number: What the channel calls it.
        keys: The channel's keys.
        bank: What the channel remembers.
        shop_key: Public key under which the shop's requests to the channel are signed.
    """

    def __init__(
        self, post: Post, channel_id: str, merchant_number: str, keys: Keys, bank: Bank, shop_key: str
    ) -> None:
        self.channel_id = channel_id
        self.merchant_number = merchant_number
        self.bank = bank
        self.shop_key = shop_key
        self._post = post
        self._keys = keys

    @classmethod
    def register(
        cls,
        post: Post,
        key: str,
        *,
        merchant_number: str,
        fee_bps: int = 0,
        split_max_bps: int = 0,
        api_url: str = "http://127.0.0.1:9",
        keys: Keys | None = None,
        bank: Bank | None = None,
    ) -> Till:
        """Register an account with a shop's API.

        Args:
            post: How the shop is reached.
            key: API key of an operator with `payments:write`.
            merchant_number: What the channel calls the account.
            fee_bps: Of the contract.
            split_max_bps: Of the contract.
            api_url: Where the channel's server answers, for refunds, pay-outs and queries.
            keys: The channel's keys; fresh ones by default.
            bank: What the channel remembers; nothing by default.

        Raises:
            RuntimeError: The shop did not take it.
        """
        keys, ours = keys or new_keys(), new_keys()
        document = {
            "adapter": "simulated",
            "merchant_number": merchant_number,
            "api_url": api_url,
            "fee_bps": fee_bps,
            "split_max_bps": split_max_bps,
            "public_keys": {SERIAL: keys.public},
            "secrets": {"private_key": ours.private},
        }
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        status, body = post("/v1/channels", headers, encoded(document))
        if status != 201:
            raise RuntimeError(f"the shop did not register the channel: {status} {body[:300]!r}")
        channel_id = msgspec.json.decode(body)["channel_id"]
        return cls(post, channel_id, merchant_number, keys, bank or Bank(fee_bps), ours.public)

    def pay(
        self,
        order_id: str,
        amount_cents: int,
        *,
        payment_id: str | None = None,
        currency: str = "CNY",
        paid_at: datetime | None = None,
    ) -> tuple[int, bytes]:
        """A buyer pays; status and body of the shop's answer to the notice.

        Args:
            order_id: The order.
            amount_cents: Fen.
            payment_id: The channel's id of the payment; a new one by default.
            currency: ISO 4217.
            paid_at: Business time of the payment; the wall clock by default.
        """
        return self.send(
            self.bank.pay(order_id, amount_cents, payment_id=payment_id, currency=currency, paid_at=paid_at)
        )

    def send(self, message: Message) -> tuple[int, bytes]:
        """Send a notice, signed now; status and body of the shop's answer."""
        body = encoded(message)
        return self._post(f"/v1/channels/{self.channel_id}/notices", self.headers(body), body)

    def headers(self, body: bytes, at: datetime | None = None) -> dict[str, str]:
        """Headers that prove a body."""
        return signed_headers(self._keys.private, SERIAL, body, at or datetime.now(UTC))
