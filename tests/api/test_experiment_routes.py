"""Experiments through their routes: four eyes, layers, coupons by arm, exposures, results, erasure."""

import json
import uuid
from datetime import timedelta
from functools import partial

import pytest
from litestar.testing import TestClient
from small_market import NOW, TENANT, Shop
from two_people import approved

from models.experiments.assignment import Places, arm_of
from models.experiments.hold_out import is_held_out
from serving.app import create_app
from serving.db import calendar
from serving.db.operations import Operations
from serving.experiments.records import find
from serving.experiments.results import end_due, results_of
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("experiment_routes")  # one database and application for all

HALVES = [{"name": "none", "share_bps": 5_000}, {"name": "with", "share_bps": 5_000}]


def people(letter, count):
    """Consumers whom marketing reaches this quarter."""
    names = (f"{letter}{n}" for n in range(2 * count + 20))
    return [one for one in names if not is_held_out(TENANT, one, NOW.date())][:count]


PEOPLE = people("c", 60)


class Desk:
    """The application over a shop, with keys by role and a clock that goes forward."""

    def __init__(self, client, shop):
        self.client, self.shop = client, shop
        self.keys = {
            who: issue_key(
                shop.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
            ).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("bob", Role.OPERATOR, None),
                ("auditor", Role.AUDITOR, None),
                ("m1", Role.MERCHANT, "m1"),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def started(self, document):
        self.ask("ann", "POST", "/experiments", document, status=201)
        waiting = self.ask("ann", "POST", f"/experiments/{document['experiment_id']}/start", status=202)
        done = approved(self.client, self.keys["bob"], waiting)
        assert done.status_code == 200, done.text
        return done.json()["effect"]


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    with Operations(module_database_url, size=4) as operations:
        shop = Shop(module_database_url, operations)
        with shop.transaction() as conn:
            calendar.set_zone(conn, TENANT, "Asia/Shanghai")
        shop.plan()
        shop.may_lose(10**12)
        shop.list("s1", 20_000)
        shop.supply("EV", "s1", 1_000)
        app = create_app(settings.model_copy(update={"as_of": NOW}), module_database_url)
        with TestClient(app) as client:
            yield Desk(client, shop)


def coupons(name, programme, **more):
    with_it = HALVES[1] | {"programme_id": programme}
    return {
        "experiment_id": name,
        "title": "A coupon for one half",
        "surface": "coupons",
        "unit": "consumer",
        "layer": "coupons",
        "arms": [HALVES[0], with_it],
        "metric": "margin_cents",
        "guardrail": "returned",
        "metric_days": 7,
    } | more


def test_the_life_of_an_experiment_on_coupons(desk):
    shop = desk.shop
    programme = shop.programme(kind="threshold", off_cents=5_000, min_goods_cents=19_900)
    document = coupons("first", programme)
    draft = desk.ask("ann", "POST", "/experiments", document, status=201).json()
    assert (draft["state"], draft["first_bps"]) == ("draft", None)
    assert desk.ask("bob", "POST", "/experiments", document, status=201).json() == draft
    changed = coupons(
        "first", programme, arms=[HALVES[0] | {"share_bps": 4_000}, draft["document"]["arms"][1]]
    )
    changed["arms"][1] = {"name": "with", "share_bps": 6_000, "programme_id": programme}
    problem = desk.ask("ann", "POST", "/experiments", changed, status=409).json()
    assert problem["type"].endswith("experiment-changed")
    desk.ask("auditor", "POST", "/experiments", document, status=403)
    desk.ask("ann", "POST", "/experiments/first/coupons", {"consumer_ids": PEOPLE}, status=409)

    waiting = desk.ask("ann", "POST", "/experiments/first/start", status=202)
    told = {"version": waiting.json()["version"], "digest": waiting.json()["digest"]}
    path = f"/approvals/{waiting.json()['approval_id']}/approve"
    desk.ask("ann", "POST", path, told, status=403)
    assert approved(desk.client, desk.keys["bob"], waiting).json()["effect"] == {
        "experiment_id": "first",
        "first_bps": 0,
        "end_bps": 10_000,
    }
    desk.ask("ann", "POST", "/experiments/first/start", status=409)
    other = coupons("second", programme)
    desk.ask("ann", "POST", "/experiments", other, status=201)
    problem = desk.ask("ann", "POST", "/experiments/second/start", status=409).json()
    assert problem["type"].endswith("experiment-overlap")
    assert "0 are free beside first" in problem["detail"]
    desk.ask("ann", "POST", "/experiments", coupons("third", programme, layer="else"), status=201)
    problem = desk.ask("ann", "POST", "/experiments/third/start", status=409).json()
    assert "take that layer" in problem["detail"]

    arms = {
        one: arm_of(TENANT, "first", "coupons", Places(0, 10_000), (("none", 5_000), ("with", 5_000)), one)
        for one in PEOPLE
    }
    chosen = sorted(one for one in PEOPLE if arms[one] == "with")
    given = desk.ask("ann", "POST", "/experiments/first/coupons", {"consumer_ids": PEOPLE}).json()
    assert [one["consumer_id"] for one in given["coupons"]] == chosen
    assert given["new_by_arm"] == {"with": len(chosen), "none": 60 - len(chosen)}
    again = desk.ask("ann", "POST", "/experiments/first/coupons", {"consumer_ids": PEOPLE}).json()
    assert (again["coupons"], again["known"]) == ([], 60)
    codes = shop.sql("select consumer_id from coupons.coupon where programme_id = %(p)s", p=programme)
    assert sorted(code for (code,) in codes) == chosen
    watched = next(one for one in PEOPLE if arms[one] == "none")
    by_hand = {"consumer_id": watched, "count": 1}
    path = f"/coupon-programmes/{programme}/coupons"
    problem = desk.ask("ann", "POST", path, by_hand, status=409).json()
    assert problem["type"].endswith("programme-state")
    desk.ask("ann", "POST", path, {"count": 1}, status=409)

    shown = desk.ask("ann", "GET", f"/experiments/first/assignments/{watched}").json()
    assert (shown["arm"], shown["exposed_at"]) == ("none", "2026-11-01T08:00:00Z")
    assert desk.ask("ann", "GET", "/experiments/first/assignments/c999").json()["exposed_at"] is None
    desk.ask("auditor", "GET", "/experiments/first/exposures", status=403)
    page = desk.ask("ann", "GET", "/experiments/first/exposures", limit=40).json()
    rest = desk.ask("ann", "GET", "/experiments/first/exposures", cursor=page["next_cursor"]).json()
    assert {one["unit_id"]: one["arm"] for one in page["exposures"] + rest["exposures"]} == arms

    stopped = desk.ask("ann", "POST", "/experiments/first/stop", {"reason": "decided"}).json()
    assert (stopped["state"], stopped["reason"]) == ("stopped", "decided")
    desk.ask("ann", "POST", "/experiments/first/stop", {"reason": "decided"}, status=409)
    desk.ask("ann", "POST", "/experiments/first/coupons", {"consumer_ids": ["c99"]}, status=409)
    desk.ask("ann", "POST", path, by_hand, status=201)
    noted = shop.sql("select distinct action from ops.audit_log where action like 'experiment%%'")
    assert {("experiment.draft",), ("experiment.give",), ("experiment.stop",)} <= set(noted)
    assert len(desk.ask("auditor", "GET", "/experiments").json()["experiments"]) == 3


def test_results_count_exposed_units_as_assigned(desk):
    """Those with the coupon order more; what they spent before is taken off the difference."""
    shop = desk.shop
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    desk.started(coupons("measured", programme, layer="coupons"))
    bought = people("d", 80)
    for number, one in enumerate(bought[::4]):
        shop.place(f"before-{number}", ("s1", 1), consumer=one, at=NOW - timedelta(days=2))
        shop.pay(f"before-{number}", at=NOW - timedelta(days=2))
    desk.ask("ann", "POST", "/experiments/measured/coupons", {"consumer_ids": bought})
    arms = dict(shop.sql("select unit_id, arm from experiments.exposure where experiment_id = 'measured'"))
    buyers = sorted(one for one, arm in arms.items() if arm == "with")
    for one in buyers:
        shop.place(f"after-{one}", ("s1", 1), consumer=one, at=NOW + timedelta(days=1))
        shop.pay(f"after-{one}", at=NOW + timedelta(days=1))
    young = desk.ask("auditor", "GET", "/experiments/measured/results").json()
    assert {arm["measured"] for arm in young["metric"]["arms"]} == {0}
    later = NOW + timedelta(days=8)
    with shop.transaction() as conn:
        kept = find(conn, TENANT, "measured")
        found = {
            metric: results_of(conn, TENANT, kept, metric, later)
            for metric in ("ordered", "spend_cents", "margin_cents")
        }
    (share,) = found["ordered"].compared
    assert (share.difference, share.word) == (1.0, "better")
    (spend,) = found["spend_cents"].compared
    assert abs(spend.difference - 20_000) < 1_000
    assert spend.word == "better"
    (margin,) = found["margin_cents"].compared
    assert abs(margin.difference - 19_000) < 1_000
    desk.ask("ann", "POST", "/experiments/measured/stop", {"reason": "decided"})


def test_arms_that_do_not_fit_are_blocked(desk):
    shop = desk.shop
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    desk.started(coupons("uneven", programme))
    desk.ask("ann", "POST", "/experiments/uneven/coupons", {"consumer_ids": people("e", 200)})
    assert not desk.ask("ann", "GET", "/experiments/uneven/results").json()["metric"]["is_blocked"]
    arms = dict(shop.sql("select unit_id, arm from experiments.exposure where experiment_id = 'uneven'"))
    lost = [one for one, arm in arms.items() if arm == "with"][:80]
    with shop.operations.transaction(TENANT) as conn:
        conn.execute("reset role")
        conn.execute(
            "delete from experiments.exposure where experiment_id = 'uneven' and unit_id = any(%s)", (lost,)
        )
    found = desk.ask("ann", "GET", "/experiments/uneven/results").json()["metric"]
    assert (found["is_blocked"], found["compared"]) == (True, [])
    assert {arm["mean"] for arm in found["arms"]} == {None}
    desk.ask("ann", "POST", "/experiments/uneven/stop", {"reason": "broken"})


def test_an_erased_consumer_is_counted_under_another_name_and_never_exposed_again(desk):
    shop = desk.shop
    programme = shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    desk.started(coupons("forgotten", programme))
    desk.ask("ann", "POST", "/experiments/forgotten/coupons", {"consumer_ids": ["f1", "f2"]})
    desk.ask("ann", "POST", "/consumers/f1/erasure", status=200)
    units = {
        unit for (unit,) in shop.sql("select unit_id from experiments.exposure where unit_id not like 'c%%'")
    }
    assert "f1" not in units
    assert any(unit.startswith("erased-") for unit in units)
    again = desk.ask("ann", "POST", "/experiments/forgotten/coupons", {"consumer_ids": ["f1"]}).json()
    assert (again["outside"], again["coupons"]) == (1, [])
    desk.ask("ann", "POST", "/experiments/forgotten/stop", {"reason": "over"})


def test_two_share_a_layer_and_each_ends_by_itself(desk):
    shop = desk.shop
    programme = partial(shop.programme, kind="threshold", off_cents=100, min_goods_cents=19_900)
    one = desk.started(coupons("left", programme(), traffic_bps=3_000, runs_days=2))
    other = desk.started(coupons("right", programme(), traffic_bps=7_000))
    assert [(found["first_bps"], found["end_bps"]) for found in (one, other)] == [(0, 3_000), (3_000, 10_000)]
    everybody = people("g", 300)
    for name in ("left", "right"):
        desk.ask("ann", "POST", f"/experiments/{name}/coupons", {"consumer_ids": everybody})
    rows = shop.sql("select unit_id, count(*) from experiments.exposure where unit_id like 'g%%' group by 1")
    assert len(rows) == 300
    assert {count for _, count in rows} == {1}
    assert shop.act(end_due, NOW + timedelta(days=1)) == []
    assert shop.act(end_due, NOW + timedelta(days=2)) == [("left", "over")]
    desk.ask("ann", "POST", "/experiments/right/stop", {"reason": "over"})


def test_what_an_arm_names_must_be_there(desk):
    desk.ask("ann", "POST", "/experiments", coupons("nothing", "cp-none"), status=201)
    problem = desk.ask("ann", "POST", "/experiments/nothing/start", status=422).json()
    assert "no programme cp-none is active" in problem["detail"]
    wrong = coupons("wrong", "cp-none", metric="units")
    assert "no metric of a consumer" in desk.ask("ann", "POST", "/experiments", wrong, status=422).text
    desk.ask("ann", "GET", "/experiments/nobody", status=404)
    desk.ask("ann", "GET", "/experiments/nobody/results", status=404)


def test_the_database_draws_as_the_service_does(desk):
    """Prices are drawn in their statements: arm by arm the same, also at odd ids."""
    weights = [["a", 1_000], ["b", 2_500], ["c", 6_500]]
    units = [*(f"u{n}" for n in range(2_000)), "", "商品-1", "x" * 300, "a\x1fb"]
    rows = desk.shop.sql(
        "select u, experiments.arm_of('default', 'e', 'l', 1000, 9000, %(w)s::jsonb, u)"
        " from unnest(%(units)s::text[]) as n (u)",
        units=units,
        w=json.dumps(weights),
    )
    pairs = tuple((name, share) for name, share in weights)
    assert dict(rows) == {
        unit: arm_of("default", "e", "l", Places(1_000, 9_000), pairs, unit) for unit in units
    }


def test_the_universal_hold_out_is_left_alone(desk):
    programme = desk.shop.programme(kind="threshold", off_cents=100, min_goods_cents=19_900)
    desk.started(coupons("quiet", programme))
    left = [one for one in (f"h{n}" for n in range(200)) if is_held_out(TENANT, one, NOW.date())]
    assert left
    given = desk.ask("ann", "POST", "/experiments/quiet/coupons", {"consumer_ids": left}).json()
    assert (given["outside"], given["coupons"], given["new_by_arm"]) == (len(left), [], {})
    desk.ask("ann", "POST", "/experiments/quiet/stop", {"reason": "over"})
