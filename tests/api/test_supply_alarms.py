"""Alarms through the API: who sees which, their life, and one act that re-routes lines."""

from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.watch.alarms.judging import Finding, judge
from serving.watch.alternatives.answering import answer

pytestmark = pytest.mark.xdist_group("supply_alarms")  # one world for all, in order


@pytest.fixture(scope="module")
def shop(module_database_url):
    """S1 can ship a tenth of what it could, a parcel of m1 is late, and S2 could take an order of S1."""
    with Operations(module_database_url, size=4) as operations:
        made = Shop(module_database_url, operations)
        made.plan()
        made.list("tea", 5000)
        made.supply("S1", "tea", 50)
        made.supply("S2", "tea", 50, price=1200)
        made.place("o1", ("tea", 2))
        made.pay("o1")
        swing = {"capacity": 10, "median": 100.0, "swing": -0.9}
        late = {"hours_late": None, "probability": 1.0}
        findings = [
            Finding("capacity", "S1", True, "", swing, "S1"),
            Finding("delay", "p9", True, "", late, "S9", "o9", "m1"),
        ]
        made.act(judge, findings, NOW)
        answer(made.transaction, "default", NOW)
        yield made


@pytest.fixture(scope="module")
def ask(shop, settings):
    url = shop.url
    keys = {"op": issue_key(url, name="op", scopes=list(ROLE_SCOPES[Role.OPERATOR])).secret}
    for role, party in (("auditor", None), ("supplier", "S1"), ("supplier", "S2"), ("merchant", "m1")):
        scopes = list(ROLE_SCOPES[Role(role)])
        name = party or role
        keys[name] = issue_key(url, name=name, scopes=scopes, role=Role(role), party_id=party).secret
    told = settings.model_copy(update={"as_of": NOW + timedelta(hours=2)})
    with TestClient(create_app(told, url, ProfileReader(SCHEMA)), raise_server_exceptions=False) as client:

        def send(who, method, path, body=None, status=200, **query):
            answered = client.request(
                method, f"/v1{path}", json=body, params=query, headers={"X-API-Key": keys[who]}
            )
            assert answered.status_code == status, answered.text
            return answered.json()

        yield send


def numbers(page):
    return {alarm["object_id"]: alarm["alarm_id"] for alarm in page["alarms"]}


def test_everybody_sees_their_own(ask):
    every = numbers(ask("auditor", "GET", "/supply-alarms"))
    assert set(every) == {"S1", "p9"}
    assert set(numbers(ask("S1", "GET", "/supply-alarms"))) == {"S1"}
    assert numbers(ask("S2", "GET", "/supply-alarms")) == {}
    assert set(numbers(ask("m1", "GET", "/supply-alarms"))) == {"p9"}
    ask("m1", "GET", f"/supply-alarms/{every['S1']}", status=404)
    ask("S1", "POST", f"/supply-alarms/{every['S1']}/acknowledge", status=403)
    mine = ask("m1", "GET", f"/supply-alarms/{every['p9']}")
    assert (mine["alternatives"], mine["alarm"]["evidence"]["hours_late"]) == ([], None)
    first = ask("op", "GET", "/supply-alarms", limit=1)
    rest = ask("op", "GET", "/supply-alarms", limit=1, cursor=first["next_cursor"])
    assert set(numbers(first)) | set(numbers(rest)) == {"S1", "p9"}
    assert rest["next_cursor"] is None


def test_one_act_re_routes_the_line_and_closes_the_alarm(ask, shop):
    number = numbers(ask("op", "GET", "/supply-alarms", kind="capacity"))["S1"]
    options = ask("op", "GET", f"/supply-alarms/{number}")["alternatives"]
    assert [(one["kind"], one["moved_lines"], one["cost_change_cents"]) for one in options] == [
        ("other_supplier", 1, 400),
        ("later_date", 0, 0),
    ]
    ask("op", "POST", f"/supply-alarms/{number}/alternatives/9/take", status=404)
    taken = ask("op", "POST", f"/supply-alarms/{number}/alternatives/1/take")
    assert (taken["alarm"]["state"], taken["alarm"]["reason_code"]) == ("resolved", "rerouted")
    assert [step["event"] for step in taken["steps"]] == ["opened", "alternative_taken", "resolved"]
    assert shop.sql("select supplier_id from orders.order_line") == [("S2",)]
    again = ask("op", "POST", f"/supply-alarms/{number}/alternatives/1/take")
    assert again == taken
    problem = ask("op", "POST", f"/supply-alarms/{number}/alternatives/2/take", status=409)
    assert problem["type"] == "urn:muyun:problem:alternative-refused"
    assert numbers(ask("op", "GET", "/supply-alarms", is_open=True)).keys() == {"p9"}


def test_an_alarm_is_seen_looked_after_and_closed(ask):
    number = numbers(ask("op", "GET", "/supply-alarms"))["p9"]
    path = f"/supply-alarms/{number}"
    assert ask("op", "POST", f"{path}/acknowledge")["state"] == "acknowledged"
    assert ask("op", "POST", f"{path}/assign", {"assigned_to": "Li"})["assigned_to"] == "Li"
    done = ask("op", "POST", f"{path}/resolve", {"reason_code": "carrier_found_it"})
    assert (done["state"], done["reason_code"]) == ("resolved", "carrier_found_it")
    problem = ask("op", "POST", f"{path}/acknowledge", status=409)
    assert problem["type"] == "urn:muyun:problem:alarm-closed"
    levels = {one["kind"]: one for one in ask("auditor", "GET", "/supply-alarm-levels")["levels"]}
    assert (levels["delay"]["opened"], levels["delay"]["closed_in_time"]) == (1, 1)
    assert levels["delay"]["seen_in_time"] == 0
    ask("S1", "GET", "/supply-alarm-levels", status=403)


def test_policies_are_stated_by_operators(ask):
    stated = {"category_id": "drinks", "mode": "auto", "max_extra_cents": 500}
    assert ask("op", "PUT", "/supply-alarm-policies", stated) == stated
    assert ask("auditor", "GET", "/supply-alarm-policies") == {"policies": [stated]}
    ask("S1", "PUT", "/supply-alarm-policies", stated, status=403)
