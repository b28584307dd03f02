"""Transfers from the suggestion to the other shelf: asked, approved, shipped, received; each step once."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from models.supply.transfers.config import TransferConfig
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.orders.assortment import stock
from serving.orders.errors import InvalidRequestError, OrdersError, OutOfStockError
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.supply.warehouses import StatedWarehouse, put_warehouses
from serving.transfers import moving
from serving.transfers.suggesting import SuggestedTransfers, ask_suggested

pytestmark = pytest.mark.xdist_group("transfers")  # one world for all

TODAY = NOW.date()
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def house(name, supplier, region, **more):
    return replace(StatedWarehouse(name, supplier, region, None, None, None, 600, "1234567", None), **more)


HOUSES = (
    house("e-1", "S1", "east"),
    house("w-1", "S1", "west"),
    house("hub", None, "north"),
    house("x-2", "S2", "east"),
)


@pytest.fixture(scope="module")
def shop(module_database_url):
    with psycopg.connect(libpq_url(module_database_url)) as conn:
        put_warehouses(conn, TENANT, HOUSES)
    with Operations(module_database_url, size=12, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        made.may_lose(10**12)
        made.plan()
        yield made


@pytest.fixture(scope="module")
def call(module_database_url, settings, shop):
    roles = {"S1": Role.SUPPLIER, "S2": Role.SUPPLIER, "m1": Role.MERCHANT, "op": Role.OPERATOR}
    keys = {
        who: issue_key(
            module_database_url,
            name=who,
            role=role,
            party_id=None if who == "op" else who,
            scopes=sorted(ROLE_SCOPES[role]),
        ).secret
        for who, role in roles.items()
    }
    told = settings.model_copy(update={"as_of": NOW})
    app = create_app(told, module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:

        def send(who, method, path, body=None, expected=200, key=None, **query):
            headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
            answer = client.request(method, f"/v1{path}", params=query, json=body, headers=headers)
            assert answer.status_code == expected, answer.text
            return answer.json() if answer.content else None

        yield send


def market(shop, sku, **units):
    shop.list(sku, 100_000)
    shop.supply("S1", sku, 1, days=0, region="east", at=NOW - 60 * SECOND)
    count(shop, sku, {name.replace("_", "-"): qty for name, qty in units.items()})


def count(shop, sku, held, at=NOW - 30 * SECOND):
    report = stock.StockReport(sku, sum(held.values()), 0, at, held)
    return shop.act(stock.report_stock, "S1", [report], NOW)


def parts(shop, sku):
    """Units by warehouse: (on hand, free)."""
    with shop.transaction() as conn:
        found = stock.levels(conn, TENANT, "S1", after="", limit=500)
    (level,) = [one for one in found if one.sku_id == sku]
    assert sum(one.on_hand_qty for one in level.warehouses) == level.on_hand_qty
    return {one.warehouse_id: (one.on_hand_qty, one.free_qty) for one in level.warehouses}


def planned(call, key, sku, qty, to="w-1", expected=201, start="e-1"):
    body = {
        "supplier_id": "S1",
        "sku_id": sku,
        "from_warehouse_id": start,
        "to_warehouse_id": to,
        "qty": qty,
        "expected_on": (TODAY + 3 * DAY).isoformat(),
    }
    return call("op", "POST", "/transfers", body, expected, key)


def own(transfer, step):
    return f"/suppliers/S1/transfers/{transfer['transfer_id']}/{step}"


def moves(shop, transfer):
    return shop.sql(
        "select warehouse_id, qty_delta::int, reason from orders.stock_movement"
        " where transfer_id = %(t)s order by movement_id",
        t=transfer["transfer_id"],
    )


def test_a_suggestion_is_asked_approved_shipped_and_received(shop, call):
    market(shop, "t-tea", e_1=200, w_1=28)
    # 28 units in 28 days went to the west, from where they lie by now: a unit a day.
    shop.place("t-0", ("t-tea", 28), region_code="west", at=NOW - DAY)
    count(shop, "t-tea", {"e-1": 200, "w-1": 28})
    told = shop.act(ask_suggested, NOW)
    # 14 days of a unit; none is free there, and those of the first 4 days of the way are lost.
    assert told == SuggestedTransfers(goods=1, suggested=1, asked=1, units=10, gain_cents=10 * 240)
    assert shop.act(ask_suggested, NOW).asked == 0
    (one,) = call("op", "GET", "/approvals", kind="transfer", state="pending")["approvals"]
    wanted = one["suggestion"]
    assert (wanted["from_warehouse_id"], wanted["to_warehouse_id"], wanted["qty"]) == ("e-1", "w-1", 10)
    assert (wanted["to_cover_days"], wanted["to_units_per_100_days"]) == (0, 100)
    assert "from_cover_days" not in wanted  # nobody near asks for any
    decided = {"version": one["version"], "digest": one["digest"]}
    path = f"/approvals/{one['approval_id']}"
    less = call("op", "POST", f"{path}/adjust", {**decided, "adjusted": {"qty": 8}})
    decided = {"version": less["version"], "digest": less["digest"]}
    assert call("op", "POST", f"{path}/approve", decided)["state"] == "in_effect"
    (transfer,) = call("S1", "GET", "/suppliers/S1/transfers", status="planned")["transfers"]
    assert (transfer["planned_qty"], transfer["cause"]) == (8, "approved")
    assert transfer["expected_on"] == (TODAY + 4 * DAY).isoformat()
    assert parts(shop, "t-tea") == {"e-1": (200, 192), "w-1": (28, 0)}
    # The eight are on their way: two more are missing, which is no trip.
    assert shop.act(ask_suggested, NOW).suggested == 0
    assert call("S1", "POST", own(transfer, "shipment"), {})["status"] == "shipped"
    assert parts(shop, "t-tea") == {"e-1": (192, 192), "w-1": (28, 0)}
    assert call("S1", "POST", own(transfer, "receipt"), {"qty": 7})["received_qty"] == 7
    assert parts(shop, "t-tea") == {"e-1": (192, 192), "w-1": (35, 7)}
    assert moves(shop, transfer) == [("e-1", -8, "transfer"), ("w-1", 7, "transfer")]
    shop.place("t-1", ("t-tea", 7), region_code="west")
    assert shop.read("t-1")[1][0].warehouse_id == "w-1"


def test_kept_units_are_nobody_elses_and_those_on_the_way_cannot_be_ordered(shop, call):
    market(shop, "t-rye", e_1=10, w_1=0)
    transfer = planned(call, "rye", "t-rye", 8)
    assert planned(call, "rye", "t-rye", 8) == transfer
    with pytest.raises(OutOfStockError):
        shop.place("t-2", ("t-rye", 3), region_code="east")
    shop.place("t-2", ("t-rye", 2), region_code="east")
    assert planned(call, "rye-2", "t-rye", 1, expected=409)["type"].endswith("transfer-moved")
    call("S1", "POST", own(transfer, "shipment"), {"qty": 5})
    # Three stay, and are free again.
    assert parts(shop, "t-rye") == {"e-1": (5, 3), "w-1": (0, 0)}
    with pytest.raises(OutOfStockError):
        shop.place("t-3", ("t-rye", 4), region_code="east")
    call("op", "POST", own(transfer, "receipt"), {})
    assert parts(shop, "t-rye") == {"e-1": (5, 3), "w-1": (5, 5)}
    back = planned(call, "rye-3", "t-rye", 5, start="w-1", to="hub")
    gone = call("op", "POST", f"/transfers/{back['transfer_id']}/cancel", {"reason_code": "not_needed"})
    assert (gone["status"], gone["reason_code"]) == ("cancelled", "not_needed")
    assert parts(shop, "t-rye")["w-1"] == (5, 5)


def test_each_step_belongs_to_its_state_and_its_party(shop, call):
    market(shop, "t-jam", e_1=10, w_1=0)
    transfer = planned(call, "jam", "t-jam", 4)
    call("S1", "POST", own(transfer, "receipt"), {}, 409)
    for qty in (0, 5):
        call("S1", "POST", own(transfer, "shipment"), {"qty": qty}, 422)
    call("S2", "POST", own(transfer, "shipment"), {}, 403)
    call("S2", "POST", own(transfer, "shipment").replace("S1", "S2"), {}, 404)
    call("m1", "GET", "/transfers", expected=403)
    call("S1", "POST", f"/transfers/{transfer['transfer_id']}/cancel", {"reason_code": "mine"}, 403)
    call("S1", "POST", own(transfer, "shipment"), {})
    call("S1", "POST", own(transfer, "shipment"), {}, 409)
    call("op", "POST", f"/transfers/{transfer['transfer_id']}/cancel", {"reason_code": "late"}, 409)
    call("S1", "POST", own(transfer, "receipt"), {"qty": 5}, 422)
    call("S1", "POST", own(transfer, "receipt"), {}, key="r")
    call("S1", "POST", own(transfer, "receipt"), {}, key="r")
    call("S1", "POST", own(transfer, "receipt"), {}, 409)
    assert moves(shop, transfer) == [("e-1", -4, "transfer"), ("w-1", 4, "transfer")]
    for start, to, wrong in (("e-1", "e-1", 422), ("e-1", "x-2", 422), ("none", "w-1", 422)):
        planned(call, f"{start}-{to}", "t-jam", 1, to, wrong, start)
    shop.act(stock.report_stock, "S1", [stock.StockReport("t-jam", 9, 0, NOW)], NOW)
    assert "not count" in planned(call, "jam-2", "t-jam", 1, expected=409)["detail"]


def test_units_that_lines_reserve_do_not_leave(shop, call):
    market(shop, "t-nut", e_1=10, w_1=0)
    transfer = planned(call, "nut", "t-nut", 8)
    # By the newest count there are fewer than the lines and the transfer keep.
    shop.place("t-4", ("t-nut", 2), region_code="east")
    count(shop, "t-nut", {"e-1": 6, "w-1": 0}, at=NOW - 20 * SECOND)
    problem = call("S1", "POST", own(transfer, "shipment"), {}, 409)
    assert "4 units of sku 't-nut' are free in 'e-1' by now, not 8" in problem["detail"]
    call("S1", "POST", own(transfer, "shipment"), {"qty": 4})
    assert parts(shop, "t-nut") == {"e-1": (2, 0), "w-1": (0, 0)}


def test_an_approval_of_units_that_were_sold_meanwhile_is_told(shop, call):
    market(shop, "t-fig", e_1=100, w_1=28)
    shop.place("t-5", ("t-fig", 28), region_code="west", at=NOW - DAY)
    before = shop.act(ask_suggested, NOW)
    found = call("op", "GET", "/approvals", kind="transfer", state="pending")["approvals"]
    (one,) = [one for one in found if one["suggestion"]["sku_id"] == "t-fig"]
    shop.place("t-6", ("t-fig", 95), region_code="east")
    decided = {"version": one["version"], "digest": one["digest"]}
    problem = call("op", "POST", f"/approvals/{one['approval_id']}/approve", decided, 409)
    assert "5 units of sku 't-fig' are free in 'e-1' by now, not 10" in problem["detail"]
    # What the east sells by now it keeps.
    assert shop.act(ask_suggested, NOW).suggested == before.suggested - 1


def test_a_count_from_before_a_step_does_not_undo_it(shop, call):
    market(shop, "t-egg", e_1=10, w_1=1)
    transfer = planned(call, "egg", "t-egg", 4)
    call("S1", "POST", own(transfer, "shipment"), {})
    count(shop, "t-egg", {"e-1": 11, "w-1": 1}, at=NOW - 10 * SECOND)
    assert parts(shop, "t-egg") == {"e-1": (7, 7), "w-1": (1, 1)}
    call("S1", "POST", own(transfer, "receipt"), {})
    count(shop, "t-egg", {"e-1": 11, "w-1": 2}, at=NOW - 5 * SECOND)
    assert parts(shop, "t-egg") == {"e-1": (7, 7), "w-1": (6, 6)}


def test_a_crowd_ships_receives_and_orders_each_unit_once(shop, call):
    market(shop, "t-crowd", e_1=40, w_1=0)
    transfers = [planned(call, f"crowd-{n}", "t-crowd", 3) for n in range(8)]

    def step(turn):
        round_, n = turn
        transfer = transfers[n % 8]["transfer_id"]
        try:
            match n % 4:
                case 0 | 1:
                    return shop.act(moving.ship, "S1", transfer, None, NOW)
                case 2:
                    return shop.act(moving.receive, "S1", transfer, None, NOW)
            return shop.place(f"tc-{round_}-{n}", ("t-crowd", 2), region_code="west")
        except OrdersError:
            return None

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(step, [(m, n) for m in range(3) for n in range(32)]))
    for transfer in transfers:
        shop_moves = moves(shop, transfer)
        assert shop_moves in (
            [],
            [("e-1", -3, "transfer")],
            [("e-1", -3, "transfer"), ("w-1", 3, "transfer")],
        )
    held = parts(shop, "t-crowd")
    on_the_way = shop.sql(
        "select coalesce(sum(shipped_qty), 0)::int from transfers.transfer"
        " where sku_id = 't-crowd' and status = 'shipped'"
    )[0][0]
    assert held["e-1"][0] + held["w-1"][0] + on_the_way == 40
    for name, (on_hand, free) in held.items():
        kept = shop.sql(
            "select coalesce(sum(reserved_qty), 0)::int from orders.order_line"
            " where sku_id = 't-crowd' and warehouse_id = %(w)s",
            w=name,
        )[0][0]
        waits = shop.sql(
            "select coalesce(sum(planned_qty), 0)::int from transfers.transfer"
            " where sku_id = 't-crowd' and status = 'planned' and from_warehouse_id = %(w)s",
            w=name,
        )[0][0]
        assert on_hand - kept - waits == free


def die(url, step, transfer_id, where):
    """Do a step in this process, which is killed before or after the stock moved."""
    name = {"ship": "move_out", "receive": "move_in"}[step]
    work = getattr(stock, name)

    def killed(*arguments):
        if where == "after":
            work(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(stock, name, killed)
    with Operations(url, size=1) as operations, operations.transaction(TENANT) as conn:
        getattr(moving, step)(conn, TENANT, "S1", transfer_id, None, NOW)


@pytest.mark.parametrize("where", ["before", "after"])
def test_killed_in_the_middle_of_a_step_it_is_done_once(shop, call, where):
    sku = f"t-kill-{where}"
    market(shop, sku, e_1=10, w_1=0)
    transfer = planned(call, sku, sku, 6)
    for step, left in (("ship", (10, 4)), ("receive", (4, 4))):
        killed = subprocess.run(
            [sys.executable, __file__, shop.url, step, transfer["transfer_id"], where],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        assert parts(shop, sku) == {"e-1": left, "w-1": (0, 0)}
        call("S1", "POST", own(transfer, {"ship": "shipment", "receive": "receipt"}[step]), {})
    assert parts(shop, sku) == {"e-1": (4, 4), "w-1": (6, 6)}
    assert moves(shop, transfer) == [("e-1", -6, "transfer"), ("w-1", 6, "transfer")]


def test_demand_counts_for_the_nearest_warehouse_wherever_it_was_sent_from(shop):
    market(shop, "t-far", e_1=500, w_1=0)
    shop.place("t-7", ("t-far", 56), region_code="west", at=NOW - DAY)
    assert shop.read("t-7")[1][0].warehouse_id == "e-1"
    with shop.transaction() as conn:
        told = ask_suggested(conn, TENANT, NOW, config=TransferConfig(horizon_days=7, least_cents=0))
        asked = conn.execute(
            "select suggestion -> 'qty', suggestion -> 'to_warehouse_id' from approvals.request"
            " where kind = 'transfer' and suggestion ->> 'sku_id' = 't-far'"
        ).fetchall()
    # Two a day; of a week those of the first four days have passed when they come.
    assert (asked, told.suggested >= 1) == ([(6, "w-1")], True)
    new = moving.NewTransfer("S1", "t-far", "e-1", "gone", 1, TODAY)
    with pytest.raises(InvalidRequestError, match="is no warehouse"):
        shop.act(moving.plan, new, "stated", "test", NOW)


if __name__ == "__main__":
    die(*sys.argv[1:])


def test_nothing_is_planned_for_a_day_that_is_past(call, shop):
    market(shop, "t-past", e_1=10, w_1=0)
    body = {
        "supplier_id": "S1", "sku_id": "t-past", "from_warehouse_id": "e-1", "to_warehouse_id": "w-1",
        "qty": 1, "expected_on": (TODAY - DAY).isoformat(),
    }  # fmt: skip
    problem = call("op", "POST", "/transfers", body, 422, "past")
    assert [one["parameter"] for one in problem["errors"]] == ["expected_on"]


def test_units_that_transfers_keep_are_near_to_nobody_and_that_is_said(shop, call):
    market(shop, "t-near", e_1=10, w_1=0)
    planned(call, "near", "t-near", 10)
    told = call("m1", "GET", "/nearby-stores", sku_id="t-near", latitude=31.2, longitude=121.5, qty=1)
    assert (told["stores"], told["reason"]) == ([], "short_stock")
    assert {(one["warehouse_id"], one["reason"], one["available_qty"]) for one in told["left_out"]} == {
        ("e-1", "short_stock", 0),
        ("w-1", "short_stock", 0),
    }
