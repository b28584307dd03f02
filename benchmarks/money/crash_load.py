"""Storefronts that never give up: an order is placed, paid, shipped and partly refunded under its own keys.

A call that got no answer, or a 5xx, is sent again with the same key until it is answered. What was answered
is remembered here, outside of every process that is killed.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.money.till import Till
from serving.channels.simulated.messages import encoded

_ANSWER_WITHIN_S = 10.0
_BETWEEN_TRIES_S = 0.1


@dataclass
class Acknowledged:
    """What the API confirmed to one storefront.

    Attributes:
        orders: Order id by the idempotency key it was placed under.
        payments: Captured fen by payment id.
        refunds: Refunded fen by after-sale case.
        parcels: Parcels that left.
        retries: Calls that had to be sent again.
        refused: Answers that no storefront should ever get.
    """

    orders: dict[str, str] = field(default_factory=dict)
    payments: dict[str, int] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    parcels: int = 0
    retries: int = 0
    refused: list[str] = field(default_factory=list)


def till_at(port: int, key: str) -> Till:
    """An account at the simulated channel, registered with the API on loopback; it keeps 0.60%."""

    def post(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_WITHIN_S)
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return Till.register(post, key, merchant_number="crash", fee_bps=60)


class Storefront(threading.Thread):
    """Sends orders until told to stop.

    Args:
        number: Makes keys and choices its own.
        port: Of the API on loopback.
        key: API key with the scopes of a storefront and a supplier.
        till: Pays as the simulated payment channel reports it.
        skus: What the merchant lists.
        promised_at: By when every parcel is promised, ISO 8601.
    """

    def __init__(
        self, number: int, port: int, key: str, till: Till, skus: list[str], promised_at: str
    ) -> None:
        super().__init__(daemon=True)
        self.done = Acknowledged()
        self.last_write = 0.0
        self.stopping = threading.Event()
        self._number = number
        self._port = port
        self._key = key
        self._till = till
        self._skus = skus
        self._promised_at = promised_at

    def run(self) -> None:
        """One order after the other; the one in hand is finished after `stopping` was set."""
        count = 0
        while not self.stopping.is_set():
            count += 1
            self._order(f"crash-{self._number}-{count}", count)

    def _order(self, key: str, count: int) -> None:
        lines = [
            {"sku_id": self._skus[(count * 7 + k * 3) % len(self._skus)], "qty": 1 + k} for k in range(2)
        ]
        placed = self._send(
            "/v1/orders", {"merchant_id": "m1", "consumer_id": f"c{count % 97}", "lines": lines}, key
        )
        if placed is None:
            return
        order_id = placed["order_id"]
        self.done.orders[key] = order_id
        notice = self._till.bank.pay(
            order_id,
            placed["payable_cents"],
            payment_id=f"pay-{key}",
            paid_at=datetime.fromisoformat(placed["placed_at"]),
        )
        body = encoded(notice)
        paid = self._until_answered(
            f"/v1/channels/{self._till.channel_id}/notices", body, lambda: self._till.headers(body)
        )
        if paid is None:
            return
        self.done.payments[f"pay-{key}"] = placed["payable_cents"]
        if count % 2 == 0:
            for part in placed["sub_orders"]:
                self._ship(key, order_id, part["supplier_id"])
        if count % 3 == 0:
            self._refund(key, order_id, placed["lines"][0])

    def _ship(self, key: str, order_id: str, supplier_id: str) -> None:
        path = f"/v1/orders/{order_id}/suborders/{supplier_id}"
        if self._send(f"{path}/accept", {}, f"accept-{key}-{supplier_id}") is None:
            return
        parcel = {"shipment_id": f"parcel-{key}-{supplier_id}", "promised_at": self._promised_at}
        if self._send(f"{path}/shipments", parcel, f"ship-{key}-{supplier_id}") is not None:
            self.done.parcels += 1

    def _refund(self, key: str, order_id: str, line: Mapping[str, Any]) -> None:
        cents = max(1, line["net_paid_cents"] // 3)
        case = self._send(
            f"/v1/orders/{order_id}/after-sales",
            {"line_no": line["line_no"], "kind": "refund", "reason_code": "late", "requested_cents": cents},
            f"case-{key}",
        )
        if case is None:
            return
        self._send(f"/v1/after-sales/{case['case_id']}/answer", {"agrees": True}, f"answer-{key}")
        given = self._send(
            f"/v1/after-sales/{case['case_id']}/refund", {"refund_cents": cents}, f"refund-{key}"
        )
        if given is not None:
            self.done.refunds[case["case_id"]] = cents

    def _send(self, path: str, body: Mapping[str, object], key: str) -> dict[str, Any] | None:
        """The answer to a write; None when it was refused, which is noted as a finding."""
        headers = {"X-API-Key": self._key, "Content-Type": "application/json", "Idempotency-Key": key}
        return self._until_answered(path, json.dumps(body).encode(), lambda: headers)

    def _until_answered(
        self, path: str, payload: bytes, headers_of: Callable[[], Mapping[str, str]]
    ) -> dict[str, Any] | None:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_WITHIN_S)
                try:
                    connection.request("POST", path, payload, dict(headers_of()))
                    answer = connection.getresponse()
                    text = answer.read()
                finally:
                    connection.close()
            except (OSError, http.client.HTTPException):
                self._wait()
                continue
            if answer.status >= 500 or answer.status == 429:
                self._wait()
                continue
            if answer.status >= 400:
                self.done.refused.append(f"{path} {answer.status} {text[:300].decode(errors='replace')}")
                return None
            self.last_write = time.monotonic()
            found: dict[str, Any] = json.loads(text)
            return found

    def _wait(self) -> None:
        self.done.retries += 1
        time.sleep(_BETWEEN_TRIES_S)
