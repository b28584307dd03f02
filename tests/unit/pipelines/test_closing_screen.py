"""The closing screen in both languages: the same figures, what failed, what to do next."""

import re

import pytest

from pipelines.run import screen
from pipelines.run.problems import Problem
from pipelines.settings import Settings

SUMMARY = {
    "tables": [{"received": 1200, "quarantined": 34}],
    "settlement": {
        "replay": {"orders": 5, "legs": 60, "refunds": 7, "payouts": 8},
        "settlement_day": {"violations": []},
    },
    "models": [
        {"name": "demand_lstm", "metric": "wape", "value": 0.5, "baseline": "naive", "baseline_value": 0.6}
        | {"promoted": promoted}
        for promoted in (True, False)
    ],
    "published": [{"name": "prices", "rows": 99, "version": "v1"}],
    "pinned": None,
    "api": [],
    "wall_s": 61.0,
    "peak_rss_mb": 2048.0,
}


class Ended:
    """What the graph did."""

    def __init__(self, problems=()):
        self.problems = list(problems)
        self.failed = {problem.where: problem.what for problem in problems}
        self.failed_checks = []


def shown(home, lang, capsys, graph):
    settings = Settings(home=home, data=None, lang=lang, dagster_port=4321)
    screen.print_summary(settings, SUMMARY, graph)
    return capsys.readouterr().out


def test_the_end_of_a_good_run(tmp_path, capsys):
    said = shown(tmp_path, "en", capsys, Ended())
    assert "rows received 1,200, quarantined 34" in said
    assert "(best rule naive 0.6000): serves" in said
    assert "refused, the simple rule serves" in said
    assert "make ui" in said
    assert "http://127.0.0.1:4321" in said
    assert "/v1/docs" in said


def test_the_end_of_a_good_run_in_chinese(tmp_path, capsys):
    said = shown(tmp_path, "zh", capsys, Ended())
    assert "接收 1,200 行，隔离 34 行" in said
    assert "最佳规则 naive 0.6000" in said
    assert "http://127.0.0.1:4321" in said
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+ [a-z]+", said)


@pytest.mark.parametrize(
    ("lang", "what", "remedy"),
    [
        (
            "en",
            "NOT DONE  training demand failed   [models__demand]",
            "what to do: repair what the check names",
        ),
        ("zh", "未完成  训练 demand 失败   [models__demand]", "怎么办：请修复检查所指出的问题后重新运行"),
    ],
)
def test_the_end_of_a_run_that_failed(tmp_path, capsys, monkeypatch, lang, what, remedy):
    monkeypatch.setattr(screen, "still_served", lambda _: "v0")
    problem = Problem(
        "training demand failed", "models__demand", ("line 7",), "repair what the check names and run again"
    )
    said = shown(tmp_path, lang, capsys, Ended([problem]))
    assert what in said
    assert remedy in said
    assert "  line 7" in said
    assert "v0" in said
