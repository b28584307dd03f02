"""A planning process: a request a line on standard input, its plan or refusal a line on standard output."""

from __future__ import annotations

import sys

import msgspec
import pyvrp  # noqa: F401 - loaded before the first request is waited for

from serving.delivery_routes.contracts import PlannerAnswer, RoutePlanRequest
from serving.delivery_routes.errors import InvalidRouteRequestError
from serving.delivery_routes.planning import plan_routes


def main() -> None:
    """Answer until standard input ends; what fails ends the process, and its caller says so."""
    for line in sys.stdin.buffer:
        try:
            answer = PlannerAnswer(plan=plan_routes(msgspec.json.decode(line, type=RoutePlanRequest)))
        except InvalidRouteRequestError as error:
            answer = PlannerAnswer(refusal=error.slug, message=str(error))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
