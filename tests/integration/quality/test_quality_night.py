"""A night from the warehouse's facts to levels in the database and to what the next scoring reads."""

from datetime import timedelta

import polars as pl
import pytest
from delivered_facts import AS_OF, Facts, market
from held_skus import held
from small_market import NOW, TENANT

from models.supply.brake.config import BrakeConfig
from models.supply.brake.ladder import Level
from pipelines.lake.tables import Lake
from pipelines.quality_night import judge_night, keep_night
from pipelines.stores.brake import held_back, newest_change
from serving.quality import cases, recalls

CONFIG = BrakeConfig(lines={"tea": 0.05})


@pytest.fixture
def facts():
    return Facts()


def test_a_line_is_delivered_when_its_parcel_arrived_or_its_buyer_complains(facts):
    for order in ("arrived", "under-way", "store", "complained", "not-blamed"):
        facts.line(order, "a", 10)
    facts.parcel("arrived", 6)
    facts.parcel("under-way", None)
    facts.parcel("complained", None)
    facts.case("complained", 4)
    facts.case("not-blamed", 4, reason="changed_mind")
    found = facts.delivered()
    ago = {order: (AS_OF - row["delivered_at"]).days for order, row in found.items()}
    assert ago == {"arrived": 6, "store": 10, "complained": 4, "not-blamed": 10}
    assert {order for order, row in found.items() if row["complained_at"]} == {"complained"}


def test_what_was_refunded_because_it_was_bad_still_counts_and_what_was_never_sent_does_not(facts):
    facts.line("refunded", "a", 10, counted=False)
    facts.case("refunded", 5)
    facts.line("cancelled", "a", 10, counted=False)
    facts.line("given-back", "a", 3, qty=-1.0)
    facts.line("bag", "a", 10, merchandise=False)
    assert facts.delivered().keys() == {"refunded"}


def test_units_are_whole_and_at_least_one(facts):
    for order, qty in (("weighed", 0.4), ("some", 3.7)):
        facts.line(order, "a", 10, qty=qty)
    assert {order: row["units"] for order, row in facts.delivered().items()} == {"weighed": 1, "some": 3}


def test_the_first_complaint_counts_the_last_harm_and_nothing_that_came_later(facts):
    facts.line("twice", "a", 20)
    facts.case("twice", 12)
    facts.case("twice", 8, reason="过敏")
    facts.case("twice", 6, reason="injury")
    facts.line("unknown-yet", "a", 20)
    facts.case("unknown-yet", 1, received=-1)
    facts.line("old", "a", 400)
    facts.case("old", 3, reason="safety")
    facts.line("old-and-fine", "a", 400)
    found = facts.delivered()
    assert found.keys() == {"twice", "unknown-yet", "old"}
    days = [(AS_OF - found["twice"][name]).days for name in ("complained_at", "harmed_at")]
    assert days == [12, 6]
    assert found["unknown-yet"]["complained_at"] is None


def test_a_buyers_text_is_a_complaint_of_the_line_that_it_bought(facts):
    for order in ("blamed", "case-first", "somebody-else", "under-way"):
        facts.line(order, "a", 20)
    facts.parcel("under-way", None)
    facts.case("case-first", 15)
    written = [
        ("blamed", "a", "c1", AS_OF - timedelta(days=10)),
        ("case-first", "a", "c1", AS_OF - timedelta(days=10)),
        ("somebody-else", "a", "c2", AS_OF - timedelta(days=10)),
        ("under-way", "a", "c1", AS_OF - timedelta(days=9)),
        ("blamed", "b", "c1", AS_OF - timedelta(days=12)),
    ]
    found = facts.delivered(texts=written)
    ago = {
        order: None if row["complained_at"] is None else (AS_OF - row["complained_at"]).days
        for order, row in found.items()
    }
    assert ago == {"blamed": 10, "case-first": 15, "somebody-else": None, "under-way": 9}
    assert (AS_OF - found["under-way"]["delivered_at"]).days == 9
    assert all(row["harmed_at"] is None for row in found.values())


def test_a_text_is_a_complaint_of_one_line_however_many_its_order_has_of_the_sku(facts):
    for order in ("twice", "case-of-the-second"):
        for line_no in (1, 2):
            facts.line(order, "a", 20, line_no=line_no)
    facts.case("case-of-the-second", 12, line_no=2)
    written = [(order, "a", "c1", AS_OF - timedelta(days=10)) for order in ("twice", "case-of-the-second")]
    assert facts.complained("twice", written) == [1]
    assert facts.complained("case-of-the-second", written) == [2]


def test_a_night_holds_what_is_bad_and_the_next_scoring_obeys(facts, shop, tmp_path, module_database_url):
    market(facts)
    night = judge_night(facts.connection, module_database_url, TENANT, CONFIG, AS_OF)
    assert {one.sku_id: int(one.level) for one in night.in_force} == {"poor": 3, "bad": 4, "harmful": 4}
    assert night.too_low == []
    assert night.without_prior == ["tea"]
    assert night.frozen == ["of-bad", "of-harmful"]
    evidence = held(shop, "poor").evidence
    assert (evidence["orders"], evidence["complaints"], evidence["line"]) == (60, 12, 0.05)
    lake = Lake(tmp_path)
    assert held_back(lake).stopped == ()
    keep_night(lake, night)
    obeyed = held_back(lake)
    assert obeyed.stopped == obeyed.unpromoted == ("bad", "harmful", "poor")
    assert (obeyed.limited, obeyed.frozen) == ((), ("of-bad", "of-harmful"))
    assert newest_change(module_database_url, TENANT) == night.newest_change == 3


def test_a_batch_is_known_by_the_scans_of_its_parcels(facts):
    for order, scans in (("one", ["b1", "b1"]), ("two", ["b1", "b2"]), ("none", [])):
        facts.line(order, "a", 10)
        facts.parcel(order, 6)
        for batch in scans:
            facts.scan(order, "a", batch)
    facts.line("another-sku", "a", 10)
    facts.parcel("another-sku", 6)
    facts.scan("another-sku", "z", "b9")
    facts.scan("none", "a", "b3", kind="device")
    batches = {order: row["batch_id"] for order, row in facts.delivered().items()}
    assert batches == {"one": "b1", "two": None, "none": None, "another-sku": None}


def test_a_bad_batch_holds_its_sku_and_its_buyers_alone_are_told(facts, shop, module_database_url):
    shop.plan()
    shop.list("batched", 2000)
    shop.supply("of-batched", "batched", 1000)
    for number in range(300):
        order = f"batched-{number}"
        is_bad = number % 10 == 0
        facts.line(order, "batched", 28, supplier="of-batched")
        facts.parcel(order, 26, supplier="of-batched")
        facts.scan(order, "batched", "b-bad" if is_bad else "b-good")
        if is_bad and number % 20 == 0:
            facts.case(order, 20)
    for number in (0, 1, 10):
        shop.place(f"batched-{number}", ("batched", 1), consumer=f"c{number}")
    at = AS_OF + timedelta(days=1)
    judge_night(facts.connection, module_database_url, TENANT, CONFIG, at)
    known = held(shop, "batched")
    assert (known.held_level, known.evidence["batches"], known.evidence["orders"]) == (4, ["b-bad"], 30)
    with shop.transaction() as conn:
        page = recalls.recalls_page(conn, TENANT, merchant_id="m1", after=0, limit=500)
        (recall,) = [one for one in page if one.sku_id == "batched"]
        found = recalls.buyers_page(
            conn, TENANT, recall.recall_id, merchant_id=None, after=("", 0), limit=500
        )
    assert [buyer.consumer_id for buyer in found] == ["c0", "c10"]


def test_a_closed_case_is_answered_for_good(facts, shop, module_database_url):
    """After five signatures the old complaints do not raise the level again."""
    market(facts)
    judge_night(facts.connection, module_database_url, TENANT, CONFIG, AS_OF)
    with shop.transaction() as conn:
        known = cases.cases_page(conn, TENANT, after=0, limit=10, open_only=True)
    case = next(one for one in known if one.sku_id == "poor")
    for department in cases.Department:
        with shop.transaction() as conn:
            cases.sign(conn, TENANT, case.case_id, department, "new seal", f"key-{department}", AS_OF)
    assert held(shop, "poor").held_level is Level.LIMIT
    later = AS_OF + timedelta(days=2)
    judge_night(facts.connection, module_database_url, TENANT, CONFIG, later)
    assert held(shop, "poor").held_level is Level.LIMIT
    assert held(shop, "poor").clean_since == later
    assert NOW < AS_OF


def test_what_buyers_write_brakes_a_sku_like_cases_do(facts, shop, module_database_url):
    """A fifth of sixty buyers blame the goods in words; that one tells of harm stops nothing by itself."""
    for number in range(60):
        facts.line(f"worded-{number}", "worded", 28, supplier="of-worded")
        facts.line(f"hurt-{number}", "hurt", 28, supplier="of-hurt")
    texts = [(f"worded-{number}", "worded", "quality") for number in range(0, 60, 5)]
    with shop.transaction() as conn:
        for order, sku, topic in [*texts, ("hurt-0", "hurt", "safety"), ("hurt-1", "hurt", "price")]:
            conn.execute(
                "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, order_id,"
                " sku_id, text, occurred_at, received_at, is_verified, topic, topic_probability, sentiment,"
                " sentiment_probability, sorted_by, sorted_at) values (%s, %s, 'm1', 'c1', %s, %s, 'x', %s,"
                " %s, true, %s, 0.9, 'negative', 0.9, 'm', %s)",
                (TENANT, order, order, sku, *[AS_OF - timedelta(days=20)] * 2, topic, AS_OF),
            )
    night = judge_night(facts.connection, module_database_url, TENANT, CONFIG, AS_OF + timedelta(hours=1))
    levels = {one.sku_id: one.level for one in night.in_force}
    assert (levels["worded"], held(shop, "worded").evidence["complaints"]) == (Level.STOP, 12)
    assert levels.get("hurt", Level.FREE) < Level.STOP
    hurt = night.estimates.filter(pl.col("sku_id") == "hurt")
    assert hurt["complaints"].to_list() == [1]
