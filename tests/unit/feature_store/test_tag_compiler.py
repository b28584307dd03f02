"""The shape of the compiled statement: one scan a source, a dialect for Spark, no leak between tags."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp

from feature_store.compiler import compile_tags
from feature_store.language import expressions
from feature_store.language.zones import fixed_offset_minutes
from feature_store.registry import Registry
from feature_store.spark.dialect import for_spark


def scans(sql: str) -> list[str]:
    """Tables that CTEs named src_ read, joined tables left out."""
    return re.findall(r"FROM (\w+\.\w+) AS s\b", sql)


def test_tags_of_one_source_share_one_scan_and_one_aggregation(registry: Registry) -> None:
    names = ["orders_7d", "orders_30d", "orders_90d", "max_order_value_365d", "recency_days"]
    query = compile_tags(registry, names)
    assert scans(query.sql) == ["intermediate.int_orders_known"]
    assert query.sql.count("GROUP BY") == 1
    assert query.sql.count("FILTER") == 4  # recency_days reads the whole history


def test_all_tags_scan_each_source_once(registry: Registry) -> None:
    query = compile_tags(registry)
    assert len(scans(query.sql)) == len(query.sources) == len(registry.sources)
    assert query.tags == tuple(registry.tags)


def test_a_bounded_window_limits_the_scan(registry: Registry) -> None:
    limit = f"< {30 * expressions.DAY_US}"
    bounded = compile_tags(registry, ["orders_7d", "orders_30d"]).sql
    assert limit in bounded.split("agg_orders")[0]
    unbounded = compile_tags(registry, ["orders_30d", "orders_lifetime"]).sql
    assert limit not in unbounded.split("agg_orders")[0]


def test_unused_columns_are_not_read(registry: Registry) -> None:
    assert "merchant_id" not in compile_tags(registry, ["orders_7d"]).sql
    assert "dim_products" not in compile_tags(registry, ["discount_share_365d"]).sql


def test_every_tag_compiles_alone(registry: Registry) -> None:
    for name in registry.tags:
        tree = sqlglot.parse_one(compile_tags(registry, [name]).sql, read="duckdb")
        assert tree.named_selects == ["row_id", "consumer_id", "as_of", name]


@pytest.mark.parametrize("zone", ["Etc/GMT+5", "Europe/London"])
def test_the_statement_becomes_steps_of_spark(registry: Registry, zone: str) -> None:
    statement = compile_tags(registry, time_zone=zone)
    steps = for_spark(statement.sql)
    trees = [sqlglot.parse_one(step.sql, read="spark") for step in steps]
    assert trees[-1].named_selects == ["row_id", "consumer_id", "as_of", *statement.tags]
    names = [step.name for step in steps]
    assert names[-1] == "", "the last step is the answer"
    assert len(set(names)) == len(names) > len(statement.tags) // 10, "every part is a step of its own"
    text = " ".join(step.sql for step in steps)
    for foreign in (
        "EPOCH_US",
        "QUANTILE_CONT",
        "PERCENTILE",
        "REGEXP_MATCHES",
        "TIMESTAMPTZ",
        "::",
        "WITH ",
    ):
        assert foreign not in text
    assert ("FROM_UTC_TIMESTAMP" in text) == (zone == "Europe/London")


def test_a_zone_with_one_offset_is_arithmetic_and_one_with_two_a_look_up(registry: Registry) -> None:
    fixed = compile_tags(registry, ["weekend_share"], time_zone="Asia/Kolkata").sql
    assert "INTERVAL '330' MINUTE" in fixed
    assert "AT TIME ZONE" not in fixed
    varying = compile_tags(registry, ["weekend_share"], time_zone="Europe/London").sql
    assert "AT TIME ZONE 'Europe/London'" in varying
    assert "MINUTE" not in varying


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        ("UTC", 0),
        ("Etc/GMT+5", -300),
        ("Asia/Shanghai", 480),
        ("Asia/Kathmandu", 345),
        ("Europe/London", None),
        ("Africa/Casablanca", None),  # leaves summer time for a few weeks a year
        ("Europe/Moscow", None),  # changed for good in 2011 and 2014
    ],
)
def test_which_zones_have_one_offset(zone: str, minutes: int | None) -> None:
    assert fixed_offset_minutes(zone) == minutes


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ValueError, match="'Mars/Olympus' is no IANA time zone"):
        fixed_offset_minutes("Mars/Olympus")


def test_filters_join_the_ones_already_there() -> None:
    tree = expressions.parse("ratio(SUM(a) FILTER (WHERE b > 1), COUNT(*))")
    condition = expressions.parse("age_us < 5")
    sql = expressions.expanded(expressions.filtered(tree, condition), {}, "UTC").sql(dialect="duckdb")
    top = "CAST(SUM(a) FILTER(WHERE b > 1 AND age_us < 5) AS DOUBLE)"
    assert sql == f"{top} / NULLIF(COUNT(*) FILTER(WHERE age_us < 5), 0)"


def test_parameters_are_literals_never_text_of_the_statement() -> None:
    tree = expressions.parse("MAX(a) > :limit AND MAX(b) = :word")
    sql = expressions.expanded(tree, {"limit": 3, "word": "it's"}, "UTC").sql(dialect="duckdb")
    assert sql == "MAX(a) > 3 AND MAX(b) = 'it''s'"


def test_functions_nest() -> None:
    tree = expressions.parse("money(ratio(SUM(a), COUNT(*)))")
    plain = expressions.expanded(tree, {}, "UTC")
    assert plain.find(exp.Anonymous) is None
