"""The quality brake through its routes: who sees what, two people for an override, five for a case."""

import uuid
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from small_market import TENANT, Shop
from two_people import approved

from feature_store.online import ProfileReader
from models.supply.brake.ladder import Level, Rules
from serving.app import create_app
from serving.db.operations import Operations
from serving.quality.judging import Finding, judge
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("quality_routes")  # one database and application for all


class Desk:
    """The application, with keys by role, and nights of findings."""

    def __init__(self, client, url, shop):
        self.client, self.shop = client, shop

        def key(role, party=None):
            scopes = sorted(ROLE_SCOPES[Role(role)])
            return issue_key(url, name="k", role=role, party_id=party, scopes=scopes).secret

        self.keys = {
            "m1": key("merchant", "m1"),
            "m2": key("merchant", "m2"),
            "S1": key("supplier", "S1"),
            "auditor": key("auditor"),
            **{f"op{number}": key("operator") for number in range(6)},
        }

    def night(self, *findings, day=0):
        found = [Finding(sku, Level(level), f"reason_{level}", {"mean": 0.2}) for sku, level in findings]
        with self.shop.transaction() as conn:
            judge(conn, TENANT, found, Rules(), AS_OF + timedelta(days=day))

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    with Operations(module_database_url, size=2) as operations:
        shop = Shop(module_database_url, operations)
        shop.plan()
        shop.may_lose(10**12)
        app = create_app(settings, module_database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, module_database_url, shop)


def skus(answer):
    return {row["sku_id"]: row["level"] for row in answer.json()["levels"]}


def test_everybody_sees_the_levels_of_their_own_goods(desk):
    for sku, merchant in (("seen", "m1"), ("hidden", "m2")):
        desk.shop.list(sku, 2000, merchant=merchant)
    desk.shop.supply("S1", "seen", 5)
    desk.night(("seen", 1), ("hidden", 2))
    assert skus(desk.ask("m1", "GET", "/quality/levels")) == {"seen": 1}
    assert skus(desk.ask("S1", "GET", "/quality/levels")) == {"seen": 1}
    assert {"seen", "hidden"} <= skus(desk.ask("auditor", "GET", "/quality/levels")).keys()
    assert "seen" not in skus(desk.ask("op0", "GET", "/quality/levels", min_level=2))
    told = desk.ask("auditor", "GET", "/quality/levels/seen/history").json()["changes"]
    assert [(one["from_level"], one["to_level"], one["evidence"]) for one in told] == [(0, 1, {"mean": 0.2})]
    desk.ask("m1", "GET", "/quality/levels/seen/history", status=403)


def test_levels_are_read_page_by_page(desk):
    desk.night(*((f"page-{number}", 1) for number in range(5)))
    found, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = desk.ask("op0", "GET", "/quality/levels", **query).json()
        found += [row["sku_id"] for row in page["levels"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found))
    assert [sku for sku in found if sku.startswith("page-")] == [f"page-{number}" for number in range(5)]


def test_an_order_of_a_stopped_sku_is_a_typed_409(desk):
    desk.shop.list("stopped", 2000)
    desk.shop.supply("S1", "stopped", 5)
    desk.night(("stopped", 3))
    line = {"merchant_id": "m1", "consumer_id": "c9", "lines": [{"sku_id": "stopped", "qty": 1}]}
    problem = desk.ask("m1", "POST", "/orders", line, status=409).json()
    assert problem["type"] == "urn:muyun:problem:sale-stopped"
    assert "reason_3" in problem["detail"]
    assert "/v1/quality/levels" in problem["remedy"]
    listing = {"listings": [{"sku_id": "stopped", "list_price_cents": 900}]}
    refused = desk.ask("m2", "PUT", "/merchants/m2/listings", listing, status=409).json()
    assert refused["type"] == "urn:muyun:problem:sale-stopped"


def test_an_override_waits_for_another_person_and_is_on_record(desk):
    desk.shop.list("inspected", 2000)
    desk.shop.supply("S1", "inspected", 5)
    desk.night(("inspected", 3))
    until = (AS_OF + timedelta(days=2)).isoformat()
    wanted = {"sku_id": "inspected", "level": 1, "reason_code": "new_batch_inspected", "until": until}
    desk.ask("m1", "POST", "/quality/overrides", wanted, status=403)
    waiting = desk.ask("op0", "POST", "/quality/overrides", wanted, status=202)
    own = approved(desk.client, desk.keys["op0"], waiting)
    assert own.status_code == 403
    assert skus(desk.ask("op0", "GET", "/quality/levels"))["inspected"] == 3
    done = approved(desk.client, desk.keys["op1"], waiting).json()
    assert done["effect"] == {"sku_id": "inspected", "level": 1}
    shown = desk.ask("m1", "GET", "/quality/levels").json()["levels"]
    (row,) = [one for one in shown if one["sku_id"] == "inspected"]
    assert (row["level"], row["held_level"], row["reason_code"]) == (1, 3, "new_batch_inspected")
    noted = desk.ask("op0", "GET", "/audit-log", object_type="approval").json()["entries"]
    assert "quality_override" in {one["authority"] for one in noted}


@pytest.mark.parametrize("days", [-1, 32])
def test_an_override_without_a_near_end_is_refused(desk, days):
    until = (AS_OF + timedelta(days=days)).isoformat()
    wanted = {"sku_id": "x", "level": 1, "reason_code": "why", "until": until}
    problem = desk.ask("op0", "POST", "/quality/overrides", wanted, status=422).json()
    assert problem["type"] == "urn:muyun:problem:override-refused"


def test_five_departments_with_five_keys_release_a_level(desk):
    desk.night(("improved", 3))
    cases = desk.ask("auditor", "GET", "/quality/cases").json()["cases"]
    (case,) = [one for one in cases if one["sku_id"] == "improved"]
    path = f"/quality/cases/{case['case_id']}/sign-offs"
    departments = ("service", "quality", "product", "research", "purchasing")
    for number, department in enumerate(departments):
        body = {"department": department, "finding": f"{department} changed the seal"}
        desk.ask("auditor", "POST", path, body, status=403)
        signed = desk.ask(f"op{number}", "POST", path, body, status=201).json()
        repeated = desk.ask(f"op{number}", "POST", path, body, status=409).json()
        assert repeated["type"] == "urn:muyun:problem:signed-before"
    assert signed["missing"] == []
    assert skus(desk.ask("op0", "GET", "/quality/levels"))["improved"] == 2
    desk.ask("op0", "POST", "/quality/cases/999999/sign-offs", body, status=404)
    closed = desk.ask("op0", "GET", "/quality/cases", open_only=False).json()["cases"]
    (shown,) = [one for one in closed if one["case_id"] == case["case_id"]]
    assert shown["sign_offs"][0]["finding"] == "service changed the seal"


def test_a_recall_lists_the_buyers_of_each_shop(desk):
    for merchant in ("m1", "m2"):
        desk.shop.list("called", 2000, merchant=merchant)
    desk.shop.supply("S1", "called", 50)
    for number, merchant in enumerate(("m1", "m2", "m1")):
        desk.shop.place(f"called-{number}", ("called", 1), merchant=merchant, consumer=f"c{number}")
    desk.night(("called", 4))
    (recall,) = [
        one
        for one in desk.ask("m1", "GET", "/quality/recalls").json()["recalls"]
        if one["sku_id"] == "called"
    ]
    path = f"/quality/recalls/{recall['recall_id']}/buyers"

    def buyers(who):
        return [one["consumer_id"] for one in desk.ask(who, "GET", path).json()["buyers"]]

    assert buyers("op0") == ["c0", "c1", "c2"]
    assert buyers("m1") == ["c0", "c2"]
    assert buyers("m2") == ["c1"]
    first = desk.ask("op0", "GET", path, limit=2).json()
    rest = desk.ask("op0", "GET", path, limit=2, cursor=first["next_cursor"]).json()
    assert [one["consumer_id"] for one in rest["buyers"]] == ["c2"]
    desk.ask("S1", "GET", path, status=403)
    desk.ask("op0", "GET", "/quality/recalls/999999/buyers", status=404)
