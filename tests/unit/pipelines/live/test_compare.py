"""Two stores side by side: equal whatever the order of rows; a missing, extra or changed row counts."""

from pathlib import Path

import duckdb
import pytest

from pipelines.live.compare import compare

ROWS = [("a", 1, 0.1), ("b", 2, None), ("b", 2, None)]


def _store(file: Path, rows: list[tuple[object, ...]], revision: int = 0) -> Path:
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "create schema tags; create table tags.t (id varchar, n int, x double, revision bigint)"
        )
        if rows:
            connection.executemany(f"insert into tags.t values (?, ?, ?, {revision})", rows)
    return file


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (ROWS, 0),
        (list(reversed(ROWS)), 0),
        (ROWS[:2], 1),
        ([*ROWS, ("c", 3, 0.5)], 1),
        ([("a", 1, 0.1 + 2e-17), *ROWS[1:]], 1),
        ([("a", 1, None), *ROWS[1:]], 1),
        ([], 3),
    ],
)
def test_rows_that_differ_are_counted(
    tmp_path: Path, other: list[tuple[object, ...]], differing: int
) -> None:
    _store(tmp_path / "one.duckdb", ROWS)
    _store(tmp_path / "other.duckdb", other, revision=9)
    with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
        found = compare(connection, tmp_path / "other.duckdb", ["tags.t"])
    assert found.rows == 3
    assert found.differences == ({"tags.t": differing} if differing else {})
