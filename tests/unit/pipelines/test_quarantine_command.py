"""`muyun quarantine`: the list, and which tables a replay reads again."""

import datetime as dt

import polars as pl
import pytest

from pipelines.intake.share import cause_lines, causes_of
from pipelines.lake.tables import Lake
from pipelines.limits.document import LimitsError
from pipelines.run import quarantine
from pipelines.settings import Settings
from pipelines.sources.refused.quarantine import QUARANTINE_SCHEMA, read_quarantine

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


def fill(lake, table, received, rows):
    """An account and the quarantined rows of one table: (line, column, value, reason, row as JSON)."""
    frame = pl.DataFrame(
        [
            {"table": table, "file": f"{table}.csv", "line": line, "column": column, "value": value,
             "reason": reason, "reasons": [reason], "row_json": row, "loaded_at": NOW}
            for line, column, value, reason, row in rows
        ],
        schema=QUARANTINE_SCHEMA,
    )  # fmt: skip
    lake.write_quarantine(table, frame)
    lake.write_report(
        f"ingest/{table}",
        {
            "table": table, "origin": "observed", "received": received,
            "accepted": received - len(rows), "quarantined": len(rows), "reasons": {},
            "extra_columns": [], "first_time": None, "last_time": None, "notes": [],
        },
    )  # fmt: skip


def test_the_list_ranks_causes_and_says_which_table_lost_too_much(settings, capsys):
    lake = Lake(settings.lake_dir)
    orders = [(n, "consumer_id", None, "missing value", f'{{"order_id": "o-{n}"}}') for n in range(2, 14)]
    lines = [
        (n, "order_id", f"o-{n}", "unknown key: not in orders", f'{{"order_id": "o-{n}"}}')
        for n in range(2, 14)
    ]
    fill(lake, "orders", 100, orders)
    fill(lake, "order_lines", 1000, lines)
    assert quarantine.show(settings) == 0
    said = capsys.readouterr().out
    assert "12.0% of orders were refused: 12 of 100 rows (admitted: 5.0%)  TOO MUCH" in said
    assert "1.2% of order_lines were refused: 12 of 1,000 rows (admitted: 5.0%)\n" in said
    assert "12 orders: consumer_id: missing value, which orphaned 12 order_lines" in said
    assert "first orders.csv:2" in said


def test_rows_that_an_earlier_version_refused_can_still_be_read(settings):
    lake = Lake(settings.lake_dir)
    fill(lake, "orders", 100, [(2, "status", "x", "missing value", '{"order_id": "o"}')])
    lake.write_quarantine("orders", lake.read_quarantine("orders").drop("key"))
    assert read_quarantine(lake, "orders")["key"].to_list() == [None]
    assert [cause.rows for cause in causes_of(lake)] == [1]


def test_an_empty_quarantine_says_so(settings, capsys):
    quarantine.show(settings)
    assert "nothing was loaded yet" in capsys.readouterr().out
    fill(Lake(settings.lake_dir), "orders", 5, [])
    quarantine.show(settings)
    assert "no row is in the quarantine" in capsys.readouterr().out


def test_only_the_first_causes_are_shown_and_the_rest_is_counted(settings):
    lake = Lake(settings.lake_dir)
    fill(lake, "products", 100, [(n, "title", "x", f"fault {n}", "{}") for n in range(2, 9)])
    lines = cause_lines(causes_of(lake), 5)
    assert len(lines) == 11
    assert lines[-1] == "and 2 rows of 2 further causes: muyun quarantine"


def test_a_replay_reads_the_refused_tables_and_what_hangs_on_them():
    assert quarantine.affected_tables({"coupons": 3, "orders": 0}, None) == ["coupons", "coupon_redemptions"]
    orders = quarantine.affected_tables({}, "orders")
    assert orders[:2] == ["orders", "order_lines"]
    assert {"shipments", "after_sales", "coupon_redemptions"} <= set(orders)
    assert "consumers" not in orders
    assert "settlement_legs" not in orders
    for name in ("order_lines", "products"):
        found = quarantine.affected_tables({}, name)
        assert "orders" in found, "an order without an accepted line waits for its lines"
        assert found.index("orders") < found.index("order_lines")
    assert quarantine.affected_tables({"orders": 0}, None) == []


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(LimitsError, match="no table 'order'; the nearest is 'orders'"):
        quarantine.affected_tables({}, "order")
