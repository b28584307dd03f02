"""Arms that act: whose list an answer is, which published price is held back; noted when they act."""

from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from two_people import approved

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.experiments.results import end_due
from serving.experiments.stopping import stop_now
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish
from serving.security import Scope, issue_key

HOUR = timedelta(hours=1)
PEOPLE = [f"c{n}" for n in range(40)]
SKUS = [f"s{n}" for n in range(30)]


class Front:
    """The API over fresh publications, with two operators."""

    def __init__(self, client, url, keys, operations):
        self.client, self.url, self.keys, self.operations = client, url, keys, operations

    def ask(self, method, path, body=None, status=200, who=0, **query):
        headers = {"X-API-Key": self.keys[who]}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def start(self, **document):
        name = document["experiment_id"]
        self.ask("POST", "/experiments", {"title": "A test"} | document, status=201)
        done = approved(self.client, self.keys[1], self.ask("POST", f"/experiments/{name}/start", status=202))
        assert done.status_code == 200, done.text

    def arms(self, name, units):
        return {
            unit: self.ask("GET", f"/experiments/{name}/assignments/{unit}").json()["arm"] for unit in units
        }

    def exposed(self, name):
        page = self.ask("GET", f"/experiments/{name}/exposures").json()["exposures"]
        return {one["unit_id"]: one["arm"] for one in page}

    def lists(self, version, skus, as_of=AS_OF):
        """Publish lists of the same skus for everybody at m1, with another favourite, s9, at the counter."""
        rows = small_tables(version)
        rows["recommendations"] = [
            ("m1", one, rank, sku, 1.0, "repeat", version, 0.5)
            for one in PEOPLE
            for rank, sku in enumerate(skus, start=1)
        ]
        rows["popular_items"] = [("m1", 1, "s9", 1.0, version)]
        publish(self.url, manifest_of(version, rows, as_of=as_of), rows, keep_versions=1)

    def shown(self, consumer):
        answer = self.ask("GET", "/recommendations", merchant_id="m1", consumer_id=consumer).json()
        return [item["sku_id"] for item in answer["items"]], answer["publication_version"]

    def prices(self, version, prices, *, hours=0):
        rows = small_tables(version) | {"prices": prices}
        as_of = AS_OF + hours * HOUR
        publish(self.url, manifest_of(version, rows, as_of=as_of), rows)

    def price(self, sku, merchant="m1"):
        found = self.ask("GET", f"/prices/{merchant}/{sku}").json()["price"]
        (listed,) = [
            one for one in self.ask("GET", f"/prices/{merchant}").json()["prices"] if one["sku_id"] == sku
        ]
        assert (found["price_cents"], found["action"]) == (listed["price_cents"], listed["action"])
        return found["price_cents"], found["action"]

    def in_force(self):
        with psycopg.connect(libpq_url(self.url)) as connection:
            rows = connection.execute(
                "select distinct on (merchant_id, sku_id) sku_id, price_cents from market.price_change"
                " order by merchant_id, sku_id, changed_at desc"
            )
            return dict(rows.fetchall())


@pytest.fixture
def front(database_url, settings):
    with Operations(database_url, size=3) as operations:
        keys = [issue_key(database_url, name=name, scopes=list(Scope)).secret for name in ("ann", "bob")]
        app = create_app(
            settings.model_copy(update={"as_of": AS_OF + HOUR}), database_url, ProfileReader(SCHEMA)
        )
        with TestClient(app) as client:
            yield Front(client, database_url, keys, operations)


LISTS = {"surface": "recommendations", "unit": "consumer", "layer": "lists", "metric": "ordered"}
PRICES = {"surface": "prices", "layer": "prices", "metric": "margin_cents"}
HOLD = [{"name": "let_go", "share_bps": 5_000}, {"name": "held", "share_bps": 5_000, "price": "hold"}]


def price(sku, cents, action="publish", *, merchant="m1", list_price=1_000, floor=500, ceiling=2_000):
    return (merchant, sku, 300, list_price, cents, floor, ceiling, 900, None, -1.0, "auto", action, "[]")


def test_the_list_of_an_arm_is_shown_and_noted_once(front):
    front.lists("old", ["s1", "s2"])
    front.lists("new", ["s2", "s1"], as_of=AS_OF + HOUR)
    front.ask("POST", "/experiments", LISTS | {"experiment_id": "gone", "title": "t", "arms": [
        {"name": "new", "share_bps": 5_000}, {"name": "old", "share_bps": 5_000, "version": "old"},
    ]}, status=201)  # fmt: skip
    problem = front.ask("POST", "/experiments/gone/start", status=422).json()
    assert "no version old is published" in problem["detail"]
    front.start(**LISTS, experiment_id="lists", arms=[
        {"name": "own", "share_bps": 4_000},
        {"name": "popular", "share_bps": 3_000, "list": "popular"},
        {"name": "as_now", "share_bps": 3_000, "version": "new"},
    ])  # fmt: skip
    front.lists("newest", ["s3", "s1"], as_of=AS_OF + 2 * HOUR)
    arms = front.arms("lists", PEOPLE)
    assert set(arms.values()) == {"own", "popular", "as_now"}
    wanted = {
        "own": (["s3", "s1"], "newest"),
        "popular": (["s9"], "newest"),
        "as_now": (["s2", "s1"], "new"),
    }
    assert front.exposed("lists") == {}
    for _ in range(2):
        assert {one: front.shown(one) for one in PEOPLE} == {one: wanted[arms[one]] for one in PEOPLE}
    assert front.exposed("lists") == arms
    # Without a list of their own everybody gets what is popular: no arm acts.
    assert front.shown("stranger")[0] == ["s9"]
    assert front.exposed("lists") == arms
    # The version of a running experiment is kept; afterwards it goes with the others.
    front.ask("POST", "/experiments/lists/stop", {"reason": "decided"})
    assert all(front.shown(one) == wanted["own"] for one in PEOPLE)
    front.lists("last", ["s1"], as_of=AS_OF + 3 * HOUR)
    versions = {one["version"] for one in front.ask("GET", "/publications").json()["publications"]}
    assert versions == {"last"}


def test_the_preview_says_what_so_many_could_show(front):
    front.lists("v1", ["s1", "s2"])
    arms = [{"name": "own", "share_bps": 5_000}, {"name": "popular", "share_bps": 5_000, "list": "popular"}]
    document = LISTS | {"experiment_id": "lists", "title": "t", "arms": arms, "traffic_bps": 5_000}
    front.ask("POST", "/experiments", document, status=201)
    seen = front.ask("GET", "/experiments/lists/preview").json()
    assert (seen["units"], seen["baseline"]) == (40, 0.0)
    assert seen["arms"] == [
        {"arm": "popular", "units": 10, "detectable": None, "power": None, "units_needed": None}
    ]
    with front.operations.transaction("default") as conn:
        for one in PEOPLE[:10]:
            conn.execute(
                "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel,"
                " source, status, placed_at, paid_at, payable_cents) values ('default', %(o)s, 'm1', %(c)s,"
                " 'store', 'api', 'paid', %(at)s, %(at)s, 100)",
                {"o": f"o-{one}", "c": one, "at": AS_OF},
            )
            conn.execute(
                "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
                " list_price_cents, net_paid_cents, supply_price_cents) values ('default', %s, 1, 's1', 'S',"
                " 1, 100, 100, 60)",
                (f"o-{one}",),
            )
    seen = front.ask("GET", "/experiments/lists/preview", difference=0.5).json()
    # A quarter ordered: sd .4385 over 40; 2.8016 * .4385 * sqrt(1 / 10 + 1 / 10).
    assert seen["baseline"] == 0.25
    (arm,) = seen["arms"]
    assert arm["detectable"] == pytest.approx(0.5494, abs=1e-3)
    assert arm["power"] == pytest.approx(0.7216, abs=1e-3)
    assert arm["units_needed"] == 25
    front.ask("GET", "/experiments/lists/preview", difference=0, status=422)


def test_who_withdrew_from_profiling_or_was_erased_is_in_no_experiment(front):
    front.lists("v1", ["s1", "s2"])
    front.start(**LISTS, experiment_id="lists", arms=[
        {"name": "own", "share_bps": 5_000},
        {"name": "popular", "share_bps": 5_000, "list": "popular"},
    ])  # fmt: skip
    with front.operations.transaction("default") as conn:
        conn.execute(
            "insert into consumers.consent (tenant_id, consumer_id, purpose, granted, stated_at, received_at,"
            " source) values ('default', 'c1', 'profiling', false, now(), now(), 'app')"
        )
    front.ask("POST", "/consumers/c2/erasure")
    for one in ("c1", "c2", "c3"):
        front.shown(one)
    assert set(front.exposed("lists")) == {"c3"}


def test_an_arm_without_the_session_keeps_the_published_order(front):
    front.lists("v1", ["s1", "s2", "s3"])
    front.start(**LISTS, experiment_id="session", arms=[
        {"name": "with", "share_bps": 5_000}, {"name": "without", "share_bps": 5_000, "session": False},
    ])  # fmt: skip
    arms = front.arms("session", PEOPLE)
    with front.operations.transaction("default") as conn:
        for one in PEOPLE:
            conn.execute(
                "insert into events.event (tenant_id, event_id, consumer_id, merchant_id, session_id,"
                " event_type, sku_id, occurred_at, received_at) values ('default', %(e)s, %(c)s, 'm1', 's',"
                " 'checkout', 's1', %(at)s, %(at)s)",
                {"e": f"e-{one}", "c": one, "at": AS_OF},
            )
    first = {one: front.shown(one)[0][0] for one in PEOPLE}
    assert first == {one: "s2" if arms[one] == "with" else "s1" for one in PEOPLE}
    assert front.exposed("session") == arms


def test_a_held_price_stays_in_force_until_the_experiment_ends(front):
    front.prices("v1", [price(sku, 960) for sku in SKUS])
    front.start(**PRICES, unit="sku", experiment_id="moves", arms=HOLD)
    arms = front.arms("moves", SKUS)
    held = {sku for sku, arm in arms.items() if arm == "held"}
    assert {front.price(sku) for sku in SKUS} == {(960, "publish")}
    assert front.exposed("moves") == {}
    front.prices("v2", [price(sku, 960 if sku == "s0" else 900) for sku in SKUS], hours=2)
    for sku in SKUS:
        moved = (900, "publish") if sku not in held else (960, "keep")
        assert front.price(sku) == ((960, "publish") if sku == "s0" else moved)
    assert front.in_force() == {sku: 960 if sku in held or sku == "s0" else 900 for sku in SKUS}
    assert front.exposed("moves") == {sku: arm for sku, arm in arms.items() if sku != "s0"}
    # A price that the limits of now do not allow is not held: the new one comes into force.
    cheap = sorted(held - {"s0"})[0]
    delta = Delta("v2", 1, {}, prices=[price(cheap, 1_100, floor=1_000)], prices_as_of=AS_OF + 3 * HOUR)
    publish_delta(front.url, delta)
    assert front.price(cheap) == (1_100, "publish")
    assert front.in_force()[cheap] == 1_100
    with front.operations.transaction("default") as conn:
        assert end_due(conn, "default", AS_OF + timedelta(days=29)) == [("moves", "over")]
    assert {front.price(sku) for sku in held - {cheap, "s0"}} == {(900, "publish")}
    assert set(front.in_force().values()) == {900, 960, 1_100}
    assert {front.in_force()[sku] for sku in held - {cheap, "s0"}} == {900}


def test_everybody_sees_one_price_and_a_merchant_is_held_as_a_whole(front):
    merchants = [f"m{n}" for n in range(12)]
    front.prices("v1", [price("s1", 960, merchant=one) for one in merchants])
    by_consumer = PRICES | {"unit": "consumer", "experiment_id": "personal", "title": "t", "arms": HOLD}
    problem = front.ask("POST", "/experiments", by_consumer, status=422).json()
    assert "never tested by consumer" in problem["detail"]
    front.start(**PRICES, unit="merchant", experiment_id="shops", arms=HOLD)
    arms = front.arms("shops", merchants)
    front.prices("v2", [price("s1", 900, merchant=one) for one in merchants], hours=2)
    shown = {one: front.price("s1", one)[0] for one in merchants}
    assert shown == {one: 960 if arms[one] == "held" else 900 for one in merchants}
    assert front.exposed("shops") == arms


def test_nobody_approves_a_price_that_is_held(front):
    front.prices("v1", [price(sku, 960) for sku in SKUS])
    front.start(**PRICES, unit="sku", experiment_id="moves", arms=HOLD)
    arms = front.arms("moves", SKUS)
    front.prices("v2", [price(sku, 900, "await_approval") for sku in SKUS], hours=2)
    asked = front.ask("POST", "/prices/m1/approvals", {"sku_ids": SKUS}).json()["approvals"]
    for one in asked:
        told = {"version": one["version"], "digest": one["digest"]}
        status = 409 if arms[one["sku_id"]] == "held" else 200
        answer = front.ask("POST", f"/approvals/{one['approval_id']}/approve", told, status=status)
        assert status == 200 or answer.json()["type"].endswith("price-moved")


def test_what_is_let_go_at_the_moment_of_its_publication_is_in_force(front):
    """With a clock that stands still everything happens at one moment: the last word counts."""
    front.prices("v1", [price(sku, 960) for sku in SKUS], hours=1)
    front.start(**PRICES, unit="sku", experiment_id="moves", arms=HOLD)
    front.prices("v2", [price(sku, 900) for sku in SKUS], hours=1)
    held = {sku for sku, arm in front.arms("moves", SKUS).items() if arm == "held"}
    assert {sku for sku, cents in front.in_force().items() if cents == 960} == held
    front.ask("POST", "/experiments/moves/stop", {"reason": "decided"})
    assert {front.price(sku) for sku in SKUS} == {(900, "publish")}
    assert front.in_force() == dict.fromkeys(SKUS, 900)


def test_data_that_are_older_than_a_stop_are_in_force_after_it(front):
    """Business time of a publication is that of its data; a stop has the time of the clock."""
    front.prices("v1", [price(sku, 960) for sku in SKUS])
    front.start(**PRICES, unit="sku", experiment_id="moves", arms=HOLD)
    with front.operations.transaction("default") as conn:
        stop_now(conn, "default", "moves", "decided", AS_OF + 5 * HOUR)
    front.prices("v2", [price(sku, 900) for sku in SKUS], hours=2)
    front.start(**PRICES, unit="sku", experiment_id="again", arms=HOLD)
    front.prices("v3", [price(sku, 850) for sku in SKUS], hours=3)
    with front.operations.transaction("default") as conn:
        stop_now(conn, "default", "again", "decided", AS_OF + 9 * HOUR)
    assert front.in_force() == dict.fromkeys(SKUS, 850)
    front.prices("v4", [price(sku, 800) for sku in SKUS], hours=4)
    assert {front.price(sku) for sku in SKUS} == {(800, "publish")}
    assert front.in_force() == dict.fromkeys(SKUS, 800)
