"""Which days a run reloads: all of them, or those that its tag names.

The event-like tables are one asset each, not a partition a day: Dagster would write one event a day and table
for every load of a range, and nothing lighter exists in it. The days are folders of the lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import dagster as dg

from pipelines.conventions import DAYS_TAG


def days_of(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """The days that a run's tags name, both included; None means every day.

    `muyun/days` is one day (`2025-06-30`) or two with a slash between (`2025-06-01/2025-06-30`).

    Raises:
        dg.Failure: The tag cannot be read as days, or they end before they begin.
    """
    text = tags.get(DAYS_TAG)
    if text is None:
        return None
    first, _, last = text.partition("/")
    try:
        days = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError:
        days = None
    if days is None or days[0] > days[1]:
        raise dg.Failure(
            f"the tag {DAYS_TAG} says '{text}': write a day as 2025-06-30, or two as 2025-06-01/2025-06-30",
            allow_retries=False,
        )
    return days
