"""Stock that a supplier's own system pushes, over HTTP: believed once, for five minutes, for one supplier."""

import base64
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.api.orders import stock_pushes
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("stock_pushes")  # one database and application for all

PEM = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem(key):
    return key.public_key().public_bytes(*PEM).decode()


def sign(key, message):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(message)


class Brand:
    """A brand's system with its key, and an application that it pushes to."""

    def __init__(self, client, url, supplier):
        self.client, self.supplier = client, supplier
        self.secret = issue_key(
            url, name="k", role="supplier", party_id=supplier, scopes=sorted(ROLE_SCOPES[Role.SUPPLIER])
        ).secret
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.source = self.register(pem(self.key)).json()["source_id"]

    def ask(self, method, path, body=None):
        headers = {"X-API-Key": self.secret}
        return self.client.request(method, f"/v1{path}", json=body, headers=headers)

    def register(self, public_key):
        return self.ask("POST", f"/suppliers/{self.supplier}/push-sources", {"public_key": public_key})

    def body(self, qty, *, sku="push-1", at=AS_OF):
        line = {"sku_id": sku, "on_hand_qty": qty, "source_at": at.isoformat()}
        return json.dumps({"stock": [line]}).encode()

    def push(self, body, *, key=None, nonce=None, stamp=None, source=None, sent=None, signed_for=None):
        nonce = nonce or uuid.uuid4().hex
        stamp = str(int(time.time())) if stamp is None else stamp
        lines = ((signed_for or source or self.source).encode(), stamp.encode(), nonce.encode(), body)
        signature = sign(key or self.key, b"".join(line + b"\n" for line in lines))
        headers = {
            "Muyun-Timestamp": stamp,
            "Muyun-Nonce": nonce,
            "Muyun-Signature": base64.b64encode(signature).decode(),
            "Content-Type": "application/json",
        }
        path = f"/v1/stock-pushes/{source or self.source}"
        return self.client.post(path, content=body if sent is None else sent, headers=headers)

    def on_hand(self):
        rows = self.ask("GET", f"/suppliers/{self.supplier}/stock").json()["stock"]
        return {row["sku_id"]: row["on_hand_qty"] for row in rows}


@pytest.fixture(scope="module")
def client(module_database_url, settings):
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    with TestClient(create_app(settings, module_database_url, ProfileReader(SCHEMA))) as client:
        yield client


@pytest.fixture
def brand(client, module_database_url):
    return Brand(client, module_database_url, f"brand-{uuid.uuid4().hex[:8]}")


def refused(answer):
    assert answer.status_code == 401, answer.text
    return answer.json()["type"].rsplit(":", 1)[-1]


def test_a_pushed_count_is_stock_by_the_rules_of_the_put(brand):
    assert brand.push(brand.body(7)).json() == {"accepted": ["push-1"], "outdated": []}
    older = brand.push(brand.body(9, at=AS_OF - timedelta(hours=1)))
    assert older.json() == {"accepted": [], "outdated": ["push-1"]}
    assert brand.on_hand() == {"push-1": 7}
    by_key = brand.ask(
        "PUT",
        f"/suppliers/{brand.supplier}/stock",
        json.loads(brand.body(5, at=AS_OF + timedelta(seconds=1))),
    )
    assert by_key.json()["accepted"] == ["push-1"]
    assert brand.on_hand() == {"push-1": 5}


def test_rsa_is_believed_as_well(brand):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    source = brand.register(pem(key)).json()["source_id"]
    assert brand.push(brand.body(4), key=key, source=source).status_code == 200


def test_a_recording_is_refused_whatever_is_done_at_once(brand):
    body = brand.body(3)
    stamp, nonce = str(int(time.time())), uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: brand.push(body, nonce=nonce, stamp=stamp), range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [401] * 7
    assert {refused(one) for one in answers if one.status_code != 200} == {"notice-nonce"}
    assert brand.push(body).status_code == 200  # the same counts, signed again


@pytest.mark.parametrize("seconds", [-301, 301])
def test_what_is_five_minutes_off_is_refused(brand, seconds):
    assert refused(brand.push(brand.body(3), stamp=str(int(time.time()) + seconds))) == "notice-timestamp"
    assert brand.on_hand() == {}


def test_what_was_changed_or_signed_by_another_is_refused(brand):
    assert refused(brand.push(brand.body(3), sent=brand.body(30_000))) == "notice-signature"
    stranger = ed25519.Ed25519PrivateKey.generate()
    assert refused(brand.push(brand.body(3), key=stranger)) == "notice-signature"
    assert refused(brand.push(brand.body(3), source="ps-none")) == "notice-channel"
    assert refused(brand.push(brand.body(3), stamp="soon")) == "notice-timestamp"
    assert refused(brand.push(brand.body(3), nonce="x" * 65)) == "notice-nonce"
    assert brand.on_hand() == {}


def test_a_refused_body_spends_no_nonce(brand):
    nonce = uuid.uuid4().hex
    for body in (b"{", b'{"stock": []}', brand.body(-5), brand.body(10**12)):
        answer = brand.push(body, nonce=nonce)
        assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (422, "stock-push-body")
    future = brand.push(brand.body(1, at=AS_OF + timedelta(days=400)), nonce=nonce)
    assert future.status_code == 422
    assert brand.push(brand.body(1), nonce=nonce).status_code == 200


def test_a_system_states_the_stock_of_its_supplier_alone(brand, client, module_database_url):
    other = Brand(client, module_database_url, f"brand-{uuid.uuid4().hex[:8]}")
    assert brand.push(brand.body(6)).status_code == 200
    assert other.on_hand() == {}
    for method, path in (("GET", ""), ("POST", ""), ("PUT", f"/{brand.source}")):
        body = None if method == "GET" else {"public_key": pem(other.key)}
        answer = other.ask(method, f"/suppliers/{brand.supplier}/push-sources{path}", body)
        assert answer.status_code in (403, 404)
    # Under its own name it does not reach another's system either.
    answer = other.ask(
        "PUT", f"/suppliers/{other.supplier}/push-sources/{brand.source}", {"public_key": pem(other.key)}
    )
    assert answer.status_code == 404


def test_a_key_is_renewed_and_a_system_ends(brand):
    old, brand.key = brand.key, ed25519.Ed25519PrivateKey.generate()
    path = f"/suppliers/{brand.supplier}/push-sources/{brand.source}"
    assert brand.ask("PUT", path, {"public_key": pem(brand.key)}).status_code == 204
    assert refused(brand.push(brand.body(2), key=old)) == "notice-signature"
    assert brand.push(brand.body(2)).status_code == 200
    assert brand.ask("PUT", path, {"public_key": pem(brand.key), "is_active": False}).status_code == 204
    assert refused(brand.push(brand.body(9))) == "notice-channel"
    # Registered again it is the same system.
    again = brand.register(pem(brand.key)).json()
    assert (again["source_id"], again["is_active"]) == (brand.source, True)
    listed = brand.ask("GET", f"/suppliers/{brand.supplier}/push-sources").json()["sources"]
    assert [one["source_id"] for one in listed] == [brand.source]
    assert brand.push(brand.body(9, at=AS_OF + timedelta(seconds=2))).status_code == 200


def test_what_is_no_key_is_told(brand):
    curve = ec.generate_private_key(ec.SECP256R1())
    for text in ("no key", pem(curve)):
        answer = brand.register(text)
        assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (422, "channel-key-refused")


def test_what_was_sent_to_one_system_says_nothing_at_another(brand, client, module_database_url):
    """A brand may sign for two suppliers, or on two platforms, with one key."""
    other = Brand(client, module_database_url, f"brand-{uuid.uuid4().hex[:8]}")
    same = other.register(pem(brand.key)).json()["source_id"]
    assert refused(brand.push(brand.body(6), source=same, signed_for=brand.source)) == "notice-signature"
    assert brand.push(brand.body(6), source=same).status_code == 200
    assert (brand.on_hand(), other.on_hand()) == ({}, {"push-1": 6})


def test_a_key_names_one_system_however_it_is_spelt(brand):
    other = ed25519.Ed25519PrivateKey.generate()
    second = brand.register(pem(other)).json()["source_id"]
    assert brand.register("\n" + pem(other) + "\n\n").json()["source_id"] == second
    answer = brand.ask(
        "PUT", f"/suppliers/{brand.supplier}/push-sources/{second}", {"public_key": pem(brand.key)}
    )
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (409, "push-key-taken")
    assert brand.push(brand.body(8), key=other, source=second).status_code == 200


def test_what_is_pushed_stands_in_the_audit_log(brand, module_database_url):
    assert brand.push(brand.body(7)).status_code == 200
    refused(brand.push(brand.body(7), stamp="soon"))
    with psycopg.connect(libpq_url(module_database_url)) as conn:
        rows = conn.execute(
            "select action, role, party_id, details, authority from ops.audit_log where key_id = %s",
            (brand.source,),
        ).fetchall()
    assert rows == [("stock.push", "supplier", brand.supplier, {"skus": 1, "accepted": 1}, "pushed_stock")]


def test_a_system_that_pushes_too_fast_waits_and_no_stranger_uses_up_its_pace(brand, monkeypatch):
    monkeypatch.setattr(stock_pushes, "_PUSHED_BURST", 3)
    monkeypatch.setattr(stock_pushes, "_PUSHED_PER_S", 1e-6)
    stranger = ed25519.Ed25519PrivateKey.generate()
    for _ in range(5):
        assert refused(brand.push(brand.body(3), key=stranger)) == "notice-signature"
    assert [brand.push(brand.body(3)).status_code for _ in range(3)] == [200] * 3
    nonce = uuid.uuid4().hex
    late = brand.push(brand.body(3), nonce=nonce)
    assert (late.status_code, late.json()["type"]) == (429, "urn:muyun:problem:too-many-requests")
    assert int(late.headers["retry-after"]) > 0
    monkeypatch.setattr(stock_pushes, "_PUSHED_PER_S", 1e6)
    assert brand.push(brand.body(3), nonce=nonce).status_code == 200, "what waited spent no nonce"
