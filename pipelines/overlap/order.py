"""Which of the ready steps goes first: the one with the longest way behind it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.run.expected import step_seconds


def longest_ways(dependencies: Mapping[str, set[str]]) -> dict[str, float]:
    """Seconds from the start of each step to the end of the run, were there room for all of them.

    Args:
        dependencies: Step to the steps that it waits for; those outside the mapping are over.

    Returns:
        Step to seconds.
    """
    followers: dict[str, list[str]] = {key: [] for key in dependencies}
    for key, needs in dependencies.items():
        for need in needs & dependencies.keys():
            followers[need].append(key)
    ways: dict[str, float] = {}

    def way(key: str) -> float:
        if key not in ways:
            ways[key] = step_seconds(key) + max((way(next_one) for next_one in followers[key]), default=0.0)
        return ways[key]

    return {key: way(key) for key in dependencies}
