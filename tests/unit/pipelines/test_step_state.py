"""Step records: what makes a step run again, and what a killed writer may leave behind."""

import json

import pytest

from pipelines.steps.state import (
    CheckRecord,
    StateStore,
    StepRecord,
    content_version,
    fingerprint,
    measured,
)

RECORD = StepRecord(
    key="raw/orders",
    fingerprint="f",
    version="v",
    metadata={"rows": 3, "notes": ["x"]},
    checks=[CheckRecord("rows_add_up", True, {"received": 3}), CheckRecord("warns", False, is_error=False)],
    wall_s=0.5,
    peak_rss_mb=100.0,
)


def test_a_record_comes_back_as_it_was_written(tmp_path):
    store = StateStore(tmp_path / "state")
    store.put(RECORD)
    assert store.get("raw/orders") == RECORD


def test_a_step_that_never_finished_has_no_record(tmp_path):
    assert StateStore(tmp_path / "absent").get("raw/orders") is None


def test_forgetting_makes_the_step_run_again_and_twice_is_fine(tmp_path):
    store = StateStore(tmp_path)
    store.put(RECORD)
    store.forget("raw/orders")
    store.forget("raw/orders")
    assert store.get("raw/orders") is None


@pytest.mark.parametrize("text", ["", "{", '{"key": "raw/orders"}', "[]", "null", '{"checks": 3}'])
def test_a_torn_or_foreign_record_counts_as_none(tmp_path, text):
    store = StateStore(tmp_path)
    store.put(RECORD)
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)
    assert store.get("raw/orders") is None


def test_writing_a_record_leaves_no_temporary_file(tmp_path):
    StateStore(tmp_path).put(RECORD)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
    assert json.loads(next(tmp_path.iterdir()).read_text())["key"] == "raw/orders"


def test_two_keys_never_share_a_file(tmp_path):
    store = StateStore(tmp_path)
    store.put(RECORD)
    store.put(StepRecord("raw/order_lines", "f2", "v2", {}, [], 0, 0))
    assert store.get("raw/orders").fingerprint == "f"
    assert store.get("raw/order_lines").fingerprint == "f2"


def test_a_fingerprint_ignores_the_order_of_names_and_sees_every_value():
    base = {"inputs": {"a": "1", "b": "2"}, "seed": 1}
    assert fingerprint(base) == fingerprint({"seed": 1, "inputs": {"b": "2", "a": "1"}})
    changed = [
        {**base, "seed": 2},
        {**base, "inputs": {"a": "2", "b": "1"}},
        {**base, "more": None},
        {"seed": 1},
    ]
    assert len({fingerprint(base), *map(fingerprint, changed)}) == 5


def test_content_version_depends_on_bytes_and_names_only(tmp_path):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    version = content_version([first, second])
    assert content_version([second, first]) == version
    first.write_bytes(b"two")
    second.write_bytes(b"one")
    assert content_version([first, second]) != version


def test_a_partition_that_moves_to_another_day_changes_the_content_version(tmp_path):
    days = [tmp_path / "day=2025-01-01", tmp_path / "day=2025-01-02"]
    versions = set()
    for day in days:
        day.mkdir()
        file = day / "part-0.parquet"
        file.write_bytes(b"rows")
        versions.add(content_version([file]))
        file.unlink()
    assert len(versions) == 2


def test_a_measured_block_reports_its_time_and_memory_even_when_it_fails():
    def fail():
        with measured(0.01) as cost:
            costs.append(cost)
            ballast = bytearray(30 * 2**20)
            ballast[::4096] = b"x" * len(ballast[::4096])
            raise ValueError("body failed")

    costs = []
    with pytest.raises(ValueError, match="body failed"):
        fail()
    assert costs[0].wall_s > 0
    assert costs[0].peak_rss_mb > 30
