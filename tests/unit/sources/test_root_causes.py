"""Root causes: orphans count with their refused parents, the most rows come first, and each has a remedy."""

import datetime as dt
import json

import polars as pl
import pytest

from pipelines.sources.refused.causes import root_causes
from pipelines.sources.refused.quarantine import QUARANTINE_SCHEMA
from pipelines.sources.refused.remedies import remedy

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def refused(table, rows):
    """Refused rows of one table: (line, column, reason, row)."""
    return pl.DataFrame(
        [
            {"table": table, "file": f"{table}.csv", "line": line, "column": column,
             "value": str(row.get(column)), "reason": reason, "reasons": [reason],
             "row_json": json.dumps(row), "loaded_at": NOW}
            for line, column, reason, row in rows
        ],
        schema=QUARANTINE_SCHEMA,
    )  # fmt: skip


def orders(count, reason="missing value", column="consumer_id", first=2):
    return [(first + n, column, reason, {"order_id": f"o-{first + n}", column: None}) for n in range(count)]


def lines(of, each, reason="unknown key: not in orders"):
    return [
        (10 * n + k + 2, "order_id", reason, {"order_id": order, "line_no": k})
        for n, order in enumerate(of)
        for k in range(each)
    ]


def test_orphaned_lines_count_with_the_refused_orders():
    found = root_causes(
        {
            "orders": refused("orders", orders(4)),
            "order_lines": refused("order_lines", lines([f"o-{n}" for n in range(2, 6)], 3)),
        }
    )
    (cause,) = found
    assert (cause.table, cause.rows, cause.orphaned, cause.total) == ("orders", 4, {"order_lines": 12}, 16)
    assert str(cause) == "4 orders: consumer_id: missing value, which orphaned 12 order_lines"
    assert cause.place == "orders.csv:2"
    assert "guest" in cause.remedy


def test_lines_of_orders_that_never_came_are_a_cause_of_their_own():
    found = root_causes(
        {
            "orders": refused("orders", orders(1)),
            "order_lines": refused("order_lines", lines(["o-2", "never-came"], 2)),
        }
    )
    assert [(cause.table, cause.rows, cause.orphaned) for cause in found] == [
        ("orders", 1, {"order_lines": 2}),
        ("order_lines", 2, {}),
    ]
    assert found[1].remedy == "add the missing rows to orders"


def test_a_chain_leads_to_its_beginning():
    """A merchant refused its consumers, those their orders, those their lines."""
    found = root_causes(
        {
            "merchants": refused("merchants", [(2, "joined_on", "not a date", {"merchant_id": "m"})]),
            "consumers": refused(
                "consumers",
                [
                    (
                        3,
                        "merchant_id",
                        "unknown key: not in merchants",
                        {"consumer_id": "c", "merchant_id": "m"},
                    )
                ],
            ),
            "orders": refused(
                "orders",
                [
                    (
                        4,
                        "consumer_id",
                        "unknown key: not in consumers",
                        {"order_id": "o", "consumer_id": "'c "},
                    )
                ],
            ),
            "order_lines": refused("order_lines", lines(["o"], 2)),
        }
    )
    (cause,) = found
    assert str(cause).startswith("1 merchants: joined_on")
    assert cause.orphaned == {"consumers": 1, "orders": 1, "order_lines": 2}


def test_orders_without_an_accepted_line_count_with_their_lines():
    bad = [
        (n + 2, "sku_id", "unknown key: not in products", {"order_id": f"o-{n}", "line_no": 1, "sku_id": "x"})
        for n in range(3)
    ]
    found = root_causes(
        {
            "orders": refused("orders", [(2, "order_id", "order has no accepted line", {"order_id": "o-1"})]),
            "order_lines": refused("order_lines", bad),
        }
    )
    (cause,) = found
    assert (cause.table, cause.rows, cause.orphaned) == ("order_lines", 3, {"orders": 1})


def test_the_most_rows_come_first_whoever_they_belong_to():
    found = root_causes(
        {
            "products": refused(
                "products", [(n, "title", "empty", {"sku_id": f"s{n}"}) for n in range(2, 7)]
            ),
            "orders": refused("orders", orders(2)),
            "order_lines": refused("order_lines", lines(["o-2", "o-3"], 4)),
        }
    )
    assert [cause.table for cause in found] == ["orders", "products"]
    assert sum(cause.total for cause in found) == 15


def test_consumers_that_invited_each_other_are_no_endless_chain():
    reason = "unknown key: not in consumers"
    found = root_causes(
        {
            "consumers": refused(
                "consumers",
                [
                    (2, "inviter_id", reason, {"consumer_id": "a", "inviter_id": "b"}),
                    (3, "inviter_id", reason, {"consumer_id": "b", "inviter_id": "a"}),
                ],
            )
        }
    )
    assert sum(cause.total for cause in found) == 2


def test_a_row_without_columns_is_told_without_a_column():
    (cause,) = root_causes({"order_lines": refused("order_lines", [(5, "", "a total row", {})])})
    assert str(cause) == "1 order_lines: a total row"


def test_nothing_refused_has_no_cause():
    assert root_causes({}) == []
    assert root_causes({"orders": refused("orders", [])}) == []


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "not a status we know; map it in muyun.yaml: orders.values.status",
            "map it in muyun.yaml: orders.values.status",
        ),
        ("not one of store, other", "map your words to ours in muyun.yaml: orders.values.channel"),
        ("in the future", "correct the clock"),
        ("a control character in the text; remove it at the source", "remove it at the source"),
        ("a total row, not a row of order_lines", "nothing"),
        ("a kind of fault that nobody has met", "correct the rows at their source"),
    ],
)
def test_remedies(reason, expected):
    assert remedy("orders", "channel", reason).startswith(expected)
