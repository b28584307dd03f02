"""The settings of grades are read from the environment, and what contradicts itself is refused at once."""

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
