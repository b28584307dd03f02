"""Progress lines: elapsed, time to go, signs of life, in the chosen language."""

import re

import pytest

from pipelines.console.progress import SILENCE_S, START, Progress
from pipelines.messages import Texts


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def made(clock, expected, language="en"):
    lines = []
    progress = Progress(
        words=Texts(language).group("progress"),
        expected=dict(expected),
        overlap=2.0,
        write=lines.append,
        clock=clock,
        started=clock(),
    )
    progress._last = clock()
    return progress, lines


def test_one_line_a_step_with_rows_and_time_to_go(clock):
    progress, lines = made(clock, {"raw/orders": 4.0, "models/demand": 200.0})
    progress.begin("raw/orders")
    assert lines == []
    clock.now += 4
    progress.end("raw/orders", 1234, "4.0 s")
    assert len(lines) == 1
    assert lines[0].endswith("about 1 min 40 s to go] raw/orders: 1,234 rows, 4.0 s\n")


def test_time_to_go_shrinks_while_a_step_works_and_never_below_a_second(clock):
    progress, _ = made(clock, {"slow": 60.0})
    assert progress.seconds_left() == 30
    progress.begin("slow")
    clock.now += 20
    assert progress.seconds_left() == 20
    clock.now += 1000
    assert progress.seconds_left() == 0.5
    progress.end("slow", None, "")
    assert progress.seconds_left() == 0


def test_a_slow_machine_stretches_what_is_left(clock):
    progress, _ = made(clock, {"first": 10.0, "second": 10.0})
    progress.begin("first")
    clock.now += 30
    progress.end("first", None, "")
    assert progress.seconds_left() == 15


def test_without_a_plan_no_time_is_promised(clock):
    progress, lines = made(clock, {})
    progress.end("raw/orders", None, "unchanged")
    assert progress.seconds_left() is None
    assert re.fullmatch(r"\[ *[\d.]+s\] raw/orders: unchanged\n", lines[0])


def test_silence_is_broken_by_what_is_at_work_and_what_it_said(clock):
    progress, lines = made(clock, {})
    progress.begin("models/demand")
    progress.begin("warehouse/dbt_build")
    progress.stage("warehouse/dbt_build", "31 / 71")
    clock.now += SILENCE_S - 1
    progress.sign_of_life()
    assert lines == []
    clock.now += 2
    progress.sign_of_life()
    assert lines[0].endswith("still at work: models/demand (9 s); warehouse/dbt_build (31 / 71, 9 s)\n")
    clock.now += 1
    progress.sign_of_life()
    assert len(lines) == 1


def test_a_log_may_tell_the_beginning_too(clock):
    progress, lines = made(clock, {})
    progress.says_begins = True
    progress.begin("raw/orders")
    progress.begin(START)  # no step
    assert [line.split("] ")[1] for line in lines] == ["raw/orders ...\n"]


def test_nothing_is_said_when_nothing_works(clock):
    progress, lines = made(clock, {})
    progress.begin("a")
    progress.drop("a")
    clock.now += 100
    progress.sign_of_life()
    assert lines == []


def test_the_lines_are_chinese_where_asked(clock):
    progress, lines = made(clock, {"raw/orders": 1.0, "b": 250.0}, "zh")
    progress.end("raw/orders", 1234, "4.0 s")
    assert "还需约 2 分 05 秒" in lines[0]
    assert "1,234 行" in lines[0]
