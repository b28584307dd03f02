"""Facts after many ticks equal a full build over the same rows, in every table."""

import datetime as dt
import hashlib
import subprocess
import sys

import duckdb
import live_market
import pytest
from live_market import BASE, at_once

from pipelines.live import intake
from pipelines.live.cuts import CUTS, HELD, NOT_LIVE, held
from pipelines.sources.contract import contract_table

MINUTE = dt.timedelta(minutes=1)
LIVE = {replaced.model for cut in CUTS for replaced in cut.models}


def test_every_stored_model_of_the_project_is_live_or_said_not_to_be(base):
    _, compiled = base
    stored = {
        model.name
        for model in compiled.models.values()
        if model.is_table and model.schema in ("core", "intermediate")
    }
    assert stored == LIVE | set(NOT_LIVE)
    assert not LIVE & set(NOT_LIVE)


def test_the_inputs_of_the_cuts_are_relations_that_their_models_read(base):
    _, compiled = base

    def read(name):
        model = compiled.models[name]
        yield from (f"raw.{source}" for source in model.sources)
        yield from (f"raw.{source}_history" for source in model.sources)
        for parent in model.parents:
            yield f"{compiled.models[parent].schema}.{parent}"
            yield from read(parent)

    for cut in CUTS:
        known = {relation for replaced in cut.models for relation in read(replaced.model)}
        histories = {f"raw.{table}_history" for table in ("orders", "order_lines")}
        assert set(cut.inputs) <= known | histories, cut.name


@pytest.mark.parametrize("table", [table for table in HELD if table != "order_lines"])
def test_accepted_rows_are_read_back_from_the_facts_as_they_were(live, table):
    # What a consumer states on the platform outweighs the feed: the dimension has the statement.
    stated = ("consent_marketing", "consent_profiling") if table == "consumers" else ()
    names = ", ".join(name for name in contract_table(table).columns if name not in stated)
    staged = live.compiled.models[f"stg_lake__{table}"].sql.replace('"build".', "")
    with live.open() as connection:
        connection.execute("create schema raw")
        connection.execute(
            f"create view raw.{table} as select * from"
            f" read_parquet('{live.home}/lake/accepted/{table}/**/*.parquet', hive_partitioning=false)"
        )
        back = held(table, "true").replace("{live}", '"gen-1"')
        accepted = connection.execute(f"select {names} from ({staged}) order by all").fetchall()
        assert connection.execute(f"select {names} from ({back}) order by all").fetchall() == accepted
        assert accepted


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_many_ticks_leave_what_a_full_build_makes(live, seed):
    history = live_market.History(seed)
    for number in range(12):
        live.tick(history.tick(number % 5 * 2), history.now)
        if number in (5, 11):
            assert live.differences(live.whole(history.state, history.now, f"full-{number}")) == {}
    assert len(history.state) >= 5


def test_an_event_reaches_its_fact_its_session_and_who_it_touches(live):
    event = at_once(
        "events", event_id="e", consumer_id="c-1", session_id="v", event_type="view", sku_id="milk-1"
    )
    taken, done = live.tick({"events": [event]})
    assert taken.received == {"events": 1}
    assert taken.waiting == 0
    assert done.changed == {"fct_events": 1, "int_sessions_summarised": 1}
    assert live.rows("select event_id, consumer_id from core.fct_events where session_id = 'v'") == [
        ("e", "c-1")
    ]
    assert live.rows("from live.touched order by all") == [("consumer", "c-1"), ("sku", "milk-1")]


def test_a_row_that_came_twice_changes_nothing_the_second_time(live):
    event = at_once("events", event_id="e", consumer_id="c-1", session_id="v", event_type="view")
    live.tick({"events": [event]})
    _, done = live.tick({"events": [event]})
    assert done.is_empty
    assert live.rows("from live.touched") == []


def test_the_old_owner_of_a_corrected_row_is_touched_as_well(live):
    event = at_once("events", event_id="e", consumer_id="c-1", session_id="v", event_type="view")
    live.tick({"events": [event]})
    live.tick({"events": [event | {"consumer_id": "c-2"}]})
    assert live.rows("from live.touched order by all") == [("consumer", "c-1"), ("consumer", "c-2")]


def test_a_tick_without_rows_changes_nothing_but_what_time_alone_changes(live):
    held_before = live.rows("select count(*), sum(hash(t)) from core.fct_orders t")
    _, done = live.tick(as_of=BASE + MINUTE)
    assert done.is_empty
    assert done.seconds == {}
    assert live.rows("select count(*), sum(hash(t)) from core.fct_orders t") == held_before
    # Nobody delivered the parcel of March by its promise; a day later it is April, of the calendar too.
    parcel = at_once("shipments", shipment_id="p", order_id="o-march", supplier_id="s-1", from_region="east",
                     to_region="west", shipped_at=BASE, promised_at=BASE + 2 * MINUTE)  # fmt: skip
    live.tick({"shipments": [parcel]}, BASE + MINUTE)
    assert live.rows("select is_late from core.fct_shipments where shipment_id = 'p'") == [(False,)]
    _, done = live.tick(as_of=BASE + 3 * MINUTE)
    assert done.changed == {"fct_shipments": 2}
    assert live.rows("select is_late from core.fct_shipments where shipment_id = 'p'") == [(True,)]
    _, done = live.tick(as_of=BASE + dt.timedelta(days=1))
    assert {"dim_dates", "int_dates_spined"} <= set(done.changed)


def test_what_was_rolled_back_never_happened(live):
    history = live_market.History(5)
    rows = history.tick(30)
    before = hashlib.sha256(live.file.read_bytes()).hexdigest()
    with live.open() as connection:
        connection.execute("begin")
        taken = intake.take_in(connection, rows, as_of=history.now)
        assert live.apply(connection, taken.accepted, history.now).changed
        connection.execute("rollback")
    assert hashlib.sha256(live.file.read_bytes()).hexdigest() == before
    live.tick(rows, history.now)
    assert live.differences(live.whole(history.state, history.now)) == {}


def test_a_tick_that_fails_half_way_can_be_tried_again(live):
    event = at_once("events", event_id="e", consumer_id="c-1", session_id="v", event_type="view")
    rows = {"events": live_market.frame("events", [event])}
    with live.open() as connection:
        connection.execute("begin")
        taken = intake.take_in(connection, rows, as_of=BASE)
        connection.execute("drop table core.dim_dates")
        with pytest.raises(duckdb.Error):
            live.apply(connection, taken.accepted, BASE + MINUTE)
        connection.execute("rollback")
    _, done = live.tick({"events": [event]})
    assert done.changed["fct_events"] == 1


def test_a_tick_does_not_import_dbt_or_dagster():
    code = (
        "import sys; from pipelines.live import facts, files, intake, recorded; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'dbt', 'dagster', 'dagster_dbt'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
