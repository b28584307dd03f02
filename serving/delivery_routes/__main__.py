"""A planning process: a request a line on standard input, its plan a line on standard output."""

from __future__ import annotations

import sys

import msgspec
import pyvrp  # noqa: F401 - loaded before the first request is waited for

from serving.delivery_routes.contracts import RoutePlanRequest
from serving.delivery_routes.planning import plan_routes


def main() -> None:
    """Answer until standard input ends; what fails ends the process, and its caller says so."""
    for line in sys.stdin.buffer:
        plan = plan_routes(msgspec.json.decode(line, type=RoutePlanRequest))
        sys.stdout.buffer.write(msgspec.json.encode(plan) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
