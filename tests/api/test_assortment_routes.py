"""A merchant takes a suggestion, or refuses it: what is on sale then, what stays away, what is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import polars as pl
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, small_tables, suggested
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from models.supply.assortment.feedback import DECISIONS
from pipelines.stores.decided import decided, decision_count
from serving.app import create_app
from serving.db.operations import Operations
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("assortment")  # one world for all, in order

SKUS = ("tea", "milk", "soap", "braked", "gone", "gated", "listed", "raced")


@pytest.fixture(scope="module")
def shop(module_database_url):
    tables = small_tables()
    tables["assortment_suggestions"] = [
        *(suggested("m1", rank, sku, supplier="S1") for rank, sku in enumerate(SKUS, 1)),
        suggested("m1", 9, "new", supplier="S1", is_new=True),
        suggested("m2", 1, "tea", supplier="S1"),
    ]
    publish(module_database_url, manifest_of("v1", tables), tables)
    with Operations(module_database_url, size=8, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        for sku in (*SKUS, "new"):
            made.list(sku, 399, merchant="m9")
            made.supply("S2" if sku == "gated" else "S1", sku, 0 if sku == "gone" else 40, price=282)
        made.list("listed", 500)
        made.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_active)"
            " values (%(t)s, 'supplier', 'S2', false)",
            t=TENANT,
        )
        made.sql(
            "insert into quality.brake (tenant_id, sku_id, held_level, reason_code, evidence, judged_at)"
            " values (%(t)s, 'braked', 3, 'mean_above_stop', '{}', now())",
            t=TENANT,
        )
        yield made


@pytest.fixture(scope="module")
def call(module_database_url, settings, shop):
    parties = {"S1": Role.SUPPLIER, "m1": Role.MERCHANT, "m2": Role.MERCHANT, "op": Role.OPERATOR}
    keys = {
        who: issue_key(
            module_database_url,
            name=who,
            role=role,
            party_id=None if who == "op" else who,
            scopes=sorted(ROLE_SCOPES[role]),
        ).secret
        for who, role in parties.items()
    }
    app = create_app(settings.model_copy(update={"as_of": NOW}), module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:

        def send(who, method, path, body=None, expected=200, key=None, **query):
            headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
            answer = client.request(method, f"/v1{path}", params=query, json=body, headers=headers)
            assert expected is None or answer.status_code == expected, answer.text
            return answer.json()

        yield send


def on(sku, verb, merchant="m1"):
    return f"/merchants/{merchant}/assortment-suggestions/{sku}/{verb}"


def listing(shop, sku, merchant="m1"):
    rows = shop.sql(
        "select list_price_cents, is_listed from orders.listing where merchant_id = %(m)s and sku_id = %(s)s",
        m=merchant,
        s=sku,
    )
    return rows[0] if rows else None


def slug(problem):
    return problem["type"].rsplit(":", 1)[-1]


def test_a_key_of_a_merchant_sees_its_own(call):
    own = call("m1", "GET", "/assortment-suggestions")["suggestions"]
    assert {one["merchant_id"] for one in own} == {"m1"}
    call("m1", "GET", "/assortment-suggestions", expected=403, merchant_id="m2")
    call("S1", "GET", "/assortment-suggestions", expected=403)
    assert len(call("op", "GET", "/assortment-suggestions")["suggestions"]) == 10


def test_what_is_taken_is_on_sale_at_the_suggested_price_or_the_merchants(shop, call):
    told = call("m1", "POST", on("tea", "take"), {}, key="t1")
    assert told == {"merchant_id": "m1", "sku_id": "tea", "list_price_cents": 399}
    assert listing(shop, "tea") == (399, True)
    assert call("m1", "POST", on("tea", "take"), {}, key="t1") == told
    call("m1", "POST", on("milk", "take"), {"list_price_cents": 450}, key="t2")
    assert listing(shop, "milk") == (450, True)
    assert slug(call("m1", "POST", on("tea", "take"), {}, 409, key="t3")) == "suggestion-decided"
    assert slug(call("m1", "POST", on("tea", "refuse"), {"reason_code": "other"}, 409, key="t4")) == (
        "suggestion-decided"
    )
    shown = {
        one["sku_id"]: one["decision"] for one in call("m1", "GET", "/assortment-suggestions")["suggestions"]
    }
    assert (shown["tea"], shown["milk"], shown["soap"]) == ("taken", "taken", None)
    # Another merchant's suggestion of the sku is its own.
    assert call("m2", "GET", "/assortment-suggestions")["suggestions"][0]["decision"] is None
    logged = shop.sql(
        "select authority, outcome, details->>'sku_id' from ops.audit_log where action = 'assortment.take'"
        " order by audit_id"
    )
    assert logged == [
        ("assortment_decision", "done", "tea"),
        ("assortment_decision", "repeated", "tea"),
        ("assortment_decision", "done", "milk"),
    ]


def test_a_key_decides_for_its_own_merchant_and_names_itself(call):
    call("m1", "POST", on("tea", "take", "m2"), {}, 403, key="o1")
    call("S1", "POST", on("soap", "take"), {}, 403, key="o2")
    assert slug(call("m2", "POST", on("soap", "take", "m2"), {}, 404, key="o3")) == "suggestion-not-found"
    call("m1", "POST", on("soap", "take"), {}, 422)
    call("m1", "POST", on("soap", "take"), {"list_price_cents": 0}, 422, key="o4")
    call("m1", "POST", on("soap", "refuse"), {"reason_code": "no_mood"}, 422, key="o5")


def test_the_rules_of_listings_hold(shop, call):
    assert slug(call("m1", "POST", on("braked", "take"), {}, 409, key="r1")) == "sale-stopped"
    assert slug(call("m1", "POST", on("gone", "take"), {}, 409, key="r2")) == "suggestion-moved"
    assert slug(call("m1", "POST", on("gated", "take"), {}, 409, key="r3")) == "suggestion-moved"
    assert slug(call("m1", "POST", on("listed", "take"), {}, 409, key="r4")) == "suggestion-decided"
    assert [listing(shop, sku) for sku in ("braked", "gone", "gated")] == [None, None, None]
    assert listing(shop, "listed") == (500, True)
    # Nothing was decided: with stock again it is taken.
    shop.supply("S1", "gone", 1, price=282, at=NOW + timedelta(seconds=1))
    call("m1", "POST", on("gone", "take"), {}, key="r5")
    assert listing(shop, "gone") == (399, True)


def test_what_is_refused_is_told_to_the_next_night(module_database_url, shop, call):
    before = decision_count(module_database_url, TENANT)
    told = call("m1", "POST", on("soap", "refuse"), {"reason_code": "unwanted_supplier"}, key="f1")
    assert datetime.fromisoformat(told["until_at"]) == NOW + timedelta(days=90)
    assert call("m1", "POST", on("soap", "refuse"), {"reason_code": "unwanted_supplier"}, key="f1") == told
    assert listing(shop, "soap") is None
    count, frame = decided(module_database_url, TENANT, DECISIONS)
    assert count == before + 1
    row = frame.filter(pl.col("sku_id") == "soap").row(0, named=True)
    assert row == {
        "merchant_id": "m1",
        "sku_id": "soap",
        "category_id": "l2-grocery/milk",
        "supplier_id": "S1",
        "is_taken": False,
        "reason_code": "unwanted_supplier",
        "until_at": NOW + timedelta(days=90),
    }
    call("m1", "POST", on("new", "refuse"), {"reason_code": "other"}, key="f2")
    assert shop.sql("select propensity, rank, version from assortment.decision where sku_id = 'new'") == [
        (0.25, 9, "v1")
    ]


def test_one_of_two_that_decide_at_once_is_refused(shop, call):
    def decide(n):
        return call("m1", "POST", on("raced", "refuse"), {"reason_code": "other"}, None, key=f"race{n}")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(decide, range(4)))
    assert sorted(slug(one) if "type" in one else "done" for one in answers) == [
        "done",
        *["suggestion-decided"] * 3,
    ]
    assert shop.sql("select count(*) from assortment.decision where sku_id = 'raced'") == [(1,)]
