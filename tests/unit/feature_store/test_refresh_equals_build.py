"""A state that was refreshed tick by tick equals one that is built at the same moment, to the bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ticking_shop import Shop

from feature_store.contracts import RefreshClass

LIVE = [[RefreshClass.QUARTER_HOUR], [RefreshClass.HOUR]]
ALL = [frozenset(RefreshClass)]


def ticks(start: datetime, count: int, rng: random.Random) -> Iterator[datetime]:
    """Quarter hours, some skipped, and one outage of a day."""
    now, outage = start, rng.randrange(count)
    for number in range(count):
        now += timedelta(minutes=15 * rng.choice([1, 1, 1, 1, 2, 3]))
        if number == outage:
            now += timedelta(hours=24)
        yield now


STARTS = [
    datetime(2017, 11, 4, 22, 0, tzinfo=UTC),  # New York sets its clocks back in the night
    datetime(2017, 3, 11, 23, 0, tzinfo=UTC),  # and forward in this one
    datetime(2017, 12, 31, 2, 0, tzinfo=UTC),  # a month and a year end
    datetime(2016, 2, 28, 20, 0, tzinfo=UTC),
]


many_days = given(
    st.integers(0, 10_000),
    st.sampled_from(STARTS),
    st.sampled_from(["America/New_York", "Asia/Shanghai", "Etc/GMT+5"]),
)


def examples(count: int) -> settings:
    """An example is minutes of work: shrinking one would take hours."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def check(shop: Shop, count: int, every: int) -> None:
    """Ticks, with the state compared to a build after every so many and after the last."""
    for number, until in enumerate(ticks(shop.now, count, shop.rng), start=1):
        for done in shop.tick(until):
            assert done.changed <= done.recomputed <= done.dirty
        if number % every == 0 or number == count:
            assert shop.differences() == {}


def test_a_day_with_a_change_of_the_clocks_equals_a_build() -> None:
    check(Shop(7, STARTS[0], "America/New_York", LIVE), count=10, every=5)


@pytest.mark.slow
@examples(8)
@many_days
def test_live_classes_equal_a_build_after_96_ticks(seed: int, start: datetime, zone: str) -> None:
    check(Shop(seed, start, zone, LIVE), count=96, every=8)


@pytest.mark.slow
@examples(4)
@many_days
def test_all_that_compare_nobody_equal_a_build_after_96_ticks(seed: int, start: datetime, zone: str) -> None:
    check(Shop(seed, start, zone, ALL), count=96, every=12)
