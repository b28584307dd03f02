"""Sending the messages of `webhooks`: due ones are signed and posted, failures come again later, then never.

Signature: header `Muyun-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of `<t>.<body>`
under the secret of the endpoint. A receiver compares it in constant time and refuses an old `t`.
A message may come twice; `Muyun-Delivery` names it. Personal values leave over https only.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import psycopg

from serving.audit import Detail, record
from serving.db import locks
from serving.db.operations import Operations
from serving.orders.fulfilment.instructions import find_instruction
from serving.orders.states import UNRECEIVED
from serving.orders.webhooks.webhook_addresses import (
    STRICT,
    AddressRefusedError,
    AddressRules,
    parse,
    resolve,
)
from serving.orders.webhooks.webhooks import INSTRUCTION
from serving.privacy.data_keys import Vault
from serving.privacy.masking import Visibility
from serving.privacy.personal_fields import WEBHOOK_SECRET
from serving.security import Principal, Role

Connection = psycopg.Connection[Any]

MOST_ATTEMPTS = 8
"""A message is given up after so many failures: with the delays below after about 11 hours."""
_FIRST_DELAY = timedelta(minutes=5)
_LEASE = timedelta(minutes=2)
_LONGEST_ANSWER = 200
_WORKER = "webhook-worker"
"""Stands in the audit log where a key would."""


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
    """Posts to the address that was looked up, and reads no more than the status of the answer.

    No redirect is followed and no body is read, so nothing keeps the sender busy beyond the deadline.

    Args:
        deadline_s: Seconds for everything together: looking up, connecting, TLS, sending, the answer.
        rules: What addresses an operator allows.
        tls: How certificates are verified; None takes the authorities of the system (`SSL_CERT_FILE`).
    """

    def __init__(
        self,
        deadline_s: float = 10.0,
        rules: AddressRules = STRICT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._rules = rules
        self._tls = tls

    def send(self, message: Message) -> int:
        """See `Sender`."""
        until = time.monotonic() + self._deadline_s
        try:
            address = parse(message.url, self._rules)
            # What was looked at is what is asked: a name may stand for something else a moment later.
            place = resolve(address, self._rules)
        except AddressRefusedError as error:
            raise OSError(str(error)) from error
        plain = socket.create_connection((place, address.port), max(0.1, until - time.monotonic()))
        connection: http.client.HTTPConnection | None = None
        # Limits of single reads do not help against an answer that comes byte by byte.
        line = [plain]
        end = threading.Timer(max(0.1, until - time.monotonic()), _hang_up, [line])
        end.daemon = True
        end.start()
        try:
            plain.settimeout(self._deadline_s)
            kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
            connection = kind(address.host, address.port, timeout=self._deadline_s)
            connection.sock = plain
            if address.secure:
                tls = self._tls or ssl.create_default_context()
                host = address.host
                secured = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
                connection.sock = line[0] = secured
                secured.do_handshake()
            connection.request("POST", address.target, body=message.body, headers=dict(message.headers))
            return connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= until:
                raise TimeoutError(f"no answer within {self._deadline_s:g} s") from error
            raise
        finally:
            end.cancel()
            if connection is not None:
                connection.close()
            line[0].close()


def _hang_up(line: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        # Past TLS, which would want to say good-bye.
        socket.socket.shutdown(line[0], socket.SHUT_RDWR)


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
    operations: Operations,
    vault: Vault,
    tenant_id: str,
    now: datetime,
    sender: Sender,
    *,
    limit: int = 100,
    workers: int = 8,
) -> Delivered:
    """Send what is due; several processes may do so at once.

    No transaction is open while an endpoint is asked: a message is leased for some minutes before, so a
    worker that dies leaves it to the next one. An endpoint is asked for one message at a time, and no more in
    this call once it failed, so that a slow receiver takes one thread and one deadline from the others.

    Args:
        operations: Transactions.
        vault: Opens secrets and recipients.
        tenant_id: The tenant.
        now: Wall clock (UTC).
        sender: Posts.
        limit: Most messages of this call.
        workers: Most endpoints that are asked at once.
    """
    round_ = _Round(operations, vault, tenant_id, now, sender, limit)
    with ThreadPoolExecutor(workers, thread_name_prefix="webhooks") as pool:
        for worker in [pool.submit(round_.work) for _ in range(workers)]:
            worker.result()
    counts = round_.counts
    return Delivered(counts["delivered"], counts["waiting"], counts["given_up"])


@dataclass(frozen=True)
class _Leased:
    """A message that is this worker's for some minutes."""

    delivery_id: int
    endpoint_id: str
    attempts: int


class _Round:
    """One call of `deliver_due`: what its workers share."""

    def __init__(
        self, operations: Operations, vault: Vault, tenant_id: str, now: datetime, sender: Sender, limit: int
    ) -> None:
        self._operations, self._vault, self._tenant_id = operations, vault, tenant_id
        self._now, self._sender, self._left = now, sender, limit
        self._guard = threading.Lock()
        self._passed_over: set[str] = set()
        self.counts: Counter[str] = Counter()

    def work(self) -> None:
        """Send one message after the other until nothing is left."""
        while (leased := self._lease()) is not None:
            is_arrived, answer = self._send(leased)
            state = "delivered"
            if not is_arrived:
                state = "given_up" if leased.attempts >= MOST_ATTEMPTS else "waiting"
            with self._operations.transaction(self._tenant_id) as conn:
                _note(
                    conn,
                    self._tenant_id,
                    leased.delivery_id,
                    state,
                    self._now + delay(leased.attempts),
                    answer,
                )
            with self._guard:
                self.counts[state] += 1
                if is_arrived:
                    self._passed_over.discard(leased.endpoint_id)

    def _lease(self) -> _Leased | None:
        with self._guard:
            if self._left == 0:
                return None
            with self._operations.transaction(self._tenant_id) as conn:
                leased = _lease(conn, self._tenant_id, self._now, self._passed_over)
            if leased is not None:
                self._left -= 1
                self._passed_over.add(leased.endpoint_id)
            return leased

    def _send(self, leased: _Leased) -> tuple[bool, str]:
        """Whether it arrived, and what was answered; whatever is wrong with a message is its reason."""
        try:
            with self._operations.transaction(self._tenant_id) as conn:
                message = _message(conn, self._vault, self._tenant_id, leased, self._now)
            status = self._sender.send(message)
        except Exception as error:  # noqa: BLE001
            return False, f"{type(error).__name__}: {error}"
        return 200 <= status < 300, f"HTTP {status}"


def _lease(conn: Connection, tenant_id: str, now: datetime, passed_over: Collection[str]) -> _Leased | None:
    row = conn.execute(
        "update orders.webhook_delivery d set attempts = d.attempts + 1, next_attempt_at = %(lease)s"
        " where d.tenant_id = %(tenant)s and d.delivery_id = (select delivery_id"
        " from orders.webhook_delivery where tenant_id = %(tenant)s and state = 'waiting'"
        " and next_attempt_at <= %(now)s and endpoint_id <> all(%(without)s)"
        f" order by next_attempt_at, delivery_id limit 1{locks.CLAIMED})"
        " returning d.delivery_id, d.endpoint_id, d.attempts",
        {"tenant": tenant_id, "now": now, "lease": now + _LEASE, "without": sorted(passed_over)},
    ).fetchone()
    return None if row is None else _Leased(*row)


def _message(conn: Connection, vault: Vault, tenant_id: str, leased: _Leased, now: datetime) -> Message:
    row = conn.execute(
        "select d.event_type, d.object_id, d.payload, e.url, e.secret_enc from orders.webhook_delivery d"
        " join orders.webhook_endpoint e using (tenant_id, endpoint_id)"
        " where d.tenant_id = %(tenant)s and d.delivery_id = %(delivery)s",
        {"tenant": tenant_id, "delivery": leased.delivery_id},
    ).fetchone()
    assert row is not None, "a message is never removed"
    event_type, object_id, payload, url, sealed = row
    opened = vault.open_row(
        conn, tenant_id, WEBHOOK_SECRET.qualified, leased.endpoint_id, {"secret_enc": sealed}
    )
    document = {"event_type": event_type, "object_id": object_id, "data": payload}
    if event_type == INSTRUCTION:
        document["data"] = _whole_instruction(conn, vault, tenant_id, payload, url, leased)
    body = msgspec.json.encode(document)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "muyun",
        "Muyun-Delivery": str(leased.delivery_id),
        "Muyun-Event": event_type,
        "Muyun-Signature": signature(opened["secret_enc"], body, now),
    }
    return Message(leased.delivery_id, url, headers, body)


def _whole_instruction(
    conn: Connection, vault: Vault, tenant_id: str, payload: dict[str, str], url: str, leased: _Leased
) -> object:
    """The instruction as it is now; the recipient only over https, while the goods still have to be brought.

    That a recipient leaves is noted in the audit log, in the name of the worker, before it is sent.
    """
    order_id, supplier_id = payload["order_id"], payload["supplier_id"]
    row = conn.execute(
        "select status from orders.sub_order where tenant_id = %(tenant)s and order_id = %(order)s"
        " and supplier_id = %(supplier)s",
        {"tenant": tenant_id, "order": order_id, "supplier": supplier_id},
    ).fetchone()
    is_open = row is not None and row[0] in UNRECEIVED
    is_shown = is_open and url.startswith("https://")
    visibility = Visibility.CLEAR if is_shown else Visibility.NOTHING
    found = find_instruction(conn, vault, tenant_id, order_id, supplier_id, visibility)
    if found is not None and found.recipient is not None:
        details: dict[str, Detail] = {
            "supplier_id": supplier_id,
            "endpoint_id": leased.endpoint_id,
            "delivery_id": leased.delivery_id,
        }
        worker = Principal(_WORKER, tenant_id, Role.OPERATOR, None, frozenset())
        record(
            conn,
            worker,
            "recipient.send",
            "order",
            order_id,
            request_id=f"delivery-{leased.delivery_id}",
            details=details,
        )
    return found or payload


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
