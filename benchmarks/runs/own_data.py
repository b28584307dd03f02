"""Own data: from a user's folder to her first report, with the right revenue and the right number of orders.

Every folder of `feeds_that_fail` and the wholesaler's year. A folder is run as a user runs it, `muyun run`
in a fresh home; those named one_fault_* go through the file adapter alone, as their README says. What is
right is counted apart (`own_counts`) or written down by hand (`own_faults`). MUYUN_BENCH_FOLDERS=a,b tries
some only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from benchmarks.harness import report
from benchmarks.runs.own_counts import (
    CONTRACT_RULE,
    WHOLESALE_RULE,
    Counted,
    count_contract_folder,
    count_wholesale,
)
from benchmarks.runs.own_faults import RIGHT, try_fault
from benchmarks.runs.own_result import Result, rows_of

GRAPH_FOLDERS = ("minimal", "by_weight", "shop_floor", "nonbuyers", "status", "epoch", "nul", "huge")
WHOLESALE = "online_retail"
FAULTS = "faults"
"""Stands for every folder with one fault among those that are asked for."""
_WHOLESALE_NOW = "2011-12-10T00:00:00Z"
_MAPPING = Path(__file__).parent / "online_retail" / "muyun.yaml"
_TRACE = "Traceback (most recent call last)"


def main() -> int:
    """Runs the benchmark; 1 when the data are missing or something is not right."""
    data = Path(os.environ.get("MUYUN_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
    feeds = data / "feeds_that_fail"
    if not feeds.is_dir():
        print(f"own_data: no data in {data}; set MUYUN_BENCH_DATA to the folder that holds feeds_that_fail")
        return 1
    wanted = set(filter(None, os.environ.get("MUYUN_BENCH_FOLDERS", "").split(",")))
    started = time.monotonic()
    results = [
        try_fault(feeds / name, right)
        for name, right in RIGHT.items()
        if not wanted or {name, FAULTS} & wanted
    ]
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    results += [
        _run(feeds / name, count_contract_folder(feeds / name, now), CONTRACT_RULE)
        for name in GRAPH_FOLDERS
        if not wanted or name in wanted
    ]
    if not wanted or WHOLESALE in wanted:
        results += _wholesale(data / WHOLESALE / "online_retail.csv.gz")
    for result in results:
        if not result.is_right:
            print(f"NOT RIGHT {result}", file=sys.stderr)
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="own_data",
        protocol=(
            "Each folder in a fresh home by `muyun run` in a process of its own, one_fault_* folders through "
            f"the adapter alone. Contract folders: {CONTRACT_RULE} Wholesaler: {WHOLESALE_RULE} One fault: "
            + "; ".join(f"{name}: {right.says}" for name, right in RIGHT.items())
        ),
        rows=rows_of(results),
        wall_s=time.monotonic() - started,
    )
    return 0 if all(result.is_right for result in results) else 1


def _wholesale(export: Path) -> list[Result]:
    if not export.is_file():
        print(f"own_data: {export} is missing, the wholesaler's year is left out", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="muyun-own-") as temporary:
        folder = Path(temporary) / WHOLESALE
        folder.mkdir()
        (folder / export.name).symlink_to(export.resolve())
        (folder / _MAPPING.name).write_text(_MAPPING.read_text())
        return [_run(folder, count_wholesale(export), WHOLESALE_RULE, {"MUYUN_AS_OF": _WHOLESALE_NOW})]


def _run(folder: Path, right: Counted, rule: str, settings: dict[str, str] | None = None) -> Result:
    """A first run on a folder, in a fresh home and a process of its own."""
    with tempfile.TemporaryDirectory(prefix="muyun-own-home-") as temporary:
        home = Path(temporary) / "home"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MUYUN_")}
        environment |= {"MUYUN_HOME": str(home), "MUYUN_DATA": str(folder)} | (settings or {})
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "run"], env=environment, capture_output=True, text=True
        )
        seconds = time.monotonic() - started
        output = done.stdout + done.stderr
        print(f"{folder.name}: {seconds:.0f} s, exit status {done.returncode}", file=sys.stderr)
        if done.returncode or not (home / "report" / "index.html").is_file():
            print(output[-4000:], file=sys.stderr)
        tables = _tables(home)
        revenue, orders = _sales(home)
    unread = [name for name, rows in right.rows.items() if rows and not tables.get(name, (0, 0))[0]]
    return Result(
        folder=folder.name,
        seconds=seconds,
        rows_lost=sum(abs(rows - tables.get(name, (0, 0))[0]) for name, rows in right.rows.items())
        + sum(abs(received - kept) for received, kept in tables.values()),
        revenue_error=distance(revenue, right.revenue),
        orders_error=distance(orders, right.orders),
        silent_skips=len(unread),
        untyped_errors=output.count(_TRACE) + (done.returncode not in (0, 1)),
        remark=rule if not done.returncode else output[-300:],
    )


def distance(found: tuple[int, ...], right: int) -> int:
    """The largest distance from what is right; all of it where nothing was found."""
    return max((abs(one - right) for one in found), default=right)


def _tables(home: Path) -> dict[str, tuple[int, int]]:
    """Rows received, and accepted or quarantined, of each table."""
    summary = home / "run_summary.json"
    if not summary.is_file():
        return {}
    tables = json.loads(summary.read_text())["tables"]
    return {one["name"]: (one["received"], one["accepted"] + one["quarantined"]) for one in tables}


def _sales(home: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Revenue and orders as the core and as the daily mart tell them; empty without a warehouse."""
    file = home / "warehouse" / "muyun.duckdb"
    if not file.is_file():
        return (), ()
    with duckdb.connect(str(file), read_only=True) as connection:
        core = connection.sql(
            "select sum(net_sales_cents), count(*) filter (is_sale) from core.fct_orders where is_counted"
        ).fetchone()
        mart = connection.sql(
            "select sum(net_paid_cents), sum(orders) from analyst.mart_sales_daily"
        ).fetchone()
    pairs = [tuple(int(value or 0) for value in pair or (0, 0)) for pair in (core, mart)]
    return (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
