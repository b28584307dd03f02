"""Growth value against loops that share no code with it, on generated facts; and by hand."""

import datetime as dt
import random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from models.members.growth import ACTED, SPENT, Earning, Worth, growth_of

DAY = dt.date(2026, 11, 1)
KINDS = ("visit", "review", "referral", "unknown")
days = st.integers(-40, 5).map(lambda n: DAY + dt.timedelta(days=n))
people = st.sampled_from(["a", "b", "c"])
spends = st.lists(st.tuples(people, days, st.integers(-50_000, 90_000)), max_size=30)
acts = st.lists(st.tuples(people, days, st.sampled_from(KINDS), st.integers(1, 9)), max_size=40)
earnings = st.builds(
    Earning,
    st.integers(1, 30),
    st.integers(1, 7),
    st.dictionaries(
        st.sampled_from(KINDS[:3]), st.builds(Worth, st.integers(1, 50), st.integers(1, 5)), max_size=3
    ),
)


def frames(spent, acted):
    return (
        pl.DataFrame(spent, schema=dict(SPENT), orient="row"),
        pl.DataFrame(acted, schema=dict(ACTED), orient="row"),
    )


def oracle(spent, acted, earning, today):
    """One event after the other, with counters by day."""
    found = {}
    for who in sorted({row[0] for row in (*spent, *acted)}):
        cents, value, in_window = 0, 0, False
        for ago in range(earning.window_days):
            day = today - dt.timedelta(days=ago)
            for other, when, amount in spent:
                if (other, when) == (who, day):
                    cents, in_window = cents + amount, True
            for kind, worth in earning.acts.items():
                times = sum(n for other, when, what, n in acted if (other, when, what) == (who, day, kind))
                for _ in range(times):
                    in_window = True
                value += sum(worth.growth for _ in range(times) if _ < worth.per_day)
        if in_window:
            found[who] = (cents * earning.per_unit - cents * earning.per_unit % 100) // 100 * (cents > 0)
            found[who] += value
    return found


@given(spends, acts, earnings, st.randoms(use_true_random=False))
def test_it_is_what_the_loops_say_in_whatever_order_events_come(spent, acted, earning, rng):
    made = growth_of(*frames(spent, acted), earning, DAY)
    assert made == oracle(spent, acted, earning, DAY)
    rng.shuffle(spent)
    rng.shuffle(acted)
    assert growth_of(*frames(spent, acted), earning, DAY) == made


def test_by_hand():
    earning = Earning(365, 2, {"visit": Worth(1, 1), "review": Worth(5, 2)})
    spent = [
        ("a", DAY, 1_999),
        ("a", DAY - dt.timedelta(days=364), 51),
        ("a", DAY - dt.timedelta(days=365), 9_900),
    ]
    acted = [("a", DAY, "visit", 7), ("a", DAY, "review", 3), ("b", DAY, "referral", 3)]
    # 20.50 of spend make 41; a visit and two reviews make 11; the day before the window counts no more.
    assert growth_of(*frames(spent, acted), earning, DAY) == {"a": 52}


def test_a_refund_takes_back_what_its_order_gave_and_no_act():
    earning = Earning(30, 1, {"visit": Worth(3, 1)})
    acted = [("a", DAY, "visit", 1)]
    before = growth_of(*frames([("a", DAY, 60_000)], acted), earning, DAY)
    after = growth_of(*frames([("a", DAY, 60_000), ("a", DAY, -60_000)], acted), earning, DAY)
    below = growth_of(*frames([("a", DAY, -100)], acted), earning, DAY)
    assert (before, after, below) == ({"a": 603}, {"a": 3}, {"a": 3})


def test_large_sums_are_exact():
    rng = random.Random(7)
    spent = [("a", DAY, rng.randrange(1, 10**9)) for _ in range(2_000)]
    made = growth_of(*frames(spent, []), Earning(1, 1, {}), DAY)
    assert made == {"a": sum(cents for _, _, cents in spent) // 100}
