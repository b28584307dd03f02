"""The analyst's file is his: read-only, and whatever he does to it reaches no run."""

import stat

import duckdb
import pytest
from graph_jobs import run_job

from serving.scores import loader

pytestmark = pytest.mark.xdist_group("world")


def test_a_file_that_an_analyst_changed_and_holds_open_disturbs_no_step(branch, at_hour):
    file = branch["home"] / "warehouse" / "muyun.duckdb"
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    file.chmod(0o644)
    with duckdb.connect(str(file)) as held:  # his lock keeps every other connection out
        held.execute("drop schema core cascade")
        at_hour(1)
        found = run_job("prices_publish")
    assert found["success"], found["failed"]
    assert "published/prices" in found["made"]
    assert loader.current(branch["database"]).kind == "refresh"
