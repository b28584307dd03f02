"""What a person reads when a run has ended: failures first, then what came out and where it lies."""

from __future__ import annotations

from typing import Any

from pipelines.intake import CAUSES_SHOWN, cause_lines, causes_of
from pipelines.lake import Lake
from pipelines.run.graph import GraphRun
from pipelines.run.problems import Problem
from pipelines.run.served import still_served
from pipelines.settings import Settings


def print_problems(settings: Settings, graph: GraphRun) -> None:
    """Print the one screen of a run that did not finish: what failed, why, what to do, what still serves."""
    print()
    for problem in graph.problems:
        print_problem(problem)
    print(f"still served  {still_served(settings)}")
    print(f"summary       {settings.summary_file}")


def print_problem(problem: Problem) -> None:
    """Print one problem: what, its details, what to do."""
    print(f"NOT DONE  {problem.what}   [{problem.where}]")
    for line in problem.details:
        print(f"  {line}")
    print(f"  what to do: {problem.remedy}")
    print()


def print_summary(settings: Settings, summary: dict[str, Any], graph: GraphRun) -> None:
    """Print the closing screen of a run to standard out."""
    if graph.failed or graph.failed_checks:
        print_problems(settings, graph)
        return
    print()
    received = sum(table["received"] for table in summary["tables"])
    quarantined = sum(table["quarantined"] for table in summary["tables"])
    print(f"rows received {received:,}, quarantined {quarantined:,}")
    for line in cause_lines(causes_of(Lake(settings.lake_dir)), CAUSES_SHOWN):
        print(f"  {line}")
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
    print(f"report      {settings.report_file}")
    print(f"summary     {settings.summary_file}")
    print(f"warehouse   {settings.warehouse_file}")
    print("all of it   make ui   (Dagster, MLflow, API and dbt docs)")
