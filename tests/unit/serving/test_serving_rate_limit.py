from hypothesis import given
from hypothesis import strategies as st

from serving.rate_limit import RateLimiter


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


def test_the_oldest_names_are_forgotten():
    limiter = RateLimiter(most_names=2, clock=Clock())
    for name in ("a", "b", "c"):
        assert limiter.take(name, rate_per_s=1.0, burst=1) == 0.0
    assert limiter.take("c", rate_per_s=1.0, burst=1) > 0
    assert limiter.take("a", rate_per_s=1.0, burst=1) == 0.0


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
