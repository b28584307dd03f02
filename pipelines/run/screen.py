"""What a person reads when a run has ended: failures first, then what came out and where it lies."""

from __future__ import annotations

from typing import Any

from pipelines.intake.share import CAUSES_SHOWN, cause_lines, causes_of
from pipelines.lake.tables import Lake
from pipelines.messages import Texts
from pipelines.messages.errors import in_words
from pipelines.run.graph import GraphRun
from pipelines.run.problems import Problem
from pipelines.run.served import still_served
from pipelines.settings import Settings
from serving.settings import Settings as ServingSettings


def print_problems(settings: Settings, graph: GraphRun) -> None:
    """Print the one screen of a run that did not finish: what failed, why, what to do, what still serves."""
    text = Texts(settings.lang)
    print()
    for problem in graph.problems:
        print_problem(problem, text)
    print(text("end.still_served", what=still_served(settings)))
    print(text("end.failed_summary", file=settings.summary_file))


def print_problem(problem: Problem, text: Texts) -> None:
    """Print one problem: what, its details, what to do."""
    what, remedy = (in_words(words, text.language) for words in (problem.what, problem.remedy))
    print(text("end.not_done", what=what.strip(), where=problem.where))
    for line in problem.details:
        print(f"  {in_words(line, text.language)}")
    print(f"  {text('end.what_to_do', remedy=remedy)}")
    print()


def print_summary(settings: Settings, summary: dict[str, Any], graph: GraphRun) -> None:
    """Print the closing screen of a run to standard out."""
    if graph.failed or graph.failed_checks:
        print_problems(settings, graph)
        return
    text = Texts(settings.lang)
    print()
    _print_account(settings, summary, text)
    print()
    print(text("end.cost", wall=summary["wall_s"], memory=summary["peak_rss_mb"] / 1024))
    _print_places(settings, text)


def print_standing(settings: Settings, summary: dict[str, Any]) -> None:
    """Print the same screen of the last whole run, of which everything still stands."""
    text = Texts(settings.lang)
    print()
    print(text("end.nothing_new", since=summary["stands_since"][:16].replace("T", " ")))
    _print_account(settings, summary, text)
    _print_places(settings, text)


def _print_account(settings: Settings, summary: dict[str, Any], text: Texts) -> None:
    received = sum(table["received"] for table in summary["tables"])
    quarantined = sum(table["quarantined"] for table in summary["tables"])
    print(text("end.rows", received=received, quarantined=quarantined))
    for line in cause_lines(causes_of(Lake(settings.lake_dir)), CAUSES_SHOWN):
        print(f"  {line}")
    replayed, day = summary["settlement"]["replay"], summary["settlement"]["settlement_day"]
    if replayed:
        figures = {name: replayed[name] for name in ("orders", "legs", "refunds", "payouts")}
        print(text("end.replayed", **figures, broken=len(day.get("violations", []))))
    for model in summary["models"]:
        verdict = text("end.serves" if model["promoted"] else "end.refused")
        rule = text("end.best_rule", name=model["baseline"], value=model["baseline_value"])
        print(f"{model['name']:<28} {model['metric']} {model['value']:.4f} ({rule}): {verdict}")
    for training in summary.get("trainings", ()):
        day = training["due_on"] or "-"
        print(text("end.trained", **training | {"at": training["at"][:10], "due_on": day}))
    for table in summary["published"]:
        print(text("end.published", name=table["name"], rows=table["rows"], version=table["version"]))
    if summary["pinned"]:
        print(text("end.pinned", version=summary["pinned"]))
    for answer in summary["api"]:
        print(f"{answer['status']} {answer['ms']:6.1f} ms  {answer['request']}")


def _print_places(settings: Settings, text: Texts) -> None:
    print(text("end.report", file=settings.report_file))
    print(text("end.summary", file=settings.summary_file))
    print(text("end.warehouse", file=settings.warehouse_file))
    print(text("end.next"))
    print(text("end.addresses", dagster=settings.dagster_port, api=ServingSettings().api_port))
