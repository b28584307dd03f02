"""`python -m benchmarks [all | <name>]`: run benchmarks by the name of their module."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "api_read",
    "profile_read",
    "order_assignment",
    "event_intake",
    "event_to_profile",
    "release_legs",
    "ledger_throughput",
    "reconciliation",
    "crash_ledger",
    "own_data",
    "first_run",
    "rerun_cost",
    "tags_default",
    "tags_scale",
    "tags_vs_peers",
    "point_in_time",
    "growth",
    "spark_equal",
)
"""Every benchmark, in the order in which `all` runs them."""


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; the highest exit status of any of them is ours."""
    wanted = arguments or ["all"]
    names = NAMES if wanted == ["all"] else tuple(wanted)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(
            f"error: no benchmark named {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr
        )
        return 2
    return max(importlib.import_module(f"benchmarks.{name}").main() or 0 for name in names)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
