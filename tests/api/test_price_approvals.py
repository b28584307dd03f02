"""Suggested prices put before a person: asked on demand, decided once, read and recorded as published."""

import datetime as dt
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db import locks
from serving.db.urls import libpq_url
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("price_approvals")  # one database and application for all

NOON = AS_OF + timedelta(hours=8)


def waiting(
    sku, price, current=100, *, cause=None, floor=50, ceiling=200, list_price=110, action="await_approval"
):
    """Of merchant m; the fixture puts in whose it is."""
    steps = [{"step": "anchor", "current_cents": current}]
    steps += [{"step": "asks", "cause": cause}] if cause else []
    return (
        "m",
        sku,
        80,
        list_price,
        price,
        floor,
        ceiling,
        90,
        None,
        -1.5,
        "auto",
        action,
        json.dumps(steps),
    )


PRICES = [
    waiting("a", 105),
    waiting("b", 90),
    waiting("c", 140, cause="cost_jumped"),
    waiting("d", 130, cause="below_floor"),
    waiting("e", 100, action="keep"),
]


class Shop:
    """A merchant of a test's own, whose prices are what readers see."""

    def __init__(self, client, url, keys, number):
        self.client, self.url, self.keys = client, url, keys
        self.merchant, self.version = f"m{number:02}", f"v{number}"

    def rows(self, *prices):
        return [(self.merchant, *row[1:]) for row in prices]

    def publish(self, version, prices, *, as_of=AS_OF):
        rows = small_tables(version) | {"prices": self.rows(*prices)}
        publish(self.url, manifest_of(version, rows, as_of=as_of), rows)

    def refine(self, *prices, hours=1):
        at = AS_OF + timedelta(hours=hours)
        publish_delta(self.url, Delta(self.version, hours, {}, prices=self.rows(*prices), prices_as_of=at))

    def send(self, method, path, body=None, who="anna", role="operator", party=None):
        if who not in self.keys:
            self.keys[who] = issue_key(
                self.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[Role(role)])
            ).secret
        return self.client.request(method, f"/v1{path}", json=body, headers={"X-API-Key": self.keys[who]})

    def ask(self, merchant=None, **body):
        answer = self.send("POST", f"/prices/{merchant or self.merchant}/approvals", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def decide(self, one, verb="approve", who="anna", **body):
        body |= {"version": one["version"], "digest": one["digest"]}
        return self.send("POST", f"/approvals/{one['approval_id']}/{verb}", body, who=who)

    def price(self, sku):
        return self.send("GET", f"/prices/{self.merchant}/{sku}").json()["price"]

    def recorded(self):
        with psycopg.connect(libpq_url(self.url)) as connection:
            return connection.execute(
                "select sku_id, changed_at, price_cents, list_price_cents from market.price_change"
                " where version like 'approval:%%' and merchant_id = %s order by sku_id",
                (self.merchant,),
            ).fetchall()


@pytest.fixture(scope="module")
def office(module_database_url, settings):
    """The application at noon after the publications, and the keys of its people."""
    app = create_app(settings.model_copy(update={"as_of": NOON}), module_database_url, ProfileReader(SCHEMA))
    with TestClient(app) as client:
        yield client, module_database_url, {}


@pytest.fixture
def shop(office, request):
    """Four suggestions of one merchant ask."""
    numbers = [item.nodeid for item in request.session.items]
    made = Shop(*office, numbers.index(request.node.nodeid))
    made.publish(made.version, PRICES)
    return made


def test_an_approved_price_is_read_as_published_and_recorded_once(shop):
    asked = shop.ask(sku_ids=["a"])
    assert (asked["new"], asked["beyond"], asked["causes"]) == (1, 0, {"suggested": 1})
    (one,) = asked["approvals"]
    assert (one["price_cents"], one["current_cents"], one["approvals_needed"]) == (105, 100, 1)
    assert shop.price("a")["action"] == "await_approval"
    done = shop.decide(one)
    assert done.status_code == 200, done.text
    assert done.json()["effect"] == {"merchant_id": shop.merchant, "sku_id": "a", "price_cents": 105}
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (105, "publish")
    page = shop.send("GET", f"/prices/{shop.merchant}").json()["prices"]
    assert {row["sku_id"]: row["action"] for row in page} == {
        "a": "publish", "b": "await_approval", "c": "await_approval", "d": "await_approval", "e": "keep",
    }  # fmt: skip
    assert shop.recorded() == [("a", NOON, 105, 110)]
    # It waits no more, and nobody decides it twice.
    assert shop.ask(sku_ids=["a"])["approvals"] == []
    assert shop.decide(one, who="ben").status_code == 409
    assert len(shop.recorded()) == 1


def test_nothing_is_a_request_until_it_is_asked_for_and_then_once(shop):
    listed = f"/approvals?kind=price_move&party_type=merchant&party_id={shop.merchant}"
    assert shop.send("GET", listed).json()["approvals"] == []
    first = shop.ask(most=3)
    assert [(one["sku_id"], one["cause"]) for one in first["approvals"]] == [
        ("c", "cost_jumped"), ("d", "below_floor"), ("b", "suggested"),
    ]  # fmt: skip
    assert (first["new"], first["beyond"]) == (3, 1)
    assert first["causes"] == {"below_floor": 1, "cost_jumped": 1, "suggested": 2}
    again = shop.ask()
    assert (again["new"], len(again["approvals"])) == (1, 4)
    assert [one["sku_id"] for one in shop.ask(cause="cost_jumped")["approvals"]] == ["c"]
    assert len(shop.send("GET", listed).json()["approvals"]) == 4
    assert shop.ask(merchant="nobody") == {"approvals": [], "new": 0, "beyond": 0, "causes": {}}


def test_a_batch_of_one_cause_is_decided_at_once(shop):
    shop.ask(cause="suggested")
    frozen = shop.send(
        "POST",
        "/approval-batches",
        {"kind": "price_move", "bucket": "suggested", "party_type": "merchant", "party_id": shop.merchant},
    ).json()
    assert frozen["count"] == 2
    answer = shop.send(
        "POST", f"/approval-batches/{frozen['batch_id']}/decide",
        {"digest": frozen["digest"], "action": "approve"},
    )  # fmt: skip
    assert answer.json()["decided"] == 2, answer.text
    assert [row[::2] for row in shop.recorded()] == [("a", 105), ("b", 90)]


def test_only_skus_of_a_category(shop):
    with psycopg.connect(libpq_url(shop.url)) as connection:
        connection.execute(
            "insert into orders.product (tenant_id, sku_id, title, category_ids)"
            " values ('default', 'b', 'Milk', '{dairy,food}'), ('default', 'c', 'Tea', '{food}')"
        )
    assert [one["sku_id"] for one in shop.ask(category_id="dairy")["approvals"]] == ["b"]
    assert {one["sku_id"] for one in shop.ask(category_id="food")["approvals"]} == {"b", "c"}


def test_a_price_is_adjusted_within_floor_and_ceiling_only(shop):
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    assert shop.decide(one, "adjust", adjusted={"price_cents": 201}).status_code == 422
    done = shop.decide(one, "adjust", adjusted={"price_cents": 108})
    assert done.status_code == 200, done.text
    assert shop.decide(done.json()).status_code == 200
    assert shop.price("a")["price_cents"] == 108


@pytest.mark.parametrize(
    "newer",
    [
        waiting("a", 105, action="publish"),
        waiting("a", 106, current=102),
        waiting("a", 108, floor=107),
        waiting("a", 105, list_price=120),
        waiting("a", 101),
    ],
)
def test_a_suggestion_that_moved_meanwhile_is_refused(shop, newer):
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.refine(newer)
    answer = shop.decide(one)
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (409, "price-moved")
    assert shop.recorded() == []


def test_newer_prices_take_the_place_of_what_was_approved(shop):
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    shop.refine(waiting("a", 105, current=105, action="keep"), hours=9)
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (105, "keep")
    # A publication of the very moment takes nothing back that a person decided.
    shop.publish(f"{shop.version}-again", [waiting("a", 105), *PRICES[1:]], as_of=NOON)
    assert [row[2] for row in shop.recorded()] == [105]


def test_a_far_move_needs_a_second_person_and_a_newer_suggestion_supersedes(shop):
    far = waiting("f", 30_000, current=15_000, floor=5_000, ceiling=40_000)
    shop.refine(far)
    (one,) = shop.ask(sku_ids=["f"])["approvals"]
    assert one["approvals_needed"] == 2
    half = shop.decide(one)
    assert half.json()["state"] == "half_approved"
    assert shop.recorded() == []
    shop.refine(waiting("f", 29_000, current=15_000, floor=5_000, ceiling=40_000), hours=2)
    (newer,) = shop.ask(sku_ids=["f"])["approvals"]
    assert newer["approval_id"] != one["approval_id"]
    assert shop.decide(one, who="ben").status_code == 409
    shop.decide(newer)
    assert shop.decide(newer | {"version": 2}, who="ben").status_code == 200
    assert [row[2] for row in shop.recorded()] == [29_000]


def test_a_near_move_that_is_adjusted_to_a_far_one_needs_a_second_person(shop):
    shop.refine(waiting("f", 15_100, current=15_000, floor=5_000, ceiling=90_000))
    (one,) = shop.ask(sku_ids=["f"])["approvals"]
    assert one["approvals_needed"] == 1
    far = shop.decide(one, "adjust", adjusted={"price_cents": 90_000}).json()
    assert far["approvals_needed"] == 2
    half = shop.decide(far)
    assert half.json()["state"] == "half_approved"
    assert shop.recorded() == []
    assert shop.decide(half.json()).status_code == 403, "the same person twice"
    assert shop.decide(half.json(), who="ben").json()["state"] == "in_effect"
    assert [row[2] for row in shop.recorded()] == [90_000]


def test_a_merchant_neither_asks_nor_decides(shop):
    answer = shop.send("POST", f"/prices/{shop.merchant}/approvals", {}, "shop", "merchant", "m1")
    assert answer.status_code == 403
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    assert shop.decide(one, who="shop").status_code == 403


def test_the_changes_are_told_to_the_next_run(shop, tmp_path):
    from pipelines.sources.recorded.extraction import Extraction
    from pipelines.sources.recorded.rows import RecordedRows
    from pipelines.sources.recorded.streams import RECORDED

    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    extraction = Extraction(tmp_path / "prices", RECORDED["prices"], tenant_id="default")
    assert extraction.extract(libpq_url(shop.url)).rows["price_changes"] >= 1
    rows = RecordedRows(extraction).rows("price_changes", NOON + dt.timedelta(seconds=1))
    mine = rows.filter(merchant_id=shop.merchant)
    assert mine.select("sku_id", "price_cents").rows() == [("a", 105)]


def test_a_price_that_was_decided_for_another_suggestion_is_not_shown_for_this_one(shop):
    """105 was decided on; a run that began before says 150 above a floor of 140, since the cost jumped."""
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    older = AS_OF + timedelta(hours=6)
    newer = waiting("a", 150, floor=140, ceiling=200, cause="cost_jumped")
    shop.publish(f"{shop.version}-run", [newer, *PRICES[1:]], as_of=older)
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (150, "await_approval")
    assert [found["price_cents"] for found in shop.ask(sku_ids=["a"])["approvals"]] == [150]


def test_the_same_suggestion_is_not_asked_again_by_a_run_that_began_before(shop):
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    shop.publish(f"{shop.version}-run", [waiting("a", 105), *PRICES[1:]], as_of=AS_OF + timedelta(hours=6))
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (105, "publish")
    assert shop.ask(sku_ids=["a"])["approvals"] == []


def test_a_delta_of_other_listings_leaves_an_approved_price_in_force(shop):
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    shop.refine(waiting("b", 91), hours=9)
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (105, "publish")
    assert shop.ask(sku_ids=["a"])["approvals"] == []


def test_what_readers_see_and_the_record_agree_when_an_older_run_publishes_after_an_approval(shop):
    """The publication's business time lies before the approval; readers see it all the same."""
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    shop.decide(one)
    published = waiting("a", 150, action="publish")
    for name in ("run", "again"):
        shop.publish(f"{shop.version}-{name}", [published, *PRICES[1:]], as_of=AS_OF + timedelta(hours=6))
    assert (shop.price("a")["price_cents"], shop.price("a")["action"]) == (150, "publish")
    with psycopg.connect(libpq_url(shop.url)) as connection:
        (last,) = connection.execute(
            "select price_cents from market.price_change where merchant_id = %s and sku_id = 'a'"
            " order by changed_at desc limit 1",
            (shop.merchant,),
        ).fetchone()
    assert last == 150


def test_an_approval_waits_for_a_publication_that_is_about_to_be_seen(shop):
    """It then meets the newer suggestion, and is refused; the record stays what readers see."""
    (one,) = shop.ask(sku_ids=["a"])["approvals"]
    with psycopg.connect(libpq_url(shop.url)) as publishing, ThreadPoolExecutor(1) as pool:
        locks.prices_in_force(publishing, "default")
        answer = pool.submit(shop.decide, one)
        time.sleep(0.3)
        assert not answer.done()
        shop_row = "update scores.prices set price_cents = 120 where merchant_id = %s and sku_id = 'a'"
        publishing.execute(shop_row, (shop.merchant,))
        publishing.commit()
        assert answer.result(10).status_code == 409
    assert shop.recorded() == []
