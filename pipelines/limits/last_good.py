"""The profile of the last good batch of each boundary, as JSON in the lake's reports."""

from __future__ import annotations

from pipelines.lake.tables import Lake
from pipelines.limits.profile import Profile


def read(lake: Lake, boundary: str) -> Profile | None:
    """The profile of the last batch that passed a boundary; None when none did."""
    content = lake.read_report(_key(boundary))
    return Profile.from_json(content) if content is not None else None


def remember(lake: Lake, boundary: str, profile: Profile) -> None:
    """Keep the profile of a batch that passed."""
    lake.write_report(_key(boundary), profile.to_json())


def forget(lake: Lake, boundary: str) -> bool:
    """Accept whatever comes next as the new level; says whether there was a profile."""
    path = lake.report_path(_key(boundary))
    was_there = path.exists()
    path.unlink(missing_ok=True)
    return was_there


def _key(boundary: str) -> str:
    return f"last_good/{boundary}"
