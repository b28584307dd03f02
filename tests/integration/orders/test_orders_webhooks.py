"""Messages against a real HTTP server; the signature is verified by other means than it was made."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from small_market import NOW, TENANT

from serving.orders.fulfilment import fulfilment
from serving.orders.webhooks import webhooks
from serving.orders.webhooks.delivery import MOST_ATTEMPTS, HttpSender, Message, deliver_due
from serving.orders.webhooks.webhook_addresses import AddressRules
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import new_master_key
from serving.privacy.master_key import Keyring
from serving.privacy.personal_fields import Recipient, put_recipient

LOOSE = AddressRules(http=True, private=True)
SENDER = HttpSender(5, LOOSE)
RECIPIENT = Recipient("王小明", "13812345678", "杭州市文三路 1 号", "330100")


@pytest.fixture(scope="module")
def vault():
    keyring = Keyring((new_master_key(),))
    return Vault(lambda: keyring)


@pytest.fixture(scope="module", autouse=True)
def plan(shop):
    shop.plan()


@pytest.fixture
def receiver():
    """A local HTTP server that answers with `statuses` in turn, then 200, and keeps what it got."""

    class Receiver(BaseHTTPRequestHandler):
        statuses, got = [], []

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.got.append((self.path, dict(self.headers), body))
            status = self.statuses.pop(0) if self.statuses else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    Receiver.server = server
    Receiver.url = f"http://127.0.0.1:{server.server_port}/hook?x=1"
    yield Receiver
    server.shutdown()
    thread.join()
    server.server_close()


def add(shop, vault, party_type, party_id, url):
    with shop.transaction() as conn:
        return webhooks.add_endpoint(conn, vault, TENANT, party_type, party_id, url)


def paid_order(shop, vault, name, supplier):
    shop.list(name, 1000)
    shop.supply(supplier, name, 5, price=600)
    shop.place(name, (name, 2))
    with shop.transaction() as conn:
        put_recipient(conn, vault, TENANT, name, RECIPIENT)
    shop.pay(name)


def openssl_hmac(secret, text):
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", secret], input=text, capture_output=True, check=True
    )
    return done.stdout.decode().split()[-1]


def states(shop, endpoint):
    return shop.sql(
        "select event_type, state, attempts, last_answer from orders.webhook_delivery"
        " where endpoint_id = %(endpoint)s order by delivery_id",
        endpoint=endpoint.endpoint_id,
    )


def test_a_message_fails_first_and_arrives_signed_later(shop, vault, receiver):
    endpoint, secret = add(shop, vault, "supplier", "H1", receiver.url)
    paid_order(shop, vault, "hook-1", "H1")
    receiver.statuses[:] = [500, 302]
    now = datetime.now(UTC) + timedelta(seconds=1)

    def deliver(at):
        done = deliver_due(shop.operations, vault, TENANT, at, SENDER)
        return (done.delivered, done.failed, done.given_up)

    assert deliver(now) == (0, 1, 0)
    assert states(shop, endpoint) == [("shipping_instruction.created", "waiting", 1, "HTTP 500")]
    assert deliver(now + timedelta(minutes=4)) == (0, 0, 0)
    assert deliver(now + timedelta(minutes=5)) == (0, 1, 0)
    assert deliver(now + timedelta(minutes=14)) == (0, 0, 0)
    last = now + timedelta(minutes=15)
    assert deliver(last) == (1, 0, 0)
    assert deliver(last + timedelta(days=1)) == (0, 0, 0)
    assert states(shop, endpoint) == [("shipping_instruction.created", "delivered", 3, "HTTP 200")]
    assert [path for path, _, _ in receiver.got] == ["/hook?x=1"] * 3
    _, headers, body = receiver.got[-1]
    stamp, digest = (part.split("=", 1)[1] for part in headers["Muyun-Signature"].split(","))
    assert int(stamp) == int(last.timestamp())
    assert digest == openssl_hmac(secret, stamp.encode() + b"." + body)
    assert digest != openssl_hmac(secret + "x", stamp.encode() + b"." + body)
    document = json.loads(body)
    assert document["event_type"] == headers["Muyun-Event"] == "shipping_instruction.created"
    # Over http, which an operator allowed, no recipient leaves.
    assert document["data"]["recipient"] is None
    assert sent_recipients(shop, "hook-1") == []
    assert [(line["sku_id"], line["qty"]) for line in document["data"]["lines"]] == [("hook-1", 2)]


def sent_recipients(shop, order_id):
    return shop.sql(
        "select key_id, details from ops.audit_log where action = 'recipient.send' and object_id = %(order)s",
        order=order_id,
    )


def test_a_recipient_leaves_over_https_only_and_it_is_noted(shop, vault, receiver, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*make, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    receiver.server.socket = served.wrap_socket(receiver.server.socket, server_side=True)
    url = f"https://localhost:{receiver.server.server_port}/safe"
    endpoint, _ = add(shop, vault, "supplier", "H7", url)
    paid_order(shop, vault, "hook-7", "H7")
    now = datetime.now(UTC) + timedelta(seconds=1)
    # A certificate of nobody we know is no https.
    assert deliver_due(shop.operations, vault, TENANT, now, HttpSender(5, LOOSE)).delivered == 0
    assert "CERTIFICATE_VERIFY_FAILED" in states(shop, endpoint)[0][3]
    assert receiver.got == []
    trusted = HttpSender(5, LOOSE, ssl.create_default_context(cafile=str(certificate)))
    later = now + timedelta(minutes=6)
    assert deliver_due(shop.operations, vault, TENANT, later, trusted).delivered == 1
    (_, _, body) = receiver.got[0]
    assert json.loads(body)["data"]["recipient"]["phone"] == "13812345678"
    noted = sent_recipients(shop, "hook-7")
    assert [key_id for key_id, _ in noted] == ["webhook-worker"] * 2
    assert noted[0][1]["endpoint_id"] == endpoint.endpoint_id


def test_a_message_is_given_up_after_the_last_attempt(shop, vault, receiver):
    endpoint, _ = add(shop, vault, "supplier", "H2", receiver.url)
    paid_order(shop, vault, "hook-2", "H2")
    receiver.statuses[:] = [503] * MOST_ATTEMPTS
    at = datetime.now(UTC) + timedelta(seconds=1)
    waits = []
    for _ in range(MOST_ATTEMPTS):
        deliver_due(shop.operations, vault, TENANT, at, SENDER)
        ((due,),) = shop.sql(
            "select next_attempt_at from orders.webhook_delivery where endpoint_id = %(e)s",
            e=endpoint.endpoint_id,
        )
        waits.append(int((due - at).total_seconds()) // 60)
        at = due
    assert waits[:-1] == [5, 10, 20, 40, 80, 160, 320]
    assert states(shop, endpoint) == [("shipping_instruction.created", "given_up", MOST_ATTEMPTS, "HTTP 503")]
    deliver_due(shop.operations, vault, TENANT, at + timedelta(days=9), SENDER)
    assert len(receiver.got) == MOST_ATTEMPTS


def test_the_database_holds_no_recipient_and_no_secret(shop, vault, receiver):
    _, secret = add(shop, vault, "supplier", "H3", receiver.url)
    paid_order(shop, vault, "hook-3", "H3")
    text = str(shop.sql("select t::text from orders.webhook_delivery t"))
    text += str(shop.sql("select t::text from orders.webhook_endpoint t"))
    assert "13812345678" not in text
    assert secret not in text
    assert secret.encode().hex() not in text


def test_only_the_party_is_told_and_not_after_the_end(shop, vault, receiver):
    gone, _ = add(shop, vault, "supplier", "H4", receiver.url)
    merchant, _ = add(shop, vault, "merchant", "m1", receiver.url)
    stranger, _ = add(shop, vault, "merchant", "m2", receiver.url)
    paid_order(shop, vault, "hook-4", "H4")
    with shop.transaction() as conn:
        webhooks.change_endpoint(conn, TENANT, gone.endpoint_id, gone.url, False)
    shop.act(fulfilment.reject, "hook-4", "H4", "none", NOW)
    assert [row[:2] for row in states(shop, gone)] == [("shipping_instruction.created", "given_up")]
    told = [event for event, *_ in states(shop, merchant)]
    assert told == ["order.paid", "sub_order.rejected"]
    assert states(shop, stranger) == []


def test_a_worker_that_dies_leaves_its_message_to_the_next(shop, vault, receiver):
    endpoint, _ = add(shop, vault, "supplier", "H5", receiver.url)
    paid_order(shop, vault, "hook-5", "H5")
    shop.sql(
        "update orders.webhook_delivery set state = 'given_up' where endpoint_id <> %(e)s",
        e=endpoint.endpoint_id,
    )
    at = datetime.now(UTC) + timedelta(seconds=1)

    class Dies:
        def send(self, message):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver_due(shop.operations, vault, TENANT, at, Dies())
    assert deliver_due(shop.operations, vault, TENANT, at, SENDER).delivered == 0
    assert deliver_due(shop.operations, vault, TENANT, at + timedelta(minutes=2), SENDER).delivered == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/", "http://10.0.0.1/"]
)
def test_addresses_inside_the_own_network_are_not_asked(url):
    with pytest.raises(OSError, match="inside the own network"):
        HttpSender(1, AddressRules(http=True)).send(Message(1, url, {}, b"{}"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/", "http:///x"])
def test_only_http_is_spoken(url):
    with pytest.raises(OSError, match="only http and https"):
        SENDER.send(Message(1, url, {}, b"{}"))


@pytest.fixture
def talker():
    """A server of bare sockets; `say(connection)` is what it does with each."""
    server = socket.create_server(("127.0.0.1", 0))
    opened = []

    class Talker:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        say = staticmethod(lambda connection: None)

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            opened.append(connection)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection):
        with contextlib.suppress(OSError):
            Talker.say(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield Talker
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in opened:
        connection.close()


def silent(connection):
    time.sleep(30)


def drips(connection):
    for letter in b"HTTP/1.1 200 OK\r\n" * 100:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def endless_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        connection.sendall(b"x-%d: y\r\n" % number)
        time.sleep(0.02)


@pytest.mark.parametrize("habit", [silent, drips])
def test_a_receiver_cannot_hold_the_sender_beyond_the_deadline(talker, habit):
    talker.say = staticmethod(habit)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        HttpSender(0.4, LOOSE).send(Message(1, talker.url, {}, b"{}"))
    assert time.monotonic() - begun < 5


def test_endless_headers_after_a_status_end_with_the_deadline(talker):
    talker.say = staticmethod(endless_headers)
    begun = time.monotonic()
    # The receiver said that it has the message.
    assert HttpSender(0.4, LOOSE).send(Message(1, talker.url, {}, b"{}")) == 200
    assert time.monotonic() - begun < 5


def test_an_endless_body_is_not_read(talker):
    def endless_body(connection):
        connection.sendall(b"HTTP/1.1 204 No\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    talker.say = staticmethod(endless_body)
    assert HttpSender(2, LOOSE).send(Message(1, talker.url, {}, b"{}")) == 204


def test_a_slow_receiver_delays_no_other_and_is_asked_once_a_round(shop, vault, receiver, talker):
    talker.say = staticmethod(silent)
    slow, _ = add(shop, vault, "merchant", "m-slow", talker.url)
    fast, _ = add(shop, vault, "merchant", "m-fast", receiver.url)
    shop.sql("update orders.webhook_delivery set state = 'given_up' where state = 'waiting'")
    for number in range(4):
        for merchant in ("m-slow", "m-fast"):
            with shop.transaction() as conn:
                webhooks.tell_merchant(conn, TENANT, merchant, "order.paid", f"slow-{number}")
    at = datetime.now(UTC) + timedelta(seconds=1)
    done = deliver_due(shop.operations, vault, TENANT, at, HttpSender(0.5, LOOSE))
    assert (done.delivered, done.failed, done.given_up) == (4, 1, 0)
    assert [state for _, state, _, _ in states(shop, fast)] == ["delivered"] * 4
    assert [attempts for _, _, attempts, _ in states(shop, slow)] == [1, 0, 0, 0]


def test_a_broken_message_is_given_up_with_its_reason_and_holds_up_no_other(shop, vault, receiver):
    broken, _ = add(shop, vault, "merchant", "m-broken", receiver.url)
    add(shop, vault, "merchant", "m-sound", receiver.url)
    shop.sql("update orders.webhook_delivery set state = 'given_up' where state = 'waiting'")
    # A secret that was changed on disk opens no more, and an address of an earlier release is none.
    shop.sql(
        "update orders.webhook_endpoint set secret_enc = %(bad)s where endpoint_id = %(e)s",
        bad=b"nonsense",
        e=broken.endpoint_id,
    )
    old, _ = add(shop, vault, "merchant", "m-old", "http://[::1")
    for merchant in ("m-broken", "m-old", "m-sound"):
        with shop.transaction() as conn:
            webhooks.tell_merchant(conn, TENANT, merchant, "order.paid", "broken-1")
    at = datetime.now(UTC) + timedelta(seconds=1)
    done = deliver_due(shop.operations, vault, TENANT, at, SENDER)
    assert (done.delivered, done.failed, done.given_up) == (1, 2, 0)
    for _ in range(MOST_ATTEMPTS):
        at += timedelta(days=1)
        deliver_due(shop.operations, vault, TENANT, at, SENDER)
    for endpoint in (broken, old):
        ((_, state, attempts, reason),) = states(shop, endpoint)
        assert (state, attempts) == ("given_up", MOST_ATTEMPTS)
        assert reason
    assert "no address" in states(shop, old)[0][3]
