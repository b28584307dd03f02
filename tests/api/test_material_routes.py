"""Materials through their routes: checked at once, released by another person, seen by the shop's agents."""

import uuid

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("material_routes")  # one database and application for all
WHY = "the ranking is proved by the report on file"


class Desk:
    """The application over a market, with keys by role."""

    def __init__(self, client, shop):
        self.client, self.shop = client, shop
        self.keys = {
            who: issue_key(
                shop.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
            ).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("bob", Role.OPERATOR, None),
                ("m1", Role.MERCHANT, "m1"),
                ("m2", Role.MERCHANT, "m2"),
                ("ag", Role.AGENT, "ag"),
                ("auditor", Role.AUDITOR, None),
            )
        }

    def ask(self, who, method, path, body=None, code=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == code, answer.text
        return answer.json()

    def write(self, who, name, title, *points, code=200, **more):
        body = {"material_id": name, "sku_id": "apple", "channel": "wecom", "title": title} | more
        return self.ask(who, "POST", "/materials", body | {"points": list(points)}, code)

    def names(self, who, **query):
        return [one["material_id"] for one in self.ask(who, "GET", "/materials", **query)["materials"]]


@pytest.fixture
def desk(database_url, settings):
    with Operations(database_url, size=4) as operations:
        shop = Shop(database_url, operations)
        shop.plan()
        shop.list("apple", 1_000)
        shop.supply("EV", "apple", 100, price=600)
        shop.list("pear", 1_000)
        shop.supply("EV", "pear", 100, price=600)
        shop.agent("ag")
        with shop.transaction() as conn:
            conn.execute("update agents.agent set merchant_id = 'm1' where agent_id = 'ag'")
        app = create_app(settings.model_copy(update={"as_of": NOW}), database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, shop)


def test_a_clean_text_is_approved_and_the_shops_agents_see_it(desk):
    made = desk.write(
        "m1", "t1", "烟台苹果，第一次下单半价", "脆甜", pictures=["https://cdn.example.com/a.jpg"]
    )
    assert (made["state"], made["merchant_id"], made["hits"]) == ("approved", "m1", [])
    desk.write("m2", "t2", "烟台苹果")
    assert desk.names("ag") == ["t1"]
    assert desk.names("m2") == ["t2"]
    assert desk.names("ann") == desk.names("auditor") == ["t1", "t2"]
    assert desk.names("ann", merchant_id="m2", channel="wecom", sku_id="apple") == ["t2"]
    assert desk.names("ann", channel="sms") == []
    desk.ask("m1", "GET", "/materials", code=403, merchant_id="m2")


def test_a_forbidden_word_refuses_with_its_place_law_and_remedy(desk):
    made = desk.write("m1", "t1", "全网最低价苹果", "脆甜", "可降血压")
    assert made["state"] == "refused"
    told = [(hit["field"], hit["term"], hit["start"], hit["end"], hit["category"]) for hit in made["hits"]]
    assert told == [("title", "全网最低", 0, 4, "absolute"), ("points.1", "降血压", 1, 4, "medical")]
    assert all(hit["remedy"] and "广告法" in hit["source"] for hit in made["hits"])
    assert desk.names("ag") == []
    assert desk.names("ag", status="refused") == []
    assert desk.names("m1", status="refused") == ["t1"]


def test_another_person_releases_it_with_a_reason_that_stays(desk):
    desk.write("ann", "t1", "销量第一的苹果", merchant_id="m1")
    desk.ask("m1", "POST", "/materials/t1/release", {"reason": WHY}, 403)
    desk.ask("ann", "POST", "/materials/t1/release", {"reason": WHY}, 403)
    desk.ask("bob", "POST", "/materials/t1/release", {"reason": "short"}, 422)
    done = desk.ask("bob", "POST", "/materials/t1/release", {"reason": WHY})
    assert (done["state"], done["reason"], len(done["hits"])) == ("released", WHY, 1)
    assert desk.ask("bob", "POST", "/materials/t1/release", {"reason": WHY})["state"] == "released"
    assert desk.names("ag") == ["t1"]
    desk.write("m1", "t2", "苹果")
    desk.ask("bob", "POST", "/materials/t2/release", {"reason": WHY}, 409)
    desk.ask("bob", "POST", "/materials/t9/release", {"reason": WHY}, 404)
    acts = {
        (one["action"], one["object_id"], one["outcome"])
        for one in desk.ask("ann", "GET", "/audit-log", object_type="material")["entries"]
    }
    assert {("material.write", "t1", "done"), ("material.release", "t1", "done"),
            ("material.release", "t1", "repeated")} <= acts  # fmt: skip


def test_words_under_an_id_never_change(desk):
    desk.write("m1", "t1", "苹果", "脆甜")
    assert desk.write("m1", "t1", "苹果", "脆甜")["state"] == "approved"
    desk.write("m1", "t1", "苹果", "最佳", code=409)
    desk.write("m2", "t1", "苹果", "脆甜", code=409)
    with (
        psycopg.connect(libpq_url(desk.shop.url)) as conn,
        pytest.raises(psycopg.errors.RaiseException, match="never changed"),
    ):
        conn.execute("update materials.material set title = '最佳' where tenant_id = %s", (TENANT,))


def test_what_is_withdrawn_or_not_sold_now_is_not_spread(desk):
    desk.write("m1", "t1", "苹果")
    desk.write("m1", "t2", "梨", sku_id="pear")
    desk.write("m1", "t3", "梨好吃", sku_id="pear")
    assert desk.names("ag") == ["t1", "t2", "t3"]
    desk.ask("m2", "POST", "/materials/t2/withdraw", {"reason": "not our shop at all"}, 404)
    assert desk.ask("m1", "POST", "/materials/t2/withdraw", {"reason": WHY})["state"] == "withdrawn"
    desk.ask("m1", "POST", "/materials/t2/withdraw", {"reason": WHY})
    assert desk.names("ag") == ["t1", "t3"]
    with desk.shop.transaction() as conn:
        conn.execute("update orders.listing set is_listed = false where sku_id = 'pear'")
    assert desk.names("ag") == ["t1"]
    assert "t3" in desk.names("m1")


def test_a_text_of_no_shop_and_bad_text_are_refused(desk):
    assert "name the shop" in desk.write("ann", "t1", "苹果", code=422)["detail"]
    desk.write("m1", "t1", "苹果", merchant_id="m2", code=403)
    desk.write("m1", "t1", "x" * 101, code=422)
    desk.write("m1", "t1", "苹果", pictures=["not a reference"], code=422)
    desk.write("m1", "t1", "苹果", channel="smoke", code=422)
    assert desk.names("ann") == []


def test_a_list_goes_on_where_it_ended(desk):
    for number in range(3):
        desk.write("m1", f"t{number}", "苹果")
    first = desk.ask("ag", "GET", "/materials", limit=2)
    rest = desk.ask("ag", "GET", "/materials", limit=2, cursor=first["next_cursor"])
    assert [one["material_id"] for one in (*first["materials"], *rest["materials"])] == ["t0", "t1", "t2"]
    assert rest["next_cursor"] is None
