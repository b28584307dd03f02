import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from serving.rate_limit import WAYS, RateLimiter


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_then_the_rate():
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    assert [limiter.take("k", rate_per_s=2.0, burst=3) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now = 0.25
    assert limiter.take("k", rate_per_s=2.0, burst=3) == 0.25
    clock.now = 0.5
    assert limiter.take("k", rate_per_s=2.0, burst=3) == 0.0
    assert limiter.take("other", rate_per_s=2.0, burst=3) == 0.0


def test_a_long_rest_fills_no_more_than_the_burst():
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    limiter.take("k", rate_per_s=1.0, burst=2)
    clock.now = 1e6
    assert [limiter.take("k", rate_per_s=1.0, burst=2) > 0 for _ in range(3)] == [False, False, True]


def test_the_least_recently_used_names_are_forgotten():
    clock = Clock()
    limiter = RateLimiter(most_names=WAYS, clock=clock)
    for number in range(WAYS + 1):
        clock.now += 0.01
        assert limiter.take(f"n{number}", rate_per_s=0.001, burst=1) == 0.0
    assert limiter.take(f"n{WAYS}", rate_per_s=0.001, burst=1) > 0
    assert limiter.take("n1", rate_per_s=0.001, burst=1) > 0
    assert limiter.take("n0", rate_per_s=0.001, burst=1) == 0.0


def test_what_is_given_back_may_be_taken_again():
    limiter = RateLimiter(clock=Clock())
    for _ in range(3):
        assert limiter.take("k", rate_per_s=1.0, burst=1) == 0.0
        limiter.give_back("k")
    limiter.give_back("nobody")
    assert limiter.take("k", rate_per_s=1.0, burst=1) == 0.0
    assert limiter.take("k", rate_per_s=1.0, burst=1) > 0


def test_processes_share_a_file(tmp_path):
    """Four processes take as fast as they can; together they get the burst and not one more."""
    script = (
        "import sys; from pathlib import Path; from serving.rate_limit import RateLimiter;"
        "one = RateLimiter(Path(sys.argv[1]));"
        "print(sum(one.take('k', rate_per_s=1e-6, burst=500) == 0.0 for _ in range(400)))"
    )
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "limits")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert sum(int(taker.communicate()[0]) for taker in takers) == 500


def test_a_file_of_before_the_machine_started_begins_full(tmp_path):
    late, early = Clock(), Clock()
    late.now = 1e6
    RateLimiter(tmp_path / "limits", clock=late).take("k", rate_per_s=1.0, burst=1)
    assert RateLimiter(tmp_path / "limits", clock=early).take("k", rate_per_s=1.0, burst=1) == 0.0


@given(
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 20),
)
def test_never_more_than_burst_plus_rate_times_time(gaps, rate, burst):
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    let_through = 0
    for gap in gaps:
        clock.now += gap
        let_through += limiter.take("k", rate_per_s=rate, burst=burst) == 0.0
        assert let_through <= burst + rate * clock.now + 1e-6
