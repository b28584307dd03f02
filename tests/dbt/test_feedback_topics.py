"""What consumers write about on the tiny warehouse: counts by hand, local months, no persons."""

from __future__ import annotations

import datetime as dt

import duckdb

FEBRUARY, MARCH = dt.date(2017, 2, 1), dt.date(2017, 3, 1)
MILK = "l2-grocery/milk"


def test_topics_are_counted_beside_the_month_before(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = {
        tuple(key): rest
        for *key, rest in (
            (*row[:4], row[4:])
            for row in warehouse.sql(
                "select merchant_id, category_id, topic, month_start_on, text_count, verified_count,"
                " negative_count, negative_share, complaint_share, unanswered_count, text_count_before,"
                " negative_count_before, text_change, negative_change from analyst.mart_feedback_topics"
            ).fetchall()
        )
    }
    assert rows == {
        ("m-1", MILK, "quality", FEBRUARY): (1, 0, 1, 1.0, 1.0, 0, 0, 0, 1, 1),
        ("m-1", MILK, "quality", MARCH): (2, 1, 1, 0.5, 0.5, 1, 1, 1, 1, 0),
        ("m-1", MILK, "price", MARCH): (1, 0, 1, 1.0, 0.5, 1, 0, 0, 1, 1),
        ("m-2", MILK, "quality", MARCH): (1, 0, 1, 1.0, 1.0, 1, 0, 0, 1, 1),
        # Written on the last evening of February; nobody wrote of it since.
        ("m-1", "none", "service", FEBRUARY): (1, 0, 1, 1.0, 1.0, 1, 0, 0, 1, 1),
        ("m-1", "none", "service", MARCH): (0, 0, 0, None, None, 0, 1, 1, -1, -1),
    }


def test_no_words_and_no_persons_reach_the_warehouse(warehouse: duckdb.DuckDBPyConnection) -> None:
    for relation in ("core.fct_feedback", "analyst.mart_feedback_topics"):
        columns = {row[0] for row in warehouse.sql(f"describe {relation}").fetchall()}
        assert not columns & {"consumer_id", "order_id", "text", "answer", "anonymous_id"}
