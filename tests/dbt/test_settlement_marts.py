"""The marts of settlement equal the ledger to the cent, by plain loops over the rows that went in."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
import tiny_lake
from dbt_runs import run_dbt

TABLES = tiny_lake.tables()
LEGS, ENTRIES = TABLES["settlement_legs"], TABLES["ledger_entries"]
CONSUMERS = {order["order_id"]: order["consumer_id"] for order in TABLES["orders"]}


def month(time: dt.datetime) -> dt.date:
    return time.astimezone(dt.UTC).date().replace(day=1)


LAST = max(month(entry["booked_at"]) for entry in ENTRIES)
"""Some were booked after the build moment: they stand in a statement all the same."""


def next_month(day: dt.date) -> dt.date:
    return (day + dt.timedelta(days=31)).replace(day=1)


def test_legs_of_an_order_are_what_was_captured_less_what_was_refunded(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    expected: Counter[str] = Counter()
    for entry in ENTRIES:
        if entry["order_id"] and entry["transaction_kind"] in ("accrual", "refund"):
            expected[entry["order_id"]] -= entry["amount"] if "channel" in entry["account_kind"] else 0
    found = warehouse.sql(
        "select order_id, sum(channel_cents) from core.fct_settlement_legs group by all"
    ).fetchall()
    assert dict(found) == dict(expected)
    assert any(leg["rounding_cents"] for leg in LEGS)
    assert {leg["leg_state"] for leg in LEGS} == {"pending", "released"}


def test_statements_equal_the_entries_month_by_month(warehouse: duckdb.DuckDBPyConnection) -> None:
    moved: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for entry in ENTRIES:
        account = (entry["party_type"], entry["party_id"], entry["account_kind"])
        moved[*account, month(entry["booked_at"])][entry["transaction_kind"]] += entry["amount"]
    expected = {}
    for account in {key[:3] for key in moved}:
        balance, at = 0, min(key[3] for key in moved if key[:3] == account)
        while at <= LAST:
            movements = moved.get((*account, at), Counter())
            if balance or movements:
                expected[*account, at, "opening"] = balance
                balance += sum(movements.values())
                expected |= {(*account, at, kind): amount for kind, amount in movements.items()}
                expected[*account, at, "closing"] = balance
            at = next_month(at)
    found = warehouse.sql(
        "select party_type, party_id, account_kind, month_start_on, movement_kind, amount_cents"
        " from analyst.mart_settlement_statement"
    ).fetchall()
    assert len(found) > 60
    assert {row[:5]: row[5] for row in found} == expected


def test_the_agent_earned_what_the_ledger_says(warehouse: duckdb.DuckDBPyConnection) -> None:
    expected: dict[dt.date, Counter[str]] = defaultdict(Counter)
    customers: dict[dt.date, set[str]] = defaultdict(set)
    lines: dict[tuple[str, int], int] = defaultdict(int)
    for leg in LEGS:
        lines[leg["order_id"], leg["line_no"]] += (
            leg["amount_cents"] - leg["reversed_cents"] - leg["rounding_cents"]
        )
    for leg in LEGS:
        if leg["leg_kind"] == "direct" and leg.get("released_at"):
            at = month(leg["released_at"])
            customers[at].add(CONSUMERS[leg["order_id"]])
            expected[at]["net_sales"] += lines[leg["order_id"], leg["line_no"]]
    for entry in ENTRIES:
        at = month(entry["booked_at"])
        if entry["party_type"] == "agent":
            kind = (entry["transaction_kind"], entry["account_kind"])
            expected[at]["accrued"] += entry["amount"] if kind == ("accrual", "agent_pending") else 0
            expected[at]["released"] += entry["amount"] if kind == ("release", "agent_available") else 0
            expected[at]["reversed"] -= entry["amount"] if kind[0] == "refund" else 0
    found = warehouse.sql(
        "select month_start_on, settled_customer_count, net_sales_cents, commission_accrued_cents,"
        " commission_released_cents, commission_reversed_cents, tier from analyst.mart_agent_performance"
        " where agent_id = 'a-1' order by 1"
    ).fetchall()
    assert [row[0] for row in found] == sorted(expected)
    for at, settled, *money, tier in found:
        want = expected[at]
        assert settled == len(customers[at])
        assert money == [want[name] for name in ("net_sales", "accrued", "released", "reversed")]
        assert tier == "gold"


def _lose_a_refund(rows: dict[str, list[dict[str, Any]]]) -> None:
    lost = next(e["transaction_id"] for e in rows["ledger_entries"] if e["transaction_kind"] == "refund")
    rows["ledger_entries"] = [e for e in rows["ledger_entries"] if e["transaction_id"] != lost]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda rows: rows["ledger_entries"][0].update(amount=1), "sums_to_zero_stg_lake__ledger_entries"),
        (
            lambda rows: rows["settlement_legs"][0].update(reversed_cents=1),
            "legs_equal_captured_less_refunded",
        ),
        (_lose_a_refund, "legs_equal_captured_less_refunded"),
    ],
    ids=["an entry changed", "a leg changed", "a whole transaction gone"],
)
def test_books_that_do_not_agree_fail_the_build(tmp_path: Path, spoil: Any, complaint: str) -> None:
    rows = tiny_lake.tables()
    spoil(rows)
    tiny_lake.write(tmp_path / "lake", rows)
    build = run_dbt(
        tmp_path, "build", "--select", "+mart_settlement_statement", "+fct_settlement_legs",
        "int_ledger_orders",
        "--exclude-resource-type", "unit_test",
    )  # fmt: skip
    assert build.code != 0
    assert f"Failure in test {complaint}" in build.output
