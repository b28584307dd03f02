"""Recorded rows that wait for their time, in tables of any size, with and without times that are history."""

import datetime as dt

import polars as pl
import pytest

from pipelines.sources.contract import contract_table
from pipelines.sources.recorded.rows import RecordedRows
from pipelines.sources.recorded.streams import RECORDED

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MANY = 400_000


class Kept:
    """Recordings in memory."""

    def __init__(self, frames):
        self.streams = [stream for group in RECORDED.values() for stream in group if stream.table in frames]
        self._frames = frames

    def read(self, table):
        return self._frames[table]


@pytest.mark.parametrize("table", ["ledger_entries", "settlement_legs"])
def test_books_have_no_time_that_waits_however_many_they_are(table):
    assert contract_table(table).past_columns == ()
    rows = RecordedRows(Kept({table: pl.DataFrame({"entry_id": range(MANY)})}))
    assert rows.rows(table, NOW).height == MANY
    assert rows.next_at(table, NOW) is None


def test_rows_wait_for_the_latest_of_their_times_and_lines_for_their_order():
    later = NOW + dt.timedelta(hours=1)
    orders = pl.DataFrame(
        {
            "order_id": [f"o{n}" for n in range(MANY)],
            "placed_at": [NOW] * MANY,
            "paid_at": [NOW, later, None] + [NOW] * (MANY - 3),
        },
        schema_overrides={"placed_at": pl.Datetime("us", "UTC"), "paid_at": pl.Datetime("us", "UTC")},
    )
    lines = orders.select("order_id", line_no=pl.lit(1))
    rows = RecordedRows(Kept({"orders": orders, "order_lines": lines}))
    assert rows.rows("orders", NOW).height == MANY - 1
    assert "o1" not in rows.rows("orders", NOW)["order_id"].head(3)
    assert rows.rows("order_lines", NOW).height == MANY - 1
    assert rows.next_at("orders", NOW) == later
    assert rows.rows("orders", later).height == MANY
