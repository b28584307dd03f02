"""What a person reads when a run has ended: failures first, then what came out and where it lies."""

from __future__ import annotations

import errno
import os
from typing import Any

from pipelines.run.graph import GraphRun
from pipelines.settings import Settings


def print_summary(settings: Settings, summary: dict[str, Any], graph: GraphRun) -> None:
    """Print the closing screen of a run to standard out."""
    print()
    for error in dict.fromkeys(graph.failed.values()):
        steps = ", ".join(step for step, other in graph.failed.items() if other == error)
        print(f"FAILED {steps}: {error}")
    if any(os.strerror(errno.ENOSPC) in error for error in graph.failed.values()):
        print("the disk is full: free space or set MUYUN_HOME to a larger disk, then run it again")
    for check in graph.failed_checks:
        print(f"CHECK NOT PASSED {check}")
    received = sum(table["received"] for table in summary["tables"])
    quarantined = sum(table["quarantined"] for table in summary["tables"])
    print(f"rows received {received:,}, quarantined {quarantined:,}")
    replayed, day = summary["settlement"]["replay"], summary["settlement"]["settlement_day"]
    if replayed:
        print(
            f"replayed {replayed['orders']:,} orders, {replayed['legs']:,} shares, "
            f"{replayed['refunds']:,} refunds, {replayed['payouts']:,} transfers; "
            f"invariants broken: {len(day.get('violations', []))}"
        )
    for model in summary["models"]:
        verdict = "serves" if model["promoted"] else "refused, the simple rule serves"
        print(
            f"{model['name']:<28} {model['metric']} {model['value']:.4f} "
            f"(best rule {model['baseline']} {model['baseline_value']:.4f}): {verdict}"
        )
    for table in summary["published"]:
        print(f"published {table['name']:<24} {table['rows']:>9,} rows  {table['version']}")
    if summary["pinned"]:
        print(f"PINNED readers stay on {summary['pinned']} after a rollback; `make release` ends it")
    for answer in summary["api"]:
        print(f"{answer['status']} {answer['ms']:6.1f} ms  {answer['request']}")
    print(f"\n{summary['wall_s']:.0f} s, peak memory {summary['peak_rss_mb'] / 1024:.1f} GB")
    if not graph.failed:
        print(f"report      {settings.report_file}")
    print(f"summary     {settings.summary_file}")
    print(f"warehouse   {settings.warehouse_file}")
    print("all of it   make ui   (Dagster, MLflow, API and dbt docs)")
