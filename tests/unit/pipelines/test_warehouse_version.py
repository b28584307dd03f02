"""The version of a build is that of its rows: the same rows in any order have one, any other row shows."""

import duckdb
import pytest

from pipelines.defs.warehouse import _contents


def build(rows, extra=""):
    connection = duckdb.connect()
    connection.execute("create schema core; create schema intermediate; create schema analyst")
    connection.execute("create table core.lines (order_id text, qty double, placed_at timestamptz)")
    if rows:
        connection.executemany("insert into core.lines values (?, ?, ?)", rows)
    connection.execute(
        "create view intermediate.per_order as select order_id, sum(qty) as qty from core.lines group by 1"
    )
    if extra:
        connection.execute(extra)
    return connection


ROWS = [
    ("a", 1.5, "2025-01-01 00:00:00+00"),
    ("b", 2.0, "2025-01-02 00:00:00+00"),
    ("b", 2.0, "2025-01-02 00:00:00+00"),
]


def test_the_order_of_rows_does_not_matter():
    assert _contents(build(ROWS)) == _contents(build(ROWS[::-1]))


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:2],
        [*ROWS, ROWS[0]],
        [("a", 1.6, ROWS[0][2]), *ROWS[1:]],
        [("a", None, ROWS[0][2]), *ROWS[1:]],
        [],
    ],
)
def test_any_other_rows_have_another_version(rows):
    assert _contents(build(rows)) != _contents(build(ROWS))


@pytest.mark.parametrize(
    "extra",
    [
        "alter table core.lines add column more int",
        "create table core.more (x int)",
        "create view intermediate.v as select 1 as x",
    ],
)
def test_another_column_table_or_view_has_another_version(extra):
    assert _contents(build(ROWS, extra)) != _contents(build(ROWS))


def test_what_only_analysts_read_is_no_input_of_a_step():
    assert _contents(build(ROWS, "create table analyst.mart (x int)")) == _contents(build(ROWS))
