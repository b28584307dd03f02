"""Sending the messages of `webhooks`: due ones are signed and posted, failures come again later, then never.

Signature: header `Muyun-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of `<t>.<body>`
under the secret of the endpoint. A receiver compares it in constant time and refuses an old `t`.
A message may come twice; `Muyun-Delivery` names it.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import psycopg

from serving.db import locks
from serving.db.operations import Operations
from serving.orders.instructions import find_instruction
from serving.orders.states import UNRECEIVED
from serving.orders.webhooks import INSTRUCTION
from serving.privacy.data_keys import Vault
from serving.privacy.masking import Visibility
from serving.privacy.personal_fields import WEBHOOK_SECRET

Connection = psycopg.Connection[Any]

MOST_ATTEMPTS = 8
"""A message is given up after so many failures: with the delays below after about 11 hours."""
_FIRST_DELAY = timedelta(minutes=5)
_LEASE = timedelta(minutes=2)
_LONGEST_ANSWER = 200


@dataclass(frozen=True)
class Message:
    """A message on its way.

    Attributes:
        delivery_id: Names it.
        url: Where it goes.
        headers: With the signature.
        body: JSON.
    """

    delivery_id: int
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Delivered:
    """What became of the messages that were due."""

    delivered: int
    failed: int
    given_up: int


class Sender(Protocol):
    """Posts a message."""

    def send(self, message: Message) -> int:
        """The HTTP status of the answer.

        Raises:
            OSError: The address does not answer, or must not be asked.
            http.client.HTTPException: What answers speaks no HTTP.
        """


class HttpSender:
    """Posts over http or https, without following redirects.

    Args:
        timeout_s: Seconds to wait for the connection and for the answer.
        allows_private: Whether addresses inside the own network may be asked; an endpoint comes from a
            party, and must not reach what only this machine can reach.
    """

    def __init__(self, timeout_s: float = 10.0, *, allows_private: bool = False) -> None:
        self._timeout_s = timeout_s
        self._allows_private = allows_private

    def send(self, message: Message) -> int:
        """See `Sender`."""
        parts = urlsplit(message.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OSError(f"only http and https are possible, not {parts.scheme!r}")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname, port, timeout=self._timeout_s)
        # The address that was looked at is the one that is asked: a name may answer differently later.
        plain = socket.create_connection((self._address(parts.hostname, port), port), self._timeout_s)
        try:
            connection.sock = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
                if secure
                else plain
            )
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=message.body, headers=dict(message.headers))
            return connection.getresponse().status
        finally:
            plain.close()
            connection.close()

    def _address(self, host: str, port: int) -> str:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = str(found[0][4][0])
        if not self._allows_private and not ipaddress.ip_address(address).is_global:
            raise OSError(f"{host} is inside the own network")
        return address


def signature(secret: str, body: bytes, at: datetime) -> str:
    """The value of `Muyun-Signature`.

    Args:
        secret: Secret of the endpoint.
        body: The body as sent.
        at: Moment of sending.
    """
    stamp = str(int(at.timestamp()))
    digest = hmac.digest(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hex()}"


def delay(attempts: int) -> timedelta:
    """Time until the next attempt after so many failures: 5 minutes, then twice as long each time."""
    return _FIRST_DELAY * 2 ** (attempts - 1)


def deliver_due(
    operations: Operations, vault: Vault, tenant_id: str, now: datetime, sender: Sender, *, limit: int = 100
) -> Delivered:
    """Send what is due; several workers may do so at once.

    No transaction is open while an endpoint is asked: a message is leased for some minutes before, so a
    worker that dies leaves it to the next one.

    Args:
        operations: Transactions.
        vault: Opens secrets and recipients.
        tenant_id: The tenant.
        now: Wall clock (UTC).
        sender: Posts.
        limit: Most messages of this call.
    """
    counts = {"delivered": 0, "waiting": 0, "given_up": 0}
    for _ in range(limit):
        with operations.transaction(tenant_id) as conn:
            taken = _take(conn, vault, tenant_id, now)
        if taken is None:
            break
        message, attempts = taken
        try:
            status = sender.send(message)
            answer = f"HTTP {status}"
        except (OSError, http.client.HTTPException) as error:
            status, answer = 0, f"{type(error).__name__}: {error}"
        state = "given_up" if attempts >= MOST_ATTEMPTS else "waiting"
        if 200 <= status < 300:
            state = "delivered"
        with operations.transaction(tenant_id) as conn:
            _note(conn, tenant_id, message.delivery_id, state, now + delay(attempts), answer)
        counts[state] += 1
    return Delivered(counts["delivered"], counts["waiting"], counts["given_up"])


def _take(conn: Connection, vault: Vault, tenant_id: str, now: datetime) -> tuple[Message, int] | None:
    row = conn.execute(
        "update orders.webhook_delivery d set attempts = d.attempts + 1, next_attempt_at = %(lease)s"
        " from orders.webhook_endpoint e where d.tenant_id = %(tenant)s and e.tenant_id = d.tenant_id"
        " and e.endpoint_id = d.endpoint_id and d.delivery_id = (select delivery_id"
        " from orders.webhook_delivery where tenant_id = %(tenant)s and state = 'waiting'"
        f" and next_attempt_at <= %(now)s order by next_attempt_at, delivery_id limit 1{locks.CLAIMED})"
        " returning d.delivery_id, d.event_type, d.object_id, d.payload, d.attempts, e.endpoint_id, e.url,"
        " e.secret_enc",
        {"tenant": tenant_id, "now": now, "lease": now + _LEASE},
    ).fetchone()
    if row is None:
        return None
    delivery_id, event_type, object_id, payload, attempts, endpoint_id, url, sealed = row
    opened = vault.open_row(conn, tenant_id, WEBHOOK_SECRET.qualified, endpoint_id, {"secret_enc": sealed})
    document = {"event_type": event_type, "object_id": object_id, "data": payload}
    if event_type == INSTRUCTION:
        document["data"] = _whole_instruction(conn, vault, tenant_id, payload)
    body = msgspec.json.encode(document)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "muyun",
        "Muyun-Delivery": str(delivery_id),
        "Muyun-Event": event_type,
        "Muyun-Signature": signature(opened["secret_enc"], body, now),
    }
    return Message(delivery_id, url, headers, body), attempts


def _whole_instruction(conn: Connection, vault: Vault, tenant_id: str, payload: dict[str, str]) -> object:
    """The instruction as it is now; the recipient only while the supplier still has to bring the goods."""
    order_id, supplier_id = payload["order_id"], payload["supplier_id"]
    row = conn.execute(
        "select status from orders.sub_order where tenant_id = %(tenant)s and order_id = %(order)s"
        " and supplier_id = %(supplier)s",
        {"tenant": tenant_id, "order": order_id, "supplier": supplier_id},
    ).fetchone()
    is_open = row is not None and row[0] in UNRECEIVED
    visibility = Visibility.CLEAR if is_open else Visibility.NOTHING
    return find_instruction(conn, vault, tenant_id, order_id, supplier_id, visibility) or payload


def _note(
    conn: Connection, tenant_id: str, delivery_id: int, state: str, next_at: datetime, answer: str
) -> None:
    conn.execute(
        "update orders.webhook_delivery set state = %(state)s, next_attempt_at = %(next)s,"
        " last_answer = %(answer)s"
        " where tenant_id = %(tenant)s and delivery_id = %(delivery)s and state = 'waiting'",
        {
            "tenant": tenant_id,
            "delivery": delivery_id,
            "state": state,
            "next": next_at,
            "answer": answer[:_LONGEST_ANSWER].replace("\x00", ""),
        },
    )
