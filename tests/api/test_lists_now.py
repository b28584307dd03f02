"""What a list shows at the moment of the request: nothing that ran out, lost its offers or came off sale."""

import time
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from models.supply.brake.ladder import Level, Rules
from serving.app import create_app
from serving.db.operations import Operations
from serving.orders.assortment import catalogue
from serving.quality.judging import Finding, judge
from serving.scores.loader import publish
from serving.security import Scope, issue_key


class Front:
    """The storefront of m1 over a fresh publication: five skus in a list of c1, three known to the till."""

    def __init__(self, client, key, shop):
        self.client, self.shop, self.headers = client, shop, {"X-API-Key": key}

    def shown(self, consumer="c1", merchant="m1", **more):
        query = {"merchant_id": merchant, "consumer_id": consumer, **more}
        answer = self.client.get("/v1/recommendations", params=query, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return [item["sku_id"] for item in answer.json()["items"]]

    def order(self, sku, qty=1):
        line = {"merchant_id": "m1", "consumer_id": "c9", "lines": [{"sku_id": sku, "qty": qty}]}
        headers = self.headers | {"Idempotency-Key": f"order-{sku}"}
        answer = self.client.post("/v1/orders", json=line, headers=headers)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def front(database_url, settings):
    tables = small_tables()
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    with Operations(database_url, size=2) as operations:
        shop = Shop(database_url, operations)
        shop.plan()
        for sku in ("m1-s1", "m1-s2", "m1-s3", "m1-p1"):
            shop.list(sku, 2000)
            shop.supply("S1", sku, 1)
        app = create_app(settings, database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Front(client, key, shop)


def test_the_last_unit_sold_is_gone_from_the_next_answer_and_the_list_fills_up(front):
    assert front.shown(limit=2) == ["m1-s1", "m1-s2"]
    front.order("m1-s1")
    assert front.shown(limit=2) == ["m1-s2", "m1-s3"]
    assert front.shown() == ["m1-s2", "m1-s3", "m1-s4", "m1-s5"]
    # What sells well has the same door, and another merchant's list its own skus.
    assert front.shown("somebody-new", limit=2) == ["m1-p1", "m1-p2"]
    front.order("m1-p1")
    assert front.shown("somebody-new", limit=2) == ["m1-p2", "m1-p3"]
    assert front.shown("c1", "m2", limit=1) == ["m2-s1"]
    front.shop.supply("S2", "m1-s1", 5)
    assert front.shown(limit=2) == ["m1-s1", "m1-s2"], "back in stock is back in the list"


def test_what_the_quality_brake_stopped_is_gone_from_the_next_answer(front):
    def night(level):
        found = [Finding(sku, level, "reason", {}) for sku in ("m1-s1", "m1-s4")]
        with front.shop.transaction() as conn:
            judge(conn, TENANT, found, Rules(), NOW)

    night(Level.LIMIT)
    assert front.shown(limit=2) == ["m1-s1", "m1-s2"], "half the exposure is made when lists are scored"
    night(Level.STOP)
    # m1-s4 is known to no till: it is stopped all the same.
    assert front.shown() == ["m1-s2", "m1-s3", "m1-s5"]


def test_an_event_orders_the_next_answer(front):
    front.shop.list("m1-s5", 2000)

    def send(number, kind, sku, **more):
        event = {
            "event_id": f"e{number}", "session_id": "s", "event_type": kind, "sku_id": sku,
            "merchant_id": "m1", "consumer_id": "c1", "occurred_at": AS_OF.isoformat(), **more,
        }  # fmt: skip
        answer = front.client.post("/v1/events", json={"events": [event]}, headers=front.headers)
        assert answer.status_code == 200, answer.text

    send(1, "view", "m1-s3", merchant_id="m2")
    send(2, "view", "m1-s3", consumer_id="c2")
    send(3, "view", "m1-s3", occurred_at=(AS_OF - timedelta(days=2)).isoformat())
    send(4, "view", "m1-s5")
    assert front.shown() == ["m1-s1", "m1-s2", "m1-s3", "m1-s4", "m1-s5"], "nothing goes with m1-s5"
    send(5, "view", "m1-s3")
    assert front.shown() == ["m1-s5", "m1-s4", "m1-s1", "m1-s2", "m1-s3"]
    send(6, "checkout", "m1-s1")
    assert front.shown() == ["m1-s5", "m1-s4", "m1-s2", "m1-s3", "m1-s1"]
    assert front.shown(limit=1) == ["m1-s5"]
    assert front.shown("c9")[0] == "m1-p1"


def test_what_goes_with_a_sku_follows_it_within_a_tenth_of_a_second(front):
    event = {
        "event_id": "e1", "session_id": "s", "event_type": "add_to_cart", "sku_id": "m1-s3",
        "merchant_id": "m1", "consumer_id": "c1", "occurred_at": AS_OF.isoformat(),
    }  # fmt: skip
    query = {"merchant_id": "m1", "consumer_id": "c1"}

    def one(number):
        began = time.perf_counter()
        sent = {"events": [event | {"event_id": f"e{number}"}]}
        assert front.client.post("/v1/events", json=sent, headers=front.headers).status_code == 200
        answer = front.client.get("/v1/recommendations", params=query, headers=front.headers)
        return time.perf_counter() - began, answer.json()["items"]

    assert front.shown() == ["m1-s1", "m1-s2", "m1-s3", "m1-s4", "m1-s5"]
    told = [one(number) for number in range(9)]
    # m1-s5: log 6 - 2 = -.208; m1-s4: log 5 - 2 x .2 / .4 = .609; m1-s1: log 2 = .693.
    assert {tuple(item["sku_id"] for item in items) for _, items in told} == {
        ("m1-s5", "m1-s4", "m1-s1", "m1-s2", "m1-s3")
    }
    reasons = {item["sku_id"]: item["reason_code"] for item in told[0][1]}
    assert (reasons["m1-s5"], reasons["m1-s4"]) == ("goes_with_session", "goes_with_session")
    assert reasons["m1-s3"] != "goes_with_session"
    assert min(seconds for seconds, _ in told) < 0.1


def ended(conn, sku):
    offer = catalogue.Offer("S1", sku, 1000, 0, 1, NOW + timedelta(days=1), is_active=False)
    catalogue.put_offers(conn, TENANT, [offer])


def not_approved(conn, sku):
    catalogue.approve_skus(conn, TENANT, "S1", [catalogue.SupplierSku(sku, is_approved=False)])


def off_sale(conn, sku):
    catalogue.put_listings(conn, TENANT, [catalogue.Listing("m1", sku, 2000, is_listed=False)])


def only_the_buffer_left(conn, sku):
    conn.execute("update orders.stock set buffer_qty = 1 where sku_id = %s", (sku,))


def less_than_an_order(conn, sku):
    conn.execute("update orders.offer set min_order_qty = 2 where sku_id = %s", (sku,))


def supplier_out(conn, sku):
    conn.execute(
        "insert into parties.party (tenant_id, party_type, party_id, is_active)"
        " values (%s, 'supplier', 'S1', false) on conflict (tenant_id, party_type, party_id)"
        " do update set is_active = false",
        (TENANT,),
    )


def test_what_lost_its_offer_is_not_shown(front):
    ways = [ended, not_approved, off_sale, only_the_buffer_left, less_than_an_order, supplier_out]
    for number, way in enumerate(ways, start=1):
        sku = f"m1-p{number}"
        front.shop.list(sku, 2000)
        front.shop.supply("S1", sku, 1)
        assert sku in front.shown("somebody-new"), way.__name__
        with front.shop.transaction() as conn:
            way(conn, sku)
        assert sku not in front.shown("somebody-new"), way.__name__
    assert front.shown("somebody-new")[0] == "m1-p7", "what the till never heard of is not judged by it"
    assert front.shown("somebody-new", limit=1) == ["m1-p7"], "however many are gone before it"


def test_a_consent_across_merchants_that_is_withdrawn_hides_the_list_until_it_is_made_anew(front, settings):
    consents = "/v1/consumers/c1/consents"
    moment = AS_OF + timedelta(hours=1)
    said = {"purpose": "cross_merchant", "granted": False, "stated_at": moment.isoformat(), "source": "app"}
    app = create_app(settings.model_copy(update={"as_of": moment}), front.shop.url, ProfileReader(SCHEMA))
    with TestClient(app) as client:
        front.client = client
        assert front.shown()[0] == "m1-s1"
        assert client.post(consents, json=said, headers=front.headers).status_code == 200
        assert front.shown()[0] == "m1-p1"
        assert front.shown("c2")[0] == "m1-s1"
        tables = small_tables("v2")
        manifest = manifest_of("v2", tables, as_of=AS_OF + timedelta(days=1), sha="b")
        publish(front.shop.url, manifest, tables)
        assert front.shown()[0] == "m1-s1", "these lists were made after the withdrawal"
