"""Days of the event-like tables: first and last included, and one run for a range."""

import datetime as dt

from pipelines.partitions import daily_partitions, single_run


def test_days_run_from_the_first_to_the_day_of_the_fixed_now():
    days = daily_partitions(dt.date(2025, 1, 30), dt.datetime(2025, 2, 2, 23, 59, tzinfo=dt.UTC))
    assert days.get_partition_keys() == ["2025-01-30", "2025-01-31", "2025-02-01", "2025-02-02"]


def test_one_day_is_a_partition():
    days = daily_partitions(dt.date(2025, 1, 30), dt.datetime(2025, 1, 30, tzinfo=dt.UTC))
    assert days.get_partition_keys() == ["2025-01-30"]


def test_without_a_fixed_now_the_days_grow_with_the_wall_clock_and_hold_today():
    today = dt.datetime.now(dt.UTC).date()
    keys = daily_partitions(today - dt.timedelta(days=2), None).get_partition_keys()
    assert keys[0] == (today - dt.timedelta(days=2)).isoformat()
    assert keys[-1] in {today.isoformat(), (today + dt.timedelta(days=1)).isoformat()}


def test_a_range_of_days_is_one_run():
    assert single_run().max_partitions_per_run is None
