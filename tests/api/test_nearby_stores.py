"""Stores near a place by the route: distance, sellable units, the day of departure, what has no place."""

import math
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables
from small_market import TENANT, Shop

from feature_store.online import ProfileReader
from models.supply.brake.ladder import Level, Rules
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.orders.warehouses.nearby import EARTH_M, distance_m
from serving.quality.judging import Finding, judge
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.supply.warehouses import StatedWarehouse, put_warehouses

pytestmark = pytest.mark.xdist_group("nearby_stores")  # one database and application for all

SHANGHAI, SUZHOU, BEIJING = (31.2304, 121.4737), (31.2990, 120.5853), (39.9042, 116.4074)
TODAY = AS_OF.date()  # a Sunday, 04:00 UTC


def store(name, supplier, place=(None, None), **more):
    return replace(StatedWarehouse(name, supplier, "east", *place, None, 600, "1234567", None), **more)


class Desk:
    def __init__(self, client, url, shop):
        self.client, self.url, self.shop = client, url, shop
        self.keys = {
            role: issue_key(
                url, name="k", role=role, party_id=party, scopes=sorted(ROLE_SCOPES[Role(role)])
            ).secret
            for role, party in (("operator", None), ("merchant", "m1"), ("supplier", "SA"))
        }

    def put(self, *stores):
        with psycopg.connect(libpq_url(self.url)) as conn:
            put_warehouses(conn, TENANT, stores)

    def ask(self, sku, place=SHANGHAI, status=200, role="merchant", **query):
        params = {"sku_id": sku, "latitude": place[0], "longitude": place[1], **query}
        answer = self.client.get("/v1/nearby-stores", params=params, headers={"X-API-Key": self.keys[role]})
        assert answer.status_code == status, answer.text
        return answer.json()

    def count(self, supplier, sku, units, held, status=200):
        """State stock by warehouse through its route; what the route then tells of the sku."""
        path, headers = f"/v1/suppliers/{supplier}/stock", {"X-API-Key": self.keys["operator"]}
        houses = [{"warehouse_id": name, "on_hand_qty": qty} for name, qty in held.items()]
        line = {"sku_id": sku, "on_hand_qty": units, "warehouses": houses, "source_at": AS_OF.isoformat()}
        answer = self.client.put(path, json={"stock": [line]}, headers=headers)
        assert answer.status_code == status, answer.text
        found = self.client.get(path, headers=headers).json()["stock"]
        return next((one for one in found if one["sku_id"] == sku), None)

    def names(self, sku, **query):
        return [one["warehouse_id"] for one in self.ask(sku, **query)["stores"]]


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    with Operations(module_database_url, size=2) as operations:
        shop = Shop(module_database_url, operations)
        shop.may_lose(10**12)
        app = create_app(settings, module_database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, module_database_url, shop)


def offered(desk, sku, supplier, qty=9, **terms):
    desk.shop.list(sku, 2_000)
    desk.shop.supply(
        supplier, sku, qty, at=AS_OF - timedelta(days=1), **{"days": 0, "region": "east"} | terms
    )


def test_the_nearest_store_comes_first_and_one_without_a_place_is_counted(desk):
    offered(desk, "n-milk", "SA")
    offered(desk, "n-milk", "SB", qty=4)
    desk.put(
        store("n-bj", "SA", BEIJING),
        store("n-sz", "SA", SUZHOU),
        store("n-sh", "SB", SHANGHAI),
        store("n-nowhere", "SB"),
    )
    told = desk.ask("n-milk")
    assert [(one["warehouse_id"], one["available_qty"]) for one in told["stores"]] == [
        ("n-sh", 4), ("n-sz", 9), ("n-bj", 9)
    ]  # fmt: skip
    metres = [one["distance_m"] for one in told["stores"]]
    assert metres == [0, *(round(by_vectors(SHANGHAI, place)) for place in (SUZHOU, BEIJING))]
    assert told["unplaced"] == 1
    assert desk.names("n-milk", limit=1) == ["n-sh"]
    assert desk.names("n-milk", place=BEIJING) == ["n-bj", "n-sz", "n-sh"]


def test_only_units_that_can_be_sold_count(desk):
    offered(desk, "n-jam", "SC", qty=5)
    offered(desk, "n-jam", "SD", qty=9, smallest=3)
    desk.put(store("n-c", "SC", SHANGHAI), store("n-d", "SD", SUZHOU))
    assert desk.names("n-jam") == ["n-c"]
    told = desk.ask("n-jam", qty=1)
    assert (told["reason"], told["left_out"]) == (None, [left_out("SD", "below_min_order", 3, 9)])
    assert desk.names("n-jam", qty=3) == ["n-c", "n-d"]
    assert desk.names("n-jam", qty=5) == ["n-c", "n-d"]
    assert desk.names("n-jam", qty=6) == ["n-d"]
    desk.shop.place("n-1", ("n-jam", 5), at=AS_OF)  # the rest of SC
    assert desk.names("n-jam", qty=3) == ["n-d"]
    with desk.shop.transaction() as conn:
        judge(conn, TENANT, [Finding("n-jam", Level.STOP, "r", {})], Rules(), AS_OF)
    assert desk.ask("n-jam", qty=3) == nothing("sale_stopped")


def left_out(supplier, reason, smallest, available, house=None):
    return {
        "supplier_id": supplier,
        "warehouse_id": house,
        "reason": reason,
        "min_order_qty": smallest,
        "available_qty": available,
    }


def nothing(reason, *left, unplaced=0):
    return {"stores": [], "unplaced": unplaced, "left_out": list(left), "reason": reason}


def test_an_empty_answer_says_why_so_that_the_next_question_finds_something(desk):
    offered(desk, "n-box", "SG", qty=40, smallest=6)
    offered(desk, "n-box", "SH", qty=0, smallest=1)
    desk.put(store("n-g", "SG", SHANGHAI))
    # The one that can be helped is the reason, not the one that has nothing.
    told = desk.ask("n-box")
    assert told == nothing(
        "below_min_order", left_out("SG", "below_min_order", 6, 40), left_out("SH", "short_stock", 1, 0)
    )
    assert desk.names("n-box", qty=told["left_out"][0]["min_order_qty"]) == ["n-g"]
    told = desk.ask("n-box", qty=41)
    assert (told["reason"], told["left_out"][0]) == ("short_stock", left_out("SG", "short_stock", 6, 40))
    assert desk.names("n-box", qty=told["left_out"][0]["available_qty"]) == ["n-g"]
    desk.put(store("n-g", "SG"))
    assert desk.ask("n-box", qty=6)["reason"] == "no_place"
    desk.put(store("n-g", "SG", SHANGHAI, capacity_per_day=0))
    told = desk.ask("n-box", qty=6)
    assert (told["reason"], told["left_out"][0]) == ("no_room", left_out("SG", "no_room", 6, 40, "n-g"))
    desk.put()
    assert desk.ask("n-box", qty=6)["reason"] == "no_warehouse"
    # A smallest order that the stock does not reach is no advice.
    offered(desk, "n-bag", "SG", qty=4, smallest=6)
    assert desk.ask("n-bag") == nothing("short_stock", left_out("SG", "below_min_order", 6, 4))


def test_where_stock_is_counted_by_warehouse_only_those_that_have_the_units_are_near(desk):
    offered(desk, "n-fig", "SI", qty=9)
    desk.put(store("n-i1", "SI", SHANGHAI), store("n-i2", "SI", SUZHOU), store("n-i3", "SI", BEIJING))
    told = desk.count("SI", "n-fig", 9, {"n-i1": 2, "n-i2": 7, "n-i3": 0})
    assert [(one["warehouse_id"], one["on_hand_qty"], one["free_qty"]) for one in told["warehouses"]] == [
        ("n-i1", 2, 2), ("n-i2", 7, 7), ("n-i3", 0, 0)
    ]  # fmt: skip
    for wrong in ({"n-i1": 2}, {"n-a": 9}, {"n-i1": -1, "n-i2": 10}):
        desk.count("SI", "n-fig", 9, wrong, status=422)
    told = desk.ask("n-fig")
    assert [(one["warehouse_id"], one["available_qty"]) for one in told["stores"]] == [
        ("n-i1", 2), ("n-i2", 7)
    ]  # fmt: skip
    told = desk.ask("n-fig", qty=3)
    assert [one["warehouse_id"] for one in told["stores"]] == ["n-i2"]
    assert told["left_out"] == [left_out("SI", "short_stock", 1, 2, "n-i1")]


def test_each_store_tells_the_day_on_which_it_would_ship(desk):
    offered(desk, "n-rye", "SE")
    offered(desk, "n-rye", "SF", days=2)
    shut = tuple(TODAY + timedelta(days=n) for n in range(200))
    desk.put(
        store("n-e", "SE", SHANGHAI, cut_off_minutes=239, capacity_per_day=5),
        store("n-f", "SF", SHANGHAI),
        store("n-shut", "SE", SHANGHAI, closed_on=shut),
    )
    days = {one["warehouse_id"]: one["ships_on"] for one in desk.ask("n-rye")["stores"]}
    assert days == {
        "n-e": (TODAY + timedelta(days=1)).isoformat(),
        "n-f": (TODAY + timedelta(days=2)).isoformat(),
    }
    assert desk.names("n-rye", qty=6) == ["n-f"]


@pytest.mark.parametrize(
    "wrong", [{"latitude": 90.1}, {"longitude": -180.1}, {"qty": 0}, {"limit": 101}, {"latitude": "x"}]
)
def test_a_place_that_is_none_is_refused(desk, wrong):
    assert desk.ask("n-milk", status=422, **wrong)["type"].endswith("invalid-parameter")


def test_suppliers_do_not_look_at_each_other(desk):
    desk.ask("n-milk", role="supplier", status=403)
    assert desk.ask("nobody-sells-it", role="operator") == nothing("no_offer")


PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def by_vectors(one, other):
    """The angle between two places as vectors, by cross and dot product."""

    def vector(place):
        lat, lon = map(math.radians, place)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    (a, b, c), (x, y, z) = vector(one), vector(other)
    cross = math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
    return EARTH_M * math.atan2(cross, a * x + b * y + c * z)


@given(PLACES, PLACES)
def test_distances_are_those_of_the_sphere(one, other):
    assert distance_m(one, other) == pytest.approx(by_vectors(one, other), abs=2.0)
    assert distance_m(one, other) == distance_m(other, one)


def test_known_distances():
    quarter = EARTH_M * math.pi / 2
    assert distance_m((0, 0), (0, 90)) == pytest.approx(quarter)
    assert distance_m((90, 0), (0, 17)) == pytest.approx(quarter)
    assert distance_m((0, -179), (0, 179)) == pytest.approx(quarter / 45)
    assert distance_m((0, 0), (0, 180)) == pytest.approx(2 * quarter)
