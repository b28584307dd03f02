"""`muyun limits`: what the plausibility limits are, and how a new level is accepted."""

from __future__ import annotations

import difflib

from pipelines.lake.tables import Lake
from pipelines.limits import last_good
from pipelines.limits.document import FILE_NAME, Limit, LimitsError, load_limits
from pipelines.limits.suites import ALL_BOUNDARIES
from pipelines.settings import Settings


def show(settings: Settings) -> int:
    """Print every limit by boundary, with what it is held against."""
    limits, lake = load_limits(settings.home), Lake(settings.lake_dir)
    for boundary in ALL_BOUNDARIES:
        profile = last_good.read(lake, boundary.suite)
        known = f"last good batch {profile.rows:,} rows" if profile else "no good batch yet"
        print(f"\n{boundary.table} ({boundary.suite}; {known})")
        for name, limit in limits.at(boundary.suite).items():
            print(f"  {limit.severity:<7} {name}: {_looked_at(limit)}")
    print(f"\nchange them in {settings.home / FILE_NAME}; accept a new level with: muyun limits accept TABLE")
    return 0


def accept(settings: Settings, table: str | None) -> int:
    """Forget the last good batch of a table, so that its next batch sets the level.

    Args:
        settings: The installation's settings.
        table: Table, or suite of a boundary.

    Raises:
        LimitsError: There is no such table.
    """
    names = {boundary.table: boundary.suite for boundary in ALL_BOUNDARIES}
    suite = names.get(str(table), table)
    if suite not in names.values():
        (near,) = difflib.get_close_matches(str(table), names, n=1, cutoff=0.0)
        raise LimitsError(f"there are no limits on '{table}'; the nearest is '{near}'")
    was_there = last_good.forget(Lake(settings.lake_dir), str(suite))
    print(
        f"{table}: its next batch sets the level; go on with `make run`"
        if was_there
        else f"{table}: no good batch was known; its next batch sets the level anyway"
    )
    return 0


def _looked_at(limit: Limit) -> str:
    if limit.fact is None:
        return f"{limit.expectation} {limit.arguments}"
    for way in ("ratio_to_last_good", "rise_over_last_good", "distance_from_last_good", "value"):
        admitted = getattr(limit, way)
        if admitted is not None:
            return f"{way} of {limit.fact} {admitted.model_dump(exclude_none=True)}"
    return limit.fact
