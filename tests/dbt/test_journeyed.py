"""The mart of effects takes what came of journeys, in its own columns."""

from __future__ import annotations

import shutil

import duckdb
import polars as pl
from dbt_runs import Build

from pipelines.lake.tables import Lake
from pipelines.stores.journeys import EFFECT, EFFECT_COLUMNS
from pipelines.warehouse.journeyed import put_effects


def test_the_mart_has_what_came_of_journeys_once(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    counts = {name: 10 for name, kind in EFFECT_COLUMNS.items() if kind == pl.Int64()}
    row = {**counts, "journey_id": "wake", "title": "Wake", "state": "live", "goal": "order",
           "is_simulated": False, "conversion_share": 1.0}  # fmt: skip
    arms = [{**row, "arm": "treated", "difference": 0.1, "difference_low": 0.05, "difference_high": 0.15,
             "ratio_p": 0.5, "verdict": "gain"}, {**row, "arm": "control"}]  # fmt: skip
    lake.put(EFFECT, pl.DataFrame(arms, schema=EFFECT_COLUMNS))
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    for _ in range(2):
        assert put_effects(copy, lake.derived_path(EFFECT)) == 2
    with duckdb.connect(str(copy), read_only=True) as connection:
        shown = connection.sql(
            "select arm, net_margin_cents, difference_low, verdict from analyst.mart_journey_effect"
            " order by arm"
        ).fetchall()
    assert shown == [("control", 10, None, None), ("treated", 10, 0.05, "gain")]
