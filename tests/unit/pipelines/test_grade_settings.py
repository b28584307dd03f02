"""Settings of grades: read from the environment, refused where they contradict themselves, told alike."""

import json
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from models.supply.grading.config import GradingConfig
from pipelines.settings import Settings


def test_without_settings_grades_are_as_documented(tmp_path):
    assert Settings(home=tmp_path).grading == GradingConfig()


def test_weights_lines_and_half_life_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MUYUN_GRADE_WEIGHTS", '{"quality": 0.5, "fulfilment": 0.5, "price": 0}')
    monkeypatch.setenv("MUYUN_GRADE_LINES", "[0.9, 0.8, 0.7]")
    monkeypatch.setenv("MUYUN_GRADE_HALF_LIFE_DAYS", "30")
    config = Settings(home=tmp_path).grading
    assert (config.weights["price"], config.lines, config.half_life_days) == (0, (0.9, 0.8, 0.7), 30)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MUYUN_GRADE_WEIGHTS", '{"quality": 0.5, "fulfilment": 0.4, "price": 0.2}', "sum to 1"),
        ("MUYUN_GRADE_WEIGHTS", '{"quality": 1.0}', "sum to 1"),
        ("MUYUN_GRADE_LINES", "[0.5, 0.6, 0.4]", "must fall"),
        ("MUYUN_GRADE_HALF_LIFE_DAYS", "0", "greater than 0"),
    ],
)
def test_impossible_settings_are_refused_when_they_are_read(tmp_path, monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=says):
        Settings(home=tmp_path)


def test_settings_are_told_alike_by_every_process(tmp_path):
    """Whether a run stands is told by them: a set must not change its order with the process."""
    code = (
        "import json, pathlib; from pipelines.settings import Settings;"
        f"print(json.dumps(Settings(home=pathlib.Path({str(tmp_path)!r})).model_dump(mode='json')))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert json.loads(told[0])["safety_reasons"]
