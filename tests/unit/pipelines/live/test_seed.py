"""What a generation starts from: written and read again, never ahead of what any raw table has read."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.live.seed import RECORDED_CURSOR, Seed, least_cursor, read_seed
from pipelines.steps.state import StepRecord


def _record(**metadata: int) -> StepRecord:
    return StepRecord("raw/events", "f", "v", dict(metadata), [], 0.0, 0.0)


def test_a_seed_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "good.json"
    assert read_seed(file) is None
    seed = Seed("abc", datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC), 2**40, "7:5:claim", "source")
    seed.write(file)
    assert read_seed(file) == seed


@pytest.mark.parametrize(
    ("records", "least"),
    [
        ([_record(**{RECORDED_CURSOR: 7}), _record(**{RECORDED_CURSOR: 5})], 5),
        ([_record(**{RECORDED_CURSOR: 7}), _record()], 0),
        ([_record(**{RECORDED_CURSOR: 7}), None], 0),
        ([], 0),
    ],
)
def test_the_cursor_is_the_one_that_every_table_has_reached(
    records: list[StepRecord | None], least: int
) -> None:
    assert least_cursor(records) == least
