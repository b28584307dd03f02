"""Orders that changed after they came, and local days in a zone with summer time: one build holds both."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
import tiny_lake
from dbt_runs import run_dbt, settings_of
from tiny_lake import at

from feature_store.point_in_time import training_set
from pipelines.sources.contract import contract_table
from pipelines.warehouse import reading

LONDON = ZoneInfo("Europe/London")
CAME, CHANGED = at(1, 21), at(3, 20)
AROUND_THE_CHANGE = [
    # London's clocks went back on 30 October 2016 and forward on 26 March 2017, at 01:00 UTC.
    at(10, 29, 22, 59, year=2016),
    at(10, 29, 23, 0, year=2016),
    at(10, 30, 23, 0, year=2016),
    at(10, 30, 23, 59, year=2016),
    at(10, 31, 0, 0, year=2016),
    at(3, 25, 23, 59),
    at(3, 26, 0, 59),
    at(3, 26, 1, 0),
    at(3, 26, 22, 59),
    at(3, 26, 23, 0),
]


def history(home: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """Write older versions the way the lake keeps them."""
    dtypes = dict(contract_table(table).history_dtypes)
    folder = home / "history" / table
    folder.mkdir(parents=True)
    records = [dict.fromkeys(dtypes) | {"origin": "observed", "is_deleted": False} | row for row in rows]
    pl.DataFrame(records, schema=dtypes).write_parquet(folder / "part-0.parquet")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A lake in which o-quiet was cancelled, o-weight had a quantity corrected and o-gone was deleted."""
    home = tmp_path_factory.mktemp("known_states")
    rows = tiny_lake.tables()
    orders = {order["order_id"]: order for order in rows["orders"]}
    lines = {(line["order_id"], line["line_no"]): line for line in rows["order_lines"]}
    for number, moment in enumerate(AROUND_THE_CHANGE):
        order = f"o-clock-{number}"
        rows["orders"].append(orders["o-visit"] | {"order_id": order, "placed_at": moment})
        rows["order_lines"].append(lines["o-visit", 1] | {"order_id": order})
    quiet = dict(orders["o-quiet"])
    orders["o-quiet"] |= {"state": "cancelled", "status": "cancelled", "received_at": CHANGED}
    for line in rows["order_lines"]:
        if line["order_id"] in ("o-quiet", "o-weight"):
            line["received_at"] = CAME
    orders["o-weight"]["received_at"] = CAME
    weighed = dict(lines["o-weight", 1])
    lines["o-weight", 1] |= {"qty_milli": 200, "net_paid_cents": 80, "list_price_cents": 80}
    lines["o-weight", 1]["received_at"] = CHANGED
    gone = orders["o-visit"] | {"order_id": "o-gone", "consumer_id": "c-silent", "placed_at": at(1, 20)}
    until = {"received_at": CAME, "superseded_at": CHANGED}
    tiny_lake.write(home / "lake", rows)
    history(
        home / "lake",
        "orders",
        [quiet | until, gone | until, gone | {"received_at": CHANGED, "is_deleted": True}],
    )
    history(
        home / "lake",
        "order_lines",
        [weighed | until, lines["o-visit", 1] | {"order_id": "o-gone"} | until],
    )
    build = run_dbt(
        home,
        *(
            "run",
            "--select",
            "+int_orders_known",
            "+int_order_lines_known",
            "+dim_products",
            "+fct_after_sales",
        ),
        environment=settings_of(home)
        | {"MUYUN_TIME_ZONE": "Europe/London", "MUYUN_FIXED_OFFSET_MINUTES": ""},
    )
    assert build.code == 0, build.output
    published = home / "published.duckdb"  # readers get a copy under another name
    shutil.copyfile(build.file, published)
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def tags(
    connection: duckdb.DuckDBPyConnection, consumer: str, *moments: dt.datetime
) -> list[tuple[Any, ...]]:
    """Orders, spend and units per order of a consumer as they were known at each moment."""
    names = ["orders_lifetime", "net_spend_lifetime", "units_per_order_365d"]
    asked = pl.DataFrame(
        [(consumer, moment) for moment in moments],
        schema={"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
        orient="row",
    )
    return training_set(connection, asked, names).select(names).rows()


TICK = dt.timedelta(microseconds=1)


def test_an_order_that_was_cancelled_counted_until_then(changed: duckdb.DuckDBPyConnection) -> None:
    paid = 5 * 199 + 90_000
    found = tags(changed, "c-quiet", CAME - TICK, CAME, CHANGED - TICK, CHANGED, tiny_lake.AS_OF)
    nothing_came_yet = (None, None, None)
    assert found == [nothing_came_yet, (1, paid, 5.0), (1, paid, 5.0), (0, 0, None), (0, 0, None)]


def test_a_corrected_quantity_was_the_old_one_before(changed: duckdb.DuckDBPyConnection) -> None:
    states = changed.sql(
        "select net_sales_cents, received_at, superseded_at from intermediate.int_orders_known"
        " where order_id = 'o-weight' order by received_at"
    ).fetchall()
    assert states == [(137 + 478, CAME, CHANGED), (80 + 478, CHANGED, None)]
    units = changed.sql(
        "select qty, superseded_at is null from intermediate.int_order_lines_known"
        " where order_id = 'o-weight' and line_no = 1 order by received_at"
    ).fetchall()
    assert units == [(0.345, False), (0.2, True)]
    now = changed.sql("select net_sales_cents from core.fct_orders where order_id = 'o-weight'").fetchone()
    assert now == (80 + 478,)


def test_a_deleted_order_is_known_until_its_deletion_and_no_fact(changed: duckdb.DuckDBPyConnection) -> None:
    assert tags(changed, "c-silent", CAME, CHANGED - TICK, CHANGED) == [
        (1, 500, 4.0),
        (1, 500, 4.0),
        (0, 0, None),
    ]
    facts = changed.sql("select count(*) from core.fct_order_lines where order_id = 'o-gone'").fetchone()
    assert facts == (0,)


def test_models_read_each_order_in_every_state_that_was_known(changed: duckdb.DuckDBPyConnection) -> None:
    lines = reading.known_lines(changed)
    weighed = lines.filter(pl.col("order_id") == "o-weight").sort("received_at", "line_no")
    # The second line did not change, and is there in both states of its order.
    assert weighed.select("line_no", "net_paid_cents", "received_at", "superseded_at").rows() == [
        (1, 137, CAME, CHANGED),
        (2, 478, CAME, CHANGED),
        (1, 80, CHANGED, None),
        (2, 478, CHANGED, None),
    ]
    assert weighed["category_l3_id"].null_count() == 0
    for order in ("o-quiet", "o-gone"):  # cancelled; deleted
        states = lines.filter(pl.col("order_id") == order).select("received_at", "superseded_at")
        assert set(states.rows()) == {(CAME, CHANGED)}
    # What stands is what the facts say.
    standing = lines.filter(pl.col("superseded_at").is_null()).select("order_id", "line_no", "net_paid_cents")
    facts = reading.order_lines(changed, merchandise_only=False, with_guests=False)
    assert sorted(standing.rows()) == sorted(facts.select(standing.columns).rows())


def test_forecasters_and_elasticities_read_the_same_states_of_merchandise(
    changed: duckdb.DuckDBPyConnection,
) -> None:
    facts = reading.order_lines(changed)
    for lines in (reading.demand_lines(changed), reading.price_lines(changed)):
        weighed = lines.filter(pl.col("order_id") == "o-weight", pl.col("line_no") == 1)
        assert weighed.sort("received_at").select("qty", "superseded_at").rows() == [
            (0.345, CHANGED),
            (0.2, None),
        ]
        gone = lines.filter(pl.col("order_id") == "o-gone")
        assert set(gone.select("received_at", "superseded_at").rows()) == {(CAME, CHANGED)}
        assert gone["placed_on"].null_count() == gone["week_start_on"].null_count() == 0
        shared = [
            name
            for name in facts.columns
            if name in lines.columns and name not in ("consumer_id", "is_merchandise")
        ]
        standing = lines.filter(pl.col("superseded_at").is_null())
        assert sorted(standing.select(shared).rows()) == sorted(facts.select(shared).rows())
        assert standing["is_merchandise"].all()


def test_what_did_not_change_is_known_in_one_state(changed: duckdb.DuckDBPyConnection) -> None:
    found = changed.sql(
        "select count(*), count(distinct order_id), count(superseded_at) from intermediate.int_orders_known"
        " where order_id not in ('o-quiet', 'o-weight', 'o-gone')"
    ).fetchone()
    facts = changed.sql("select count(*) - 2 from core.fct_orders").fetchone()
    assert found is not None
    assert facts == (found[0],)
    assert found[0] == found[1]
    assert found[2] == 0


def test_local_days_follow_the_clock_of_london(changed: duckdb.DuckDBPyConnection) -> None:
    found = changed.sql("select placed_at, placed_on, week_start_on from core.fct_order_lines").fetchall()
    assert {moment for moment, *_ in found} >= set(AROUND_THE_CHANGE)
    for moment, day, week in found:
        local = moment.astimezone(LONDON).date()
        assert (day, week) == (local, local - dt.timedelta(days=local.weekday())), moment
    # The test can fail: with one offset all year, some of these days would be others.
    for hours in (0, 1):
        fixed = [(moment + dt.timedelta(hours=hours)).date() for moment in AROUND_THE_CHANGE]
        assert fixed != [moment.astimezone(LONDON).date() for moment in AROUND_THE_CHANGE]


def test_what_came_back_is_in_no_standing_line(changed: duckdb.DuckDBPyConnection) -> None:
    lines = reading.known_lines(changed)
    march = lines.filter(pl.col("order_id") == "o-march", pl.col("line_no") == 1)
    # One unit was sold and the credit note names it: it stands at no moment after both were known.
    assert march.filter(pl.col("superseded_at").is_null()).height == 0
    sold = changed.sql(
        "select sum(qty) from core.fct_order_lines where order_id = 'o-march' and line_no = 1 and is_sale"
    ).fetchone()
    assert sold == (1.0,)
