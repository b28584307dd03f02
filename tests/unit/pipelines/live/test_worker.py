"""The resident worker: on time, told of every tick, alive after a failure, stopped by a signal."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from pipelines.live.worker import seconds_to_next


@pytest.mark.parametrize(("now_s", "wait_s"), [(0.0, 300.0), (1.0, 299.0), (299.5, 0.5), (300.0, 300.0)])
def test_a_tick_begins_at_whole_multiples_of_its_length(now_s: float, wait_s: float) -> None:
    assert seconds_to_next(now_s, 300.0) == wait_s


def test_it_outlives_a_tick_that_fails_and_ends_on_sigterm() -> None:
    code = """
        from pipelines.live.worker import work
        count = 0
        def tick():
            global count
            count += 1
            if count == 1:
                raise RuntimeError("the first one fails")
            return count
        work(tick, lambda told: print(repr(told), flush=True), every_s=0.2)
        print("stopped", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    rest = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert time.monotonic() - began < 5
    assert lines == ["RuntimeError('the first one fails')", "2", "3"]
    assert rest[-1] == "stopped"
