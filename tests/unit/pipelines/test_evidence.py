"""Outputs as a step left them: what is noticed, and what a copy may change."""

import os
import shutil

import pytest

from pipelines.steps.evidence import evidence_of, still_holds


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    for day in ("day=2025-01-01", "day=2025-01-02"):
        (folder / "orders" / day).mkdir(parents=True)
        (folder / "orders" / day / "part-0.parquet").write_text(day)
    (folder / "frame.parquet").write_text("rows")
    return folder


def paths(home):
    return [home / "orders", home / "frame.parquet"]


def remove_a_day(home):
    shutil.rmtree(home / "orders" / "day=2025-01-01")


def empty_a_day(home):
    (home / "orders" / "day=2025-01-01" / "part-0.parquet").unlink()


def rewrite_a_day(home):
    (home / "orders" / "day=2025-01-01" / "part-0.parquet").write_text("day=2025-01-09")


def add_a_day(home):
    (home / "orders" / "day=2025-01-03").mkdir()
    (home / "orders" / "day=2025-01-03" / "part-0.parquet").write_text("x")


def swap_days(home):
    one, two = (home / "orders" / f"day=2025-01-0{n}" for n in (1, 2))
    one.rename(home / "orders" / "other")
    two.rename(one)
    (home / "orders" / "other").rename(two)


def remove_the_frame(home):
    (home / "frame.parquet").unlink()


def remove_everything(home):
    shutil.rmtree(home)


@pytest.mark.parametrize(
    "damage",
    [
        remove_a_day, empty_a_day, rewrite_a_day, add_a_day, swap_days, remove_the_frame, remove_everything,
    ],
)  # fmt: skip
def test_what_somebody_did_to_the_outputs_is_noticed(home, damage):
    recorded = evidence_of(paths(home), home)
    assert still_holds(recorded, paths(home), home)
    damage(home)
    assert not still_holds(recorded, paths(home), home)


def test_a_copy_with_new_times_in_another_place_holds_the_same(home, tmp_path):
    recorded = evidence_of(paths(home), home)
    moved = tmp_path / "moved"
    shutil.copytree(home, moved, copy_function=shutil.copyfile)
    os.utime(moved / "frame.parquet", (1, 1))
    assert still_holds(recorded, paths(moved), moved)


def test_another_writers_unfinished_file_is_no_output(home):
    recorded = evidence_of(paths(home), home)
    (home / "orders" / ".part-0.parquet.77.tmp").write_text("half")
    assert still_holds(recorded, paths(home), home)


def test_no_outputs_hold_without_a_record_of_any_and_only_then(home):
    assert still_holds({}, [], home)
    assert not still_holds({}, paths(home), home)
    assert not still_holds(evidence_of(paths(home), home), [], home)
