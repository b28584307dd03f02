"""How far a segment moved in a day, and when that is too far."""

from datetime import date, timedelta

import polars as pl
import pytest

from feature_store.segments.members import MEMBERS, with_edges
from pipelines.limits.document import LimitsError, SegmentLimits, load_limits, merge
from pipelines.segments.drift import Movement, movements

TODAY = date(2026, 3, 2)
LIMITS = SegmentLimits(most_change=0.5, most_turnover=0.5, least_members=30)


def group(first, last, name="big"):
    rows = [(name, f"c{number:03d}") for number in range(first, last)]
    return pl.DataFrame(rows, schema={"segment": pl.String, "consumer_id": pl.String}, orient="row")


def day_after(before, now):
    yesterday = with_edges(before, None, TODAY - timedelta(days=1))
    return with_edges(now, yesterday, TODAY)


@pytest.mark.parametrize(
    ("now", "movement", "told"),
    [
        (group(0, 40), Movement("big", 40, 40, 0), 0),
        (group(0, 60), Movement("big", 40, 60, 0), 0),  # exactly the limit
        (group(0, 61), Movement("big", 40, 61, 0), 1),
        (group(0, 20), Movement("big", 40, 20, 20), 0),
        (group(0, 19), Movement("big", 40, 19, 21), 2),
        (group(21, 61), Movement("big", 40, 40, 21), 1),  # as large as before, but others
        (group(0, 0), Movement("big", 40, 0, 40), 2),
    ],
)
def test_size_and_members_are_judged(now, movement, told):
    edges = day_after(group(0, 40), now)
    assert movements(edges, TODAY) == [movement]
    assert len(movement.drifted(LIMITS)) == told
    again = with_edges(now, edges, TODAY)
    assert movements(again, TODAY) == [movement], "a second run of the day judges the same"


def test_small_and_new_segments_are_not_judged():
    assert Movement("small", 20, 3, 17).drifted(LIMITS) == []
    assert Movement("grown", 20, 30, 0).drifted(LIMITS) == []
    assert len(Movement("grown", 19, 30, 0).drifted(LIMITS)) == 1
    assert movements(with_edges(group(0, 99), None, TODAY), TODAY)[0].drifted(LIMITS) == []
    assert movements(pl.DataFrame(schema=MEMBERS), TODAY) == []


def test_the_limits_stand_in_the_limits_document(tmp_path):
    assert load_limits(tmp_path).segments == LIMITS
    (tmp_path / "limits.yaml").write_text("segments: {most_change: 0.8}\n")
    changed = load_limits(tmp_path).segments
    assert (changed.most_change, changed.most_turnover) == (0.8, 0.5)
    with pytest.raises(LimitsError, match="most_changes"):
        merge(load_limits(tmp_path), {"segments": {"most_changes": 1}}, "mine")
