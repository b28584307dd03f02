"""The mart of communities takes the weeks of the last run in its own columns; a wrong week is named."""

from __future__ import annotations

import datetime as dt
import shutil

import duckdb
import polars as pl
from dbt_runs import Build

from pipelines.community_weeks import broken
from pipelines.lake.tables import Lake
from pipelines.stores.communities import WEEK_COLUMNS, WEEKS
from pipelines.warehouse.gathered import put_weeks

WEEK = {name: 0 for name, kind in WEEK_COLUMNS.items() if kind == pl.Int64()} | {
    "community_id": "mothers",
    "merchant_id": "m1",
    "title": "Mothers",
}
FIRST = WEEK | {"week_on": dt.date(2018, 1, 1), "members": 3, "joined": 4, "left_members": 1}
SECOND = WEEK | {
    "week_on": dt.date(2018, 1, 8),
    "members": 4,
    "joined": 2,
    "left_members": 1,
    "texts": 4,
    "complaints": 1,
}


def test_the_mart_has_each_week_once(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    lake.put(WEEKS, pl.DataFrame([SECOND, FIRST], schema=WEEK_COLUMNS))
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    for _ in range(2):
        assert put_weeks(copy, lake.derived_path(WEEKS)) == 2
    with duckdb.connect(str(copy), read_only=True) as connection:
        shown = connection.sql(
            "select week_start_on, member_count, joined_count, left_count, complaint_share"
            " from analyst.mart_community_health order by 1"
        ).fetchall()
    assert shown == [(dt.date(2018, 1, 1), 3, 4, 1, None), (dt.date(2018, 1, 8), 4, 2, 1, 0.25)]


def test_a_week_that_does_not_follow_is_named() -> None:
    assert broken(pl.DataFrame([SECOND, FIRST], schema=WEEK_COLUMNS)) == []
    wrong = pl.DataFrame([SECOND | {"members": 5}, FIRST], schema=WEEK_COLUMNS)
    assert broken(wrong) == ["m1/mothers 2018-01-08"]
