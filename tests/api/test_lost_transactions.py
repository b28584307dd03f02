"""A transaction that PostgreSQL ended for another one is run again inside of its request."""

import re

import psycopg
import pytest
from small_market import Shop

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("lost_transactions")  # one world for all, in order


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        yield made


@pytest.fixture(scope="module")
def place(client, scores_url):
    """Ask for an order of one unit; the answer."""
    scopes = sorted(ROLE_SCOPES[Role.MERCHANT])
    key = issue_key(scores_url, name="m1", role=Role.MERCHANT, party_id="m1", scopes=scopes).secret

    def send(sku):
        wanted = {"merchant_id": "m1", "consumer_id": "c1", "lines": [{"sku_id": sku, "qty": 1}]}
        headers = {"X-API-Key": key, "Idempotency-Key": sku}
        return client.post("/v1/orders", json=wanted, headers=headers)

    return send


@pytest.fixture
def goods(shop):
    def make(sku):
        shop.list(sku, 1000)
        shop.supply("S1", sku, 10, price=600)
        return sku

    return make


@pytest.fixture
def ended_by_postgresql(shop):
    """Let PostgreSQL end the first transactions that touch orders of a merchant, as it ends a deadlock."""
    with psycopg.connect(libpq_url(shop.url)) as owner:
        owner.execute("create sequence orders.lost_test")
        owner.execute("grant usage on sequence orders.lost_test to muyun_app")
        owner.execute(
            "create function orders.lose_test() returns trigger language plpgsql as $$ begin"
            " if nextval('orders.lost_test') <= tg_argv[0]::bigint then"
            " raise exception 'lost' using errcode = tg_argv[1]; end if; return new; end $$"
        )

    def lose(times, sqlstate):
        with psycopg.connect(libpq_url(shop.url)) as owner:
            owner.execute("select setval('orders.lost_test', 1, false)")
            owner.execute("drop trigger if exists lost_test on orders.customer_order")
            owner.execute(
                "create trigger lost_test before insert on orders.customer_order for each row"
                f" execute function orders.lose_test({times}, '{sqlstate}')"
            )

    yield lose
    with psycopg.connect(libpq_url(shop.url)) as owner:
        owner.execute("drop function orders.lose_test cascade")
        owner.execute("drop sequence orders.lost_test")


def lost_transactions(client, reason):
    text = client.get("/metrics").text
    found = re.search(rf'^muyun_lost_transactions_total{{reason="{reason}"}} (\d+)', text, re.M)
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize(("sqlstate", "reason"), [("40P01", "deadlock"), ("40001", "serialization")])
def test_a_request_that_lost_a_deadlock_is_run_again_and_counted(
    place, client, goods, ended_by_postgresql, shop, sqlstate, reason
):
    sku = goods(f"lost-{reason}")
    before = lost_transactions(client, reason)
    ended_by_postgresql(2, sqlstate)
    placed = place(sku)
    assert placed.status_code == 201, placed.text
    assert lost_transactions(client, reason) - before == 2
    # Placed once, under its key, with the body as it was sent.
    assert place(sku).json()["order_id"] == placed.json()["order_id"]
    assert shop.stock_of("S1", sku)[1] == 1


def test_a_request_that_always_loses_is_told_to_come_again(place, client, goods, ended_by_postgresql, shop):
    sku = goods("lost-always")
    before = lost_transactions(client, "deadlock")
    ended_by_postgresql(1000, "40P01")
    answer = place(sku)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:muyun:problem:busy")
    assert answer.headers["Retry-After"] == "1"
    assert lost_transactions(client, "deadlock") - before == 5
    assert shop.stock_of("S1", sku)[1] == 0
