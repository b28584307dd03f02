"""The plan: what is known at once, how long it will take, from the size or from the last run."""

import json
import subprocess
import sys

import pytest

from pipelines.console import progress
from pipelines.run import plan
from pipelines.run.expected import PANEL_ROWS, all_steps, last_seconds, run_seconds, step_seconds
from pipelines.settings import REPOSITORY, Settings


@pytest.fixture(autouse=True)
def fresh_progress(monkeypatch):
    monkeypatch.setattr(progress, "CURRENT", progress.Progress())


def settings_of(home, data=None, lang="en", **more):
    return Settings(home=home, data=data, lang=lang, **more)


def test_a_folder_is_measured_without_reading_it(tmp_path):
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "a.csv").write_bytes(b"x" * 4000)
    (tmp_path / "products.csv").write_bytes(b"x" * 400)
    assert plan.size_of(tmp_path) == plan.Size(2, 4400, 110)
    assert plan.size_of(None).rows == PANEL_ROWS
    assert plan.size_of(tmp_path / "missing") == plan.Size(0, 0, 0)


def test_the_plan_names_source_home_steps_and_time(tmp_path, capsys):
    plan.announce_plan(settings_of(tmp_path / "var"))
    said = capsys.readouterr().err
    assert "26,900,000 rows" in said
    assert str(tmp_path / "var") in said
    assert "24 tables" in said.replace(f"{plan._tables()} tables", "24 tables")
    assert "guessed from the size" in said
    assert progress.CURRENT.seconds_left() > 60


def test_the_plan_is_chinese_where_asked(tmp_path, capsys):
    plan.announce_plan(settings_of(tmp_path / "var", lang="zh"))
    said = capsys.readouterr().err
    assert "内置零售面板" in said
    assert "步骤" in said
    assert "source" not in said


def test_the_last_run_of_the_home_decides_when_there_is_one(tmp_path, capsys):
    runs = tmp_path / "var" / "runs"
    runs.mkdir(parents=True)
    lines = [{"name": "models/demand/forecasters", "wall_s": 7.0}, {"name": "raw/orders", "wall_s": 3.0}]
    (runs / "1.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + '\n{"name": "torn')
    assert last_seconds(runs) == {"models/demand/forecasters": 7.0, "raw/orders": 3.0}
    plan.announce_plan(settings_of(tmp_path / "var"))
    assert progress.CURRENT.expected["models/demand/forecasters"] == 7.0
    assert "last run" in capsys.readouterr().err


def test_a_small_folder_takes_less_than_the_panel_and_more_than_nothing():
    small, panel = (run_seconds(all_steps(), size, {}) for size in (0.001, 1.0))
    assert 10 < small < panel / 2
    assert 60 < panel < 300


def test_steps_that_nobody_measured_have_a_small_cost():
    assert 0 < step_seconds("raw__something_new") < 1
    assert step_seconds("raw__products_feed_is_plausible") < 1


def test_the_plan_is_said_before_anything_slow_is_imported(tmp_path):
    """Dagster and dbt take seconds to import; the plan comes first."""
    code = (
        "import sys; from pipelines import cli, run; from pipelines.console import ui; "
        "from pipelines.run import plan; "
        "from pipelines.settings import Settings; "
        f"plan.announce_plan(Settings(home={str(tmp_path)!r}, data=None)); "
        "print([name for name in ('dagster', 'dbt', 'mlflow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert "26,900,000" in done.stderr
