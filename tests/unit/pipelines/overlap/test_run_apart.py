"""Work in a process of its own: same answer, no trace, honest errors."""

import os
import random

import pytest
import work_for_children as work

from models.errors import InsufficientDataError
from pipelines.overlap.apart import ChildDiedError, run_apart


def test_the_answer_is_that_of_the_function_and_the_parents_random_state_stays():
    random.seed(7)
    state = random.getstate()
    here = work.draw(3, 5)
    random.setstate(state)
    assert run_apart(work.draw, 3, 5) == here
    assert random.getstate() == state


def test_the_child_uses_one_thread_a_library():
    assert run_apart(work.thread_settings) == {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    assert os.environ.get("OMP_NUM_THREADS") != "1"


def test_an_error_of_the_models_arrives_as_itself():
    with pytest.raises(InsufficientDataError, match="too few weeks"):
        run_apart(work.refuse)


def test_an_error_that_cannot_travel_arrives_with_its_words():
    with pytest.raises(RuntimeError, match="OddError: 1 and 2"):
        run_apart(work.raise_odd)


def test_a_killed_child_is_an_error_and_not_an_endless_wait():
    with pytest.raises(ChildDiedError, match=r"exit code -9.*MUYUN_EXECUTOR=in_process"):
        run_apart(work.die)


def test_what_the_work_says_reaches_the_parent_in_order():
    heard: list[str] = []
    assert run_apart(work.speak, stage=heard.append) == "done"
    assert heard == ["1 of 2", "2 of 2"]
