"""One warehouse build for all warehouse tests of a session, shared by parallel workers."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
import tiny_lake
from dbt_runs import Build, run_dbt
from filelock import FileLock


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Build:
    """The tiny lake built and tested by dbt; the first parallel worker builds, the others wait and read."""
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "tiny_warehouse"
    with FileLock(f"{home}.lock"):
        answer = home / "exit_code"
        if not answer.exists():
            tiny_lake.write(home / "lake", tiny_lake.tables())
            build = run_dbt(home, "build")
            (home / "output").write_text(build.output)
            answer.write_text(str(build.code))
    build = Build(home, home / "build.duckdb", int(answer.read_text()), (home / "output").read_text())
    assert build.code == 0, build.output
    return build


@pytest.fixture
def warehouse(built: Build) -> Iterator[duckdb.DuckDBPyConnection]:
    """The built warehouse, opened the way an analyst opens it: read-only."""
    with duckdb.connect(str(built.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection
