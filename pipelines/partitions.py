"""Daily partitions of the event-like tables."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta

import dagster as dg


def daily_partitions(first_day: date, fixed_now: datetime | None) -> dg.DailyPartitionsDefinition:
    """UTC days from the first configured day to today, both included.

    Args:
        first_day: The first partition.
        fixed_now: Business time when it stands still; None lets the partitions grow with the wall clock.
    """
    if fixed_now is None:
        return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="UTC", end_offset=1)
    return dg.DailyPartitionsDefinition(
        start_date=first_day.isoformat(),
        end_date=(fixed_now.date() + timedelta(days=1)).isoformat(),
        timezone="UTC",
    )


def single_run() -> dg.BackfillPolicy:
    """Load any range of days in one run: a run a day would cost more in imports than in work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.BackfillPolicy.single_run()
