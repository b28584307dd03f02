"""`python -m benchmarks [all | <name> ... | page | plan]`: run benchmarks, write the page, show the plan."""

from __future__ import annotations

import importlib
import sys
import time

from benchmarks import page
from benchmarks.plan import PLAN, planned_s, run_all, said, table


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; the highest exit status of any of them is ours."""
    wanted = arguments or ["all"]
    if wanted == ["page"]:
        return page.main(tuple(PLAN))
    if wanted == ["plan"]:
        print(f"{table(PLAN)}\n\n{planned_s(PLAN) / 60:.0f} minutes")
        return 0
    if wanted == ["all"]:
        began = time.monotonic()
        ended = run_all(PLAN)
        print("\n".join(said(PLAN, ended, time.monotonic() - began)))
        return max(status for status, _ in ended.values())
    unknown = [name for name in wanted if name not in PLAN]
    if unknown:
        print(
            f"error: no benchmark named {', '.join(unknown)}; there are: {', '.join(PLAN)}", file=sys.stderr
        )
        return 2
    return max(importlib.import_module(f"benchmarks.{PLAN[name].room}.{name}").main() or 0 for name in wanted)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
