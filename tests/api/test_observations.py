"""Observations through the API: once each, one's own, and every refusal with its reason; then in the lake."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, Shop

from feature_store.online import ProfileReader
from pipelines.intake.feeds import Feeds
from pipelines.lake.tables import Lake
from pipelines.sources.files import Files
from pipelines.sources.recorded.extraction import recorded_observations
from pipelines.sources.recorded.rows import RecordedRows
from serving.app import create_app
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.orders.fulfilment import fulfilment
from serving.security import Role, issue_key

pytestmark = pytest.mark.xdist_group("observations")  # one world for all, in order

SCOPE = ["observations:write"]


@pytest.fixture(scope="module")
def send(module_database_url, settings):
    with Operations(module_database_url, size=4) as operations:
        shop = Shop(module_database_url, operations)
        shop.plan()
        shop.list("tea", 3000)
        shop.supply("S1", "tea", 50)
        shop.place("o1", ("tea", 1))
        shop.pay("o1")
        shop.act(fulfilment.accept, "o1", "S1", {}, NOW)
        left = NOW + timedelta(hours=1)
        parcel = fulfilment.Parcel("p1", NOW + timedelta(days=3), left)
        shop.act(fulfilment.ship, "o1", "S1", parcel, left)
    keys = {
        "operator": issue_key(module_database_url, name="o", scopes=SCOPE).secret,
        "other tenant": issue_key(module_database_url, name="t", scopes=SCOPE, tenant_id="other").secret,
    }
    for supplier in ("S1", "S2"):
        keys[supplier] = issue_key(
            module_database_url, name=supplier, scopes=SCOPE, role=Role.SUPPLIER, party_id=supplier
        ).secret
    told = settings.model_copy(update={"as_of": NOW + timedelta(days=2)})
    app = create_app(told, module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:

        def post(rows, whose="operator", status=200):
            content = json.dumps({"observations": rows}).encode()
            answer = client.post("/v1/observations", content=content, headers={"X-API-Key": keys[whose]})
            assert answer.status_code == status, answer.text
            return answer.json()

        yield post


def scan(observation_id, hours=2.0, **fields):
    at = NOW + timedelta(hours=hours)
    return {
        "observation_id": observation_id,
        "kind": "parcel_scan",
        "shipment_id": "p1",
        "status": "in_transit",
        "occurred_at": at.isoformat(),
        **fields,
    }


def capacity(observation_id, qty=100, **fields):
    at = (NOW + timedelta(days=1)).isoformat()
    return {"observation_id": observation_id, "kind": "capacity", "qty": qty, "occurred_at": at, **fields}


def reasons(receipt):
    return {one["observation_id"]: one["reason"] for one in receipt["refusals"]}


def test_each_is_stored_once_and_another_content_under_its_id_is_told(send, module_database_url):
    batch = [scan("a1"), scan("a2", 3), capacity("a3", supplier_id="S1")]
    assert send(batch)["accepted"] == 3
    again = send([*batch, scan("a1", 4), scan("a2", 3)])
    assert (again["accepted"], again["duplicates"], again["refused"]) == (0, 4, 1)
    assert reasons(again) == {"a1": "observation_id_reused"}
    with psycopg.connect(libpq_url(module_database_url)) as connection:
        rows = connection.execute(
            "select occurred_at, received_at from watch.observation where observation_id = 'a2'"
        ).fetchall()
    assert rows == [(NOW + timedelta(hours=3), NOW + timedelta(days=2))]


def test_what_cannot_be_is_refused_with_its_reason(send):
    told = send(
        [
            capacity("b1", -5, supplier_id="S1"),
            {**capacity("b2", 10**12, supplier_id="S1"), "kind": "stock_level", "sku_id": "tea"},
            scan("b3", 24 * 2 + 1),
            scan("b4", 0.5),
            scan("b5", shipment_id="nowhere"),
            scan("b6", supplier_id="S2"),
            capacity("b7"),
            scan("b8"),
        ]
    )
    assert (told["received"], told["accepted"], told["refused"]) == (8, 1, 7)
    assert [(one["index"], one["reason"], one["field"]) for one in told["refusals"]] == [
        (0, "invalid_field", "qty"),
        (1, "invalid_field", "qty"),
        (2, "occurred_in_future", "occurred_at"),
        (3, "before_shipping", "occurred_at"),
        (4, "unknown_shipment", "shipment_id"),
        (5, "supplier_differs", "supplier_id"),
        (6, "lacks_what_its_kind_needs", "supplier_id"),
    ]


def test_a_suppliers_key_states_its_own_facts_only(send):
    assert send([scan("c1"), capacity("c2")], "S1")["accepted"] == 2
    told = send([scan("c3"), capacity("c4", supplier_id="S1")], "S2")
    assert reasons(told) == {"c3": "unknown_shipment", "c4": "supplier_out_of_scope"}
    assert reasons(send([scan("c5")], "other tenant")) == {"c5": "unknown_shipment"}


def test_batches_at_once_store_each_once(send):
    names = [f"d{number:03}" for number in range(200)]
    batches = [[scan(name) for name in (names if turn % 2 else names[::-1])] for turn in range(8)]
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(send, batches))
    assert sum(receipt["accepted"] for receipt in receipts) == 200
    assert sum(receipt["duplicates"] for receipt in receipts) == 7 * 200


def test_what_is_no_batch_is_told(send):
    assert send("text", status=422)["type"] == "urn:muyun:problem:invalid-observation-batch"


def test_stored_rows_cannot_be_changed(send, module_database_url):
    send([scan("e1")])
    with (
        psycopg.connect(libpq_url(module_database_url)) as connection,
        pytest.raises(psycopg.DatabaseError, match="append-only"),
    ):
        connection.execute("update watch.observation set status = 'delivered'")


def test_the_lake_has_them_beside_those_of_files_once_and_by_the_same_rules(
    send, module_database_url, tmp_path
):
    """A supplier that no feed knows is refused at the load, counted and named; the others stand."""
    send([capacity("f1", 7, supplier_id="S1"), capacity("f2", 8, supplier_id="unheard")])
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "products.csv").write_text("sku_id,title,category_id\ntea,Tea,drinks\n")
    (folder / "orders.csv").write_text("order_id,placed_at\no1,2026-10-01T10:00:00Z\n")
    (folder / "order_lines.csv").write_text("order_id,line_no,sku_id,qty,net_paid_cents\no1,1,tea,1,100\n")
    (folder / "suppliers.csv").write_text(
        "supplier_id,name,channel,region_code,joined_on,is_active\nS1,One,other,east,2026-10-01,true\n"
    )
    (folder / "supply_observations.csv").write_text(
        "observation_id,kind,supplier_id,qty,occurred_at\nfile-1,capacity,S1,9,2026-11-01T07:00:00Z\n"
    )
    lake = Lake(tmp_path / "lake")
    extraction = recorded_observations(lake.root)
    as_of = NOW + timedelta(days=3)
    for _ in range(2):
        extraction.extract(module_database_url)
        lake.create()
        feeds = Feeds(
            Files(folder, not_after=as_of),
            lake,
            with_overlay=False,
            seed=1,
            utc_offset_hours=8,
            recorded=RecordedRows(extraction),
        )
        feeds.load("suppliers", as_of, None)
        report = feeds.load("supply_observations", as_of, None)
    stood = {row["observation_id"]: row for row in lake.read("supply_observations").iter_rows(named=True)}
    assert stood["file-1"]["qty"] == 9
    assert (stood["f1"]["qty"], stood["f1"]["received_at"]) == (7, NOW + timedelta(days=2))
    refused = {row["column"] for row in lake.read_quarantine("supply_observations").iter_rows(named=True)}
    assert "f2" not in stood
    assert (report.quarantined, refused) == (1, {"supplier_id"})
