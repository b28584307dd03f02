from datetime import timedelta

import pytest
from held_payments import DAY, PAID, PRICE, SUPPLY
from litestar.testing import TestClient
from published_scores import SCHEMA
from simulated_till import till_with_server
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.ledger.invariants import check
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.settling import release_due
from serving.privacy.data_keys import Vault
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.channel.requests import send_due
from serving.settlement.payouts import prepare_payouts


@pytest.fixture(scope="module")
def shop(module_database_url):
    with Operations(module_database_url, size=8, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        made.plan()
        made.list("sku", PRICE)
        made.supply("S1", "sku", 10_000, price=SUPPLY)
        made.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
            " values (%(t)s, 'supplier', 'S1', true), (%(t)s, 'merchant', 'm1', true)"
            " on conflict (tenant_id, party_type, party_id) do update set is_verified = true",
            t=TENANT,
        )
        yield made


@pytest.fixture(scope="module")
def client(module_database_url, settings, shop):
    told = settings.model_copy(update={"as_of": PAID})
    app = create_app(told, module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def call(client, module_database_url):
    keys = {
        who: issue_key(
            module_database_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, role, party in (
            ("op", Role.OPERATOR, None),
            ("op2", Role.OPERATOR, None),
            ("m1", Role.MERCHANT, "m1"),
        )
    }

    def send(who, method, path, body=None, **query):
        return client.request(method, f"/v1{path}", params=query, json=body, headers={"X-API-Key": keys[who]})

    send.keys = keys
    return send


@pytest.fixture
def till(client, call, module_database_url, shop):
    """The one active account: seven tenths of a payment may be split, and S1 is a receiver."""
    shop.sql("update channels.account set is_active = false")
    with till_with_server(
        client, module_database_url, fee_bps=60, split_max_bps=7000, clock=lambda: PAID
    ) as made:
        body = {"party_type": "supplier", "party_id": "S1", "account": "190001", "name": "一号供应商有限公司"}
        path = f"/channels/{made.channel_id}/receivers"
        assert call("m1", "PUT", path, body).status_code == 403
        assert call("op", "PUT", path, body).status_code == 204
        yield made


@pytest.fixture
def sold(shop, till):
    """Orders that were paid, received and released; all at once."""

    def make(*names, released=True):
        for name in names:
            shop.place(name, ("sku", 1))
            assert till.pay(name, PRICE, payment_id=f"pay-{name}", paid_at=NOW)[0] == 200
            shop.act(fulfilment.accept, name, "S1", {}, NOW)
            shop.act(fulfilment.ship, name, "S1", fulfilment.Parcel(f"sh-{name}", NOW + 3 * DAY, NOW))
            shop.act(receipts.confirm_receipt, name, None, NOW)
        if released:
            release_due(shop.transaction, TENANT, PAID)

    return make


@pytest.fixture
def pay_out(shop):
    def prepare(batch, at=PAID, **more):
        made = shop.act(prepare_payouts, batch, "simulated", at, **more)
        return {(one.party.party_id, one.order_id): one.amount_cents for one in made}

    return prepare


@pytest.fixture
def run(shop, settings):
    """One round of the job, the wall clock so many minutes ahead."""
    wall = shop.sql("select clock_timestamp()")[0][0]

    def once(minutes=0, at=PAID):
        later = wall + timedelta(minutes=minutes)
        return send_due(shop.operations, Vault.of(settings), TENANT, at, later)

    return once


@pytest.fixture(autouse=True)
def nothing_left(shop, request, till):
    """Every test ends in sound books, and the party is paid whatever it had before the next one."""
    yield
    with shop.transaction() as conn:
        assert [f"{one.rule}: {one.subject}" for one in check(conn, TENANT)] == []
