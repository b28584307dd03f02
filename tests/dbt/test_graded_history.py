"""Grades as they were held: periods, offers and sales under them, and the tags that read them at a moment."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import polars as pl
from tiny_lake import AS_OF, at

from feature_store.point_in_time import training_set
from feature_store.registry import load_registry


def tags(
    warehouse: duckdb.DuckDBPyConnection, entity: str, moment: dt.datetime, *ids: str
) -> dict[str, dict[str, Any]]:
    """The grade tags of some entities as they were at a moment."""
    registry = load_registry(entity=entity)
    asked = pl.DataFrame(
        {f"{entity}_id": ids, "as_of": [moment] * len(ids)},
        schema={f"{entity}_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
    )
    names = [tag.name for tag in registry.tags.values() if tag.group == "grades"]
    frame = training_set(warehouse, asked, names, registry=registry)
    return {row[f"{entity}_id"]: row for row in frame.iter_rows(named=True)}


def test_a_grade_is_held_until_the_next_one(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.sql(
        "select supplier_id, grade, gate, graded_at, superseded_at from intermediate.int_grades_held"
        " where is_whole order by supplier_id, graded_at"
    ).fetchall()
    assert rows == [
        ("s-1", "B", None, at(3, 1), at(3, 20)),
        # The change that was corrected at the same moment never held.
        ("s-1", "D", "licence_expired", at(3, 20), None),
        ("s-2", "A", None, at(3, 1), at(3, 28)),
        ("s-2", "D", None, at(3, 28), None),
        ("s-3", "B", None, at(3, 1), None),
    ]


def test_where_a_channel_has_no_grade_the_suppliers_own_applies(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.sql(
        "select supplier_id, grade, graded_at, superseded_at from intermediate.int_grades_applied"
        " where category_id = 'l2-grocery/milk' and supplier_id <> 's-1' order by supplier_id, graded_at"
    ).fetchall()
    assert rows == [
        # Graded no more in it: from then on the grade of the whole applies, whatever it is.
        ("s-2", "D", at(3, 1), at(3, 25)),
        ("s-2", "A", at(3, 25), at(3, 28)),
        ("s-2", "D", at(3, 28), None),
        # Not graded in it yet: what comes later says nothing of before.
        ("s-3", "B", at(3, 1), at(3, 10)),
        ("s-3", "A", at(3, 10), None),
    ]


def test_a_suppliers_tags_say_what_was_known(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = tags(warehouse, "supplier", at(2, 28), "s-1")["s-1"]
    assert (before["grade"], before["grade_gate"]) == (None, None)
    then_of_two = tags(warehouse, "supplier", at(3, 19), "s-1", "s-2")
    then = then_of_two["s-1"]
    assert (then["grade"], then["grade_gate"], then["days_since_grade_change"]) == ("B", None, 18)
    now = tags(warehouse, "supplier", AS_OF, "s-1", "s-2")
    one = now["s-1"]
    assert (one["grade"], one["grade_gate"], one["days_since_grade_change"]) == ("D", "licence_expired", 11)
    assert (one["channels_graded"], one["channels_grade_d"], one["grade_changes_90d"]) == (1, 0, 3)
    # Graded no more in its one channel.
    before, now_ = then_of_two["s-2"], now["s-2"]
    assert (before["channels_graded"], before["channels_grade_d"]) == (1, 1)
    assert (now_["grade"], now_["channels_graded"], now_["channels_grade_d"]) == ("D", 0, 0)


def test_a_skus_tags_see_the_grade_in_its_category_else_the_suppliers_own(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    now = tags(warehouse, "sku", AS_OF, "milk-1", "bread-1")
    # Of milk the channel counts, although the supplier as a whole is gated; bread has no channel.
    milk, bread = now["milk-1"], now["bread-1"]
    assert (milk["best_supplier_grade"], milk["suppliers_graded"], milk["suppliers_grade_ab"]) == ("C", 1, 0)
    assert (bread["best_supplier_grade"], bread["suppliers_graded"], bread["suppliers_grade_ab"]) == (
        "D",
        1,
        0,
    )
    # The offers were received at the moment of the build: before, nobody knew them.
    early = tags(warehouse, "sku", AS_OF - dt.timedelta(seconds=1), "milk-1")["milk-1"]
    assert early["best_supplier_grade"] is None


def test_a_merchants_tags_share_its_sales_by_the_grades_that_hold(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    now = tags(warehouse, "merchant", AS_OF, "m-1", "m-2")
    for merchant, row in now.items():
        # By hand, from the facts: what s-1 sold of milk as C and else as D, whatever s-2 sold as D.
        told = warehouse.execute(
            "with sold as (select *, coalesce(category_l2_id, '') = 'l2-grocery/milk' as is_milk"
            " from core.fct_order_lines where is_sale and merchant_id = $merchant and placed_at > $since"
            " and placed_at <= $until and received_at <= $until)"
            " select coalesce(sum(net_paid_cents), 0),"
            "  coalesce(sum(net_paid_cents) filter (supplier_id = 's-2' or not is_milk), 0)"
            " from sold where supplier_id in ('s-1', 's-2')",
            {"merchant": merchant, "since": AS_OF - dt.timedelta(days=90), "until": AS_OF},
        ).fetchone()
        assert told == (row["graded_sales_90d"], row["grade_d_sales_90d"])
    assert any(row["grade_d_sales_90d"] for row in now.values())
