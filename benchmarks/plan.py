"""The complete run: which benchmarks, in which sizes, how long each may take, and which run two at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

MOST_S = 3_600
"""Seconds that the complete run may take on two cores."""
SIDES = 2


@dataclass(frozen=True)
class Planned:
    """A benchmark in the complete run.

    Attributes:
        room: The package that it lies in.
        seconds: Wall seconds that are planned for it, in the sizes below.
        beside: Whether it may run next to another such one: it measures no time, or processor time only.
        sizes: Variables that make it fit; one that is set already wins. Run by its name it has its own sizes.
        was_timed: Whether the seconds come from a run in these sizes; else they were reckoned from another.
    """

    room: str
    seconds: int
    beside: bool = False
    sizes: Mapping[str, str] = field(default_factory=dict)
    was_timed: bool = True


PLAN: dict[str, Planned] = {
    "api_read": Planned("web", 120),
    "profile_read": Planned("web", 95),
    "score_2m_skus": Planned("web", 225, sizes={"MUYUN_BENCH_REQUESTS": "20000"}),
    "order_assignment": Planned("supply", 25),
    "routing": Planned("supply", 180),
    "quality_brake": Planned("supply", 100, beside=True),
    "supplier_grades": Planned("supply", 20),
    "supervision": Planned("supply", 20, beside=True),
    "supply_watch": Planned("supply", 30),
    "event_intake": Planned("web", 20),
    "event_to_profile": Planned("web", 215, sizes={"MUYUN_TICK_MINUTES": "1"}),
    "event_to_list": Planned("web", 30),
    "release_legs": Planned("money", 15, sizes={"MUYUN_BENCH_LEGS": "30000"}),
    "ledger_throughput": Planned("money", 160, sizes={"MUYUN_BENCH_ROUNDS": "2"}),
    "reconciliation": Planned("money", 25, sizes={"MUYUN_BENCH_RECORDS": "300000"}),
    "crash_ledger": Planned("money", 65, sizes={"MUYUN_CRASH_CYCLES": "20"}),
    "lock_pairs": Planned("money", 65, beside=True, sizes={"MUYUN_BENCH_ORDERS": "1"}),
    "money_authority": Planned("money", 25, beside=True),
    "own_data": Planned("runs", 95, sizes={"MUYUN_BENCH_FOLDERS": "faults,minimal"}),
    "first_run": Planned("runs", 440),
    "rerun_cost": Planned("runs", 490, beside=True),
    "tags_default": Planned("tags", 20),
    "tags_scale": Planned("tags", 55),
    "tags_vs_peers": Planned("tags", 55),
    "point_in_time": Planned("tags", 45, beside=True, sizes={"MUYUN_BENCH_ROWS": "10000"}),
    "growth": Planned("tags", 165, beside=True, sizes={"MUYUN_BENCH_TIMES": "1,10"}),
    "spark_equal": Planned("tags", 300, beside=True, sizes={"MUYUN_BENCH_ONE_IN": "128"}, was_timed=False),
    "clv_cdnow": Planned("models", 5, beside=True),
    "next_basket_tafeng": Planned(
        "models", 115, beside=True, sizes={"MUYUN_BENCH_SEEDS": "2"}, was_timed=False
    ),
    "next_basket_complete_journey": Planned("models", 80, beside=True, sizes={"MUYUN_BENCH_CUTS": "1"}),
    "discovery_complete_journey": Planned("models", 30, beside=True),
    "session_complete_journey": Planned("models", 10, beside=True, sizes={"MUYUN_BENCH_CUTS": "1"}),
    "als_speed": Planned("models", 25, beside=True),
    "neighbours_scale": Planned("models", 5, beside=True, sizes={"MUYUN_BENCH_CONSUMERS": "60000,120000"}),
    "pricing_regret": Planned("models", 40, sizes={"MUYUN_BENCH_SEEDS": "1"}),
    "forecast_orange_juice": Planned("models", 475, beside=True, sizes={"MUYUN_BENCH_ROUNDS": "6"}),
    "default_families": Planned("models", 455, beside=True, sizes={"MUYUN_BENCH_CUTS": "1"}),
    "uplift_hillstrom": Planned("models", 25, beside=True),
    "topics_zh": Planned("growth", 50, beside=True, sizes={"MUYUN_BENCH_TEXTS": "500"}),
    # Beside another one its rates say little; in the complete run it is about what is sold twice.
    "flash_sale": Planned(
        "growth",
        30,
        beside=True,
        sizes={"MUYUN_BENCH_BUYERS": "1000", "MUYUN_BENCH_UNITS": "30", "MUYUN_BENCH_GROUPS": "20"},
    ),
    "experiment_truth": Planned("growth", 20, beside=True, sizes={"MUYUN_BENCH_RUNS": "300"}),
    "churn_complete_journey": Planned("models", 20, beside=True),
    "rebuy_complete_journey": Planned("models", 20, beside=True),
    "elasticity_orange_juice": Planned("models", 5, beside=True),
    "inventory_orange_juice": Planned("models", 115, beside=True),
    "forecast_complete_journey": Planned("models", 310, beside=True),
    "off_policy_obd": Planned("models", 5, beside=True),
    "assortment_match": Planned("supply", 50, beside=True, sizes={"MUYUN_BENCH_ONE_IN": "20"}),
    "product_match": Planned("supply", 20, beside=True),
    "journey_scale": Planned(
        "growth",
        30,
        sizes={
            "MUYUN_BENCH_CONSUMERS": "300",
            "MUYUN_BENCH_DAYS": "10",
            "MUYUN_BENCH_KILLS": "10",
            "MUYUN_BENCH_DUE": "20000",
        },
    ),
    "attribution_truth": Planned("growth", 35, beside=True),
}
"""Every benchmark, in the order in which the complete run has them; those beside each other come last."""


def planned_s(plan: Mapping[str, Planned]) -> float:
    """Wall seconds of a complete run: those that run alone, and the busier of the sides."""
    alone = sum(one.seconds for one in plan.values() if not one.beside)
    sides = [0] * SIDES
    for one in plan.values():
        if one.beside:
            sides[sides.index(min(sides))] += one.seconds
    return alone + max(sides)


def table(plan: Mapping[str, Planned]) -> str:
    """The plan in Markdown."""
    rows = ["| name | s | runs | sizes of the complete run |", "|---|---|---|---|"]
    for name, one in plan.items():
        seconds = str(one.seconds) if one.was_timed else f"{one.seconds}, reckoned"
        sizes = " ".join(f"`{key}={value}`" for key, value in one.sizes.items())
        rows.append(f"| `{name}` | {seconds} | {'beside' if one.beside else 'alone'} | {sizes} |")
    return "\n".join(rows)


def environment_of(one: Planned, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a benchmark: what is given, and the planned sizes where nothing is."""
    return {**one.sizes, **given}


def run_all(
    plan: Mapping[str, Planned], run: Callable[[str, Mapping[str, str]], int] | None = None
) -> dict[str, tuple[int, float]]:
    """Run every benchmark in a process of its own.

    Args:
        plan: What to run.
        run: Runs one by its name and environment, to its exit status; None starts a process.

    Returns:
        Exit status and wall seconds by name, in the order of the plan.
    """
    run = run or _process

    def one(name: str) -> tuple[int, float]:
        began = time.monotonic()
        status = run(name, environment_of(plan[name], os.environ))
        return status, time.monotonic() - began

    alone, beside = (
        [name for name, planned in plan.items() if planned.beside == which] for which in (False, True)
    )
    ended = {name: one(name) for name in alone}
    with ThreadPoolExecutor(SIDES) as sides:
        ended |= dict(zip(beside, sides.map(one, beside), strict=True))
    return {name: ended[name] for name in plan}


def said(plan: Mapping[str, Planned], ended: Mapping[str, tuple[int, float]], wall_s: float) -> Iterable[str]:
    """What is told at the end: who failed, who took longer than planned, and how long all took."""
    for name, (status, seconds) in ended.items():
        if status:
            yield f"{name}: ended with {status}"
        if seconds > plan[name].seconds:
            yield f"{name}: {seconds:.0f} s, planned were {plan[name].seconds}"
    yield f"{len(ended)} benchmarks in {wall_s / 60:.0f} minutes; planned are {planned_s(plan) / 60:.0f}"


def _process(name: str, environment: Mapping[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", "benchmarks", name], env=dict(environment)).returncode
