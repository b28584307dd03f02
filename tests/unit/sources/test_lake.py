"""Files appear whole or not at all, partitions follow the rows, and equal rows give equal bytes."""

import datetime as dt
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.lake.tables import Lake, LakeError, atomic_path
from pipelines.sources.contract import contract_table, empty


def touches(days: list[int]) -> pl.DataFrame:
    times = [dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC) for day in days]
    return pl.DataFrame(
        {
            "touch_id": [f"t{position}" for position in range(len(days))],
            "anonymous_id": [None] * len(days),
            "consumer_id": ["c"] * len(days),
            "channel": ["mail"] * len(days),
            "campaign": ["x"] * len(days),
            "cost_cents": [1] * len(days),
            "occurred_at": times,
            "received_at": times,
            "origin": ["observed"] * len(days),
        },
        schema=dict(empty("touches").schema),
    )


def test_days_are_written_and_those_without_rows_removed(tmp_path):
    lake = Lake(tmp_path)
    lake.replace_days("touches", touches([1, 2, 3, 3]), "occurred_at")
    assert lake.days("touches") == [dt.date(2026, 11, day) for day in (1, 2, 3)]
    lake.replace_days("touches", touches([2]), "occurred_at", dt.date(2026, 11, 2), dt.date(2026, 11, 3))
    assert lake.days("touches") == [dt.date(2026, 11, 1), dt.date(2026, 11, 2)]
    assert not (lake.accepted_path("touches") / "day=2026-11-03").exists()
    assert lake.read("touches", ["touch_id"]).height == 2
    outside = lake.scan_other_days("touches", dt.date(2026, 11, 2), dt.date(2026, 11, 3)).collect()
    assert outside["occurred_at"].dt.day().to_list() == [1]
    assert lake.scan_days("touches", dt.date(2026, 11, 2), dt.date(2026, 11, 3)).collect().height == 1


def test_a_row_outside_the_window_is_refused(tmp_path):
    with pytest.raises(LakeError, match="1 rows of 'touches' lie outside"):
        Lake(tmp_path).replace_days(
            "touches", touches([1, 5]), "occurred_at", dt.date(2026, 11, 1), dt.date(2026, 11, 2)
        )


def test_duckdb_reads_a_partitioned_table_with_and_without_rows(tmp_path):
    lake = Lake(tmp_path)
    lake.create()
    files = f"{lake.accepted_path('touches')}/*/*.parquet"
    query = f"select count(*), max(day) from read_parquet('{files}', hive_partitioning = true)"
    assert duckdb.sql(query).fetchall() == [(0, None)]
    lake.replace_days("touches", touches([1, 2]), "occurred_at")
    assert duckdb.sql(query).fetchall() == [(2, dt.date(2026, 11, 2))]
    assert "day" not in lake.read("touches").columns


def test_equal_rows_in_another_order_give_equal_bytes(tmp_path):
    rows = touches([1, 1, 2, 2, 2])
    contents = []
    for name, frame in (("x", rows), ("y", rows.reverse())):
        lake = Lake(tmp_path / name)
        lake.replace_days("touches", frame, "occurred_at")
        contents.append([path.read_bytes() for path in lake.accepted_files("touches")])
    assert contents[0] == contents[1]


def test_wrong_columns_and_types_are_named(tmp_path):
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="lack the columns level"):
        lake.replace("categories", empty("categories").drop("level"))
    with pytest.raises(LakeError, match="level is String instead of Int32"):
        lake.replace("categories", empty("categories").cast({"level": pl.String}))
    with pytest.raises(LakeError, match="partitioned"):
        lake.replace("orders", empty("orders"))
    with pytest.raises(LakeError, match="no daily partitions"):
        lake.replace_days("promotions", empty("promotions"))
    with pytest.raises(LakeError, match="no weekly partitions"):
        lake.replace_week_file("orders", empty("orders"), dt.date(2026, 11, 2))
    with pytest.raises(LakeError, match="no days"):
        lake.days("products")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path, monkeypatch, error):
    lake = Lake(tmp_path)
    lake.put("step/result", pl.DataFrame({"x": [1]}))

    def fail(self, path, **options):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(LakeError, match=r"disk is full: .*result\.parquet .*free space"):
        lake.put("step/result", pl.DataFrame({"x": [2]}))
    monkeypatch.undo()
    assert lake.get("step/result")["x"].to_list() == [1]
    assert [path.name for path in lake.derived_path("step/result").parent.iterdir()] == ["result.parquet"]


def test_a_killed_writer_leaves_the_old_file_and_its_rest_is_cleared(tmp_path):
    lake = Lake(tmp_path)
    lake.put("result", pl.DataFrame({"x": [1]}))
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom pipelines.lake.tables import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n"
        "    path.write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(lake.derived_path("result"))], check=False)
    assert done.returncode == -signal.SIGKILL
    rest = [path for path in lake.derived_path("result").parent.iterdir() if path.name.endswith(".tmp")]
    assert len(rest) == 1
    assert lake.get("result")["x"].to_list() == [1]
    lake.create()
    assert not rest[0].exists()


def test_the_file_of_a_living_writer_is_left_alone(tmp_path):
    with atomic_path(tmp_path / "derived" / "x.parquet") as path:
        path.write_bytes(b"half")
        Lake(tmp_path).create()
        assert path.exists()
    assert (tmp_path / "derived" / "x.parquet").read_bytes() == b"half"


def test_named_frames_and_reports(tmp_path):
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match="'features/x' has not been written yet"):
        lake.get("features/x")
    for bad in ("../x", "/x", "", "a//b", "a b", ".hidden"):
        with pytest.raises(LakeError, match="not a usable name"):
            lake.derived_path(bad)
    assert lake.read_report("ingest/orders") is None
    lake.write_report("ingest/orders", {"accepted": 3})
    assert lake.read_report("ingest/orders") == {"accepted": 3}
    path = lake.write_published("2026-11-01", "prices", pl.DataFrame({"x": [2, 1]}))
    assert path == tmp_path / "published" / "2026-11-01" / "prices.parquet"
    assert pl.read_parquet(path)["x"].to_list() == [2, 1]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "derived").write_text("a file where a folder should be")
    with pytest.raises(LakeError, match=r"cannot write .*x\.parquet"):
        Lake(tmp_path).put("x", pl.DataFrame({"x": [1]}))


def test_files_of_an_older_contract_are_read_with_nulls_and_lose_their_anchor(tmp_path):
    lake = Lake(tmp_path)
    lake.create()
    anchor = lake.accepted_path("orders") / "day=0001-01-01" / "part-0.parquet"
    old = pl.read_parquet(anchor).drop("state").with_columns(colour=pl.lit("red"))
    old.write_parquet(anchor)
    part = lake.accepted_path("orders") / "day=2026-11-01" / "part-0.parquet"
    part.parent.mkdir()
    pl.DataFrame({"order_id": ["o1"], "colour": ["red"]}).write_parquet(part)
    (row,) = lake.read("orders").to_dicts()
    assert (row["order_id"], row["state"]) == ("o1", None)
    assert "colour" not in row
    lake.create()
    assert pl.read_parquet_schema(anchor) == dict(contract_table("orders").dtypes)


def test_the_history_of_a_window_is_replaced_and_a_row_forgotten_elsewhere(tmp_path):
    lake = Lake(tmp_path)
    lake.create()

    def versions(*rows: tuple[str, int]) -> pl.DataFrame:
        at = [dt.datetime(2026, 11, day, tzinfo=dt.UTC) for _, day in rows]
        frame = pl.DataFrame({"order_id": [order for order, _ in rows], "placed_at": at})
        missing = [
            pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in contract_table("orders").history_dtypes.items()
            if name not in frame.columns
        ]
        return frame.with_columns(missing)

    def held() -> list[str]:
        return sorted(lake.scan_history("orders").collect()["order_id"])

    first, second = dt.date(2026, 11, 1), dt.date(2026, 11, 2)
    lake.replace_history("orders", versions(("a", 1), ("b", 2)), "placed_at")
    lake.replace_history("orders", versions(("c", 2)), "placed_at", second, second)
    assert held() == ["a", "c"]
    lake.forget_elsewhere("orders", pl.DataFrame({"order_id": ["a", "c"]}), second, second)
    assert held() == ["c"]
    lake.replace_history("orders", versions(("a", 1)).clear(), "placed_at", first, second)
    assert held() == []
    assert len(lake.history_files("orders")) == 1, "the file that carries the schema stays"
