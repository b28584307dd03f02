"""The complete run fits into an hour, and runs what its plan says: alone, or two at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.plan import MOST_S, PLAN, Planned, environment_of, planned_s, run_all, said, table


def test_the_complete_run_is_planned_for_an_hour_at_most() -> None:
    assert planned_s(PLAN) <= MOST_S == 3_600


def test_the_page_shows_the_plan() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "benchmarks.md").read_text()
    assert table(PLAN) in page, "write what `python -m benchmarks plan` prints into docs/benchmarks.md"


def test_what_runs_alone_is_summed_and_of_the_sides_the_busier_counts() -> None:
    plan = {
        "a": Planned("x", 10),
        "b": Planned("x", 7, beside=True),
        "c": Planned("x", 4, beside=True),
        "d": Planned("x", 5, beside=True),
    }
    assert planned_s(plan) == 10 + (4 + 5)


def test_sizes_hold_where_nobody_said_others() -> None:
    one = Planned("x", 1, sizes={"SIZE": "2", "OTHER": "3"})
    assert environment_of(one, {"SIZE": "9", "HOME": "h"}) == {"SIZE": "9", "OTHER": "3", "HOME": "h"}


def test_alone_means_alone_and_two_run_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {
        "b": Planned("x", 1, beside=True),
        "a": Planned("x", 1, sizes={"MUYUN_BENCH_TEST": "5"}),
        "c": Planned("x", 1, beside=True),
        "d": Planned("x", 1),
    }
    monkeypatch.delenv("MUYUN_BENCH_TEST", raising=False)
    met = threading.Barrier(2, timeout=10)
    running: set[str] = set()
    seen: dict[str, tuple[frozenset[str], str | None]] = {}

    def run(name: str, environment: object) -> int:
        assert isinstance(environment, dict)
        running.add(name)
        if name in {"b", "c"}:
            met.wait()  # broken, and so a failure, unless both run at once
        seen[name] = frozenset(running), environment.get("MUYUN_BENCH_TEST")
        if name in {"b", "c"}:
            met.wait()
        running.discard(name)
        return int(name == "c")

    ended = run_all(plan, run)
    assert [(name, status) for name, (status, _) in ended.items()] == [("b", 0), ("a", 0), ("c", 1), ("d", 0)]
    assert seen["a"] == ({"a"}, "5")
    assert seen["d"] == ({"d"}, None)
    assert seen["b"][0] == seen["c"][0] == {"b", "c"}


def test_who_took_longer_than_planned_or_failed_is_named() -> None:
    plan = {name: Planned("x", 60) for name in "abc"}
    lines = list(said(plan, {"a": (0, 60.0), "b": (0, 61.0), "c": (2, 5.0)}, 126.0))
    assert lines == [
        "b: 61 s, planned were 60",
        "c: ended with 2",
        "3 benchmarks in 2 minutes; planned are 3",
    ]
