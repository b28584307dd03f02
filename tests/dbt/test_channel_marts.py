"""Channels on the tiny warehouse: credits, the marts of the analysts' file, hold-outs and geo tests."""

from __future__ import annotations

import datetime as dt
import shutil

import duckdb
import pytest
import tiny_lake
from dbt_runs import Build

from models.attribution.config import AttributionConfig
from models.attribution.credits import MODELS
from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY, attribute
from pipelines.lake.tables import Lake
from pipelines.warehouse.attributed import net_sales_cents, put_channels, revenue, touches
from serving.channel_tests.records import ChannelTest

TODAY = dt.date(2017, 3, 31)


def a_test(kind="holdout", channel="mail", **changes):
    stated = {"off_share_bps": 5_000 if kind == "holdout" else None, "on_regions": [], "off_regions": [],
              "starts_on": dt.date(2017, 3, 1), "ends_on": dt.date(2017, 3, 31)}  # fmt: skip
    return ChannelTest(
        f"{channel}-{kind}", channel, kind, made_by="k", made_at=tiny_lake.AS_OF, **stated | changes
    )


def day(connection, *tests):
    return attribute(connection, tests, "default", TODAY, AttributionConfig())


def test_revenue_by_the_order_that_it_belongs_to_is_that_of_the_marts(warehouse) -> None:
    rows = revenue(warehouse)
    assert rows["order_id"].n_unique() == rows.height
    assert rows["revenue_cents"].sum() == net_sales_cents(warehouse)
    own = dict(
        warehouse.sql("select order_id, net_sales_cents from core.fct_orders where is_counted").fetchall()
    )
    moved = {order: cents for order, cents in rows.select("order_id", "revenue_cents").iter_rows()
             if cents != own[order]}  # fmt: skip
    stated = warehouse.sql(
        "select l.returned_order_id, sum(l.net_paid_cents) from core.fct_order_lines l join core.fct_orders o"
        " on o.order_id = l.returned_order_id and o.is_sale where l.is_return"
        " and l.order_id <> o.order_id group by 1"
    ).fetchall()
    for order, cents in stated:
        assert moved[order] == own[order] + cents


def test_credits_equal_revenue_and_only_touched_orders_are_attributed(warehouse) -> None:
    found = day(warehouse)
    assert found.is_exact
    assert set(found.sums) == set(MODELS)
    touched = {
        order
        for (order,) in warehouse.sql(
            "select distinct o.order_id from core.fct_orders o join"
            " (select consumer_id, occurred_at as at from core.fct_touches"
            " union all select consumer_id, sent_at from core.fct_messages"
            "  where outcome is distinct from 'failed') t using (consumer_id)"
            " where o.is_sale and t.at < o.placed_at and t.at >= o.placed_at - interval 30 day"
        ).fetchall()
    }
    attributed = found.credits.filter(found.credits["channel"] != "unattributed")
    assert set(attributed["order_id"]) == touched
    assert found.effects.is_empty()


def test_the_file_of_analysts_shows_credits_and_tests(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    with duckdb.connect(str(built.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        found = day(
            connection, a_test(), a_test("geo", "wecom", on_regions=["r-1", "r-2"], off_regions=["r-3"])
        )
        total = net_sales_cents(connection)
    lake.put(CREDITS_KEY, found.credits)
    lake.put(EFFECTS_KEY, found.effects)
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    put_channels(copy, lake.derived_path(CREDITS_KEY), lake.derived_path(EFFECTS_KEY))
    with duckdb.connect(str(copy), read_only=True) as connection:
        sums = ", ".join(f"sum({model}_cents)" for model in MODELS)
        assert set(connection.sql(f"select {sums} from analyst.mart_channel_effect").fetchone()) == {total}
        rows = connection.sql("select model, sum(credit_cents) from analyst.mart_channel_credits group by 1")
        assert dict(rows.fetchall()) == dict.fromkeys(MODELS, total)
        told = dict(connection.sql("select channel, evidence from analyst.mart_channel_effect").fetchall())
    # Two consumers are drawn from too small a world; one region a side is none.
    assert told["wecom"] == "too_few"
    assert told["unattributed"] == "not_tested"
    assert told["mail"] in ("holdout", "too_few")


@pytest.mark.parametrize("changes", [{"ends_on": dt.date(2017, 4, 1)}, {"channel": "ads"}])
def test_a_test_that_still_runs_or_of_another_channel_says_nothing_of_mail(warehouse, changes) -> None:
    assert "mail" not in set(day(warehouse, a_test(**changes)).effects["channel"])


def test_the_funnel_counts_each_person_once(warehouse) -> None:
    reached = warehouse.sql(
        "select sum(reached), sum(bought) from analyst.mart_funnel_public_private"
    ).fetchone()
    people = warehouse.sql(
        "select count(distinct consumer_id) from (select consumer_id from core.fct_touches union all"
        " select consumer_id from core.fct_messages where outcome is distinct from 'failed')"
    ).fetchone()
    assert reached[0] == people[0]


def test_a_message_that_failed_touched_nobody(warehouse) -> None:
    sent = warehouse.sql("select consumer_id from core.fct_messages where channel = 'push'").fetchall()
    assert sent == [("c-2",)]
    assert "push" not in set(touches(warehouse)["channel"])
    for mart in ("mart_channel_effect", "mart_funnel_public_private"):
        assert warehouse.sql(f"select * from analyst.{mart} where channel = 'push'").fetchall() == []
