from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.regions import Observations, assess, hold_ends_at
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import RegionRule

RULE = load_shipped().only(RegionRule)


def test_nothing_seen_scores_nothing():
    found = assess(Observations(), RULE)
    assert (found.score, found.is_held, found.contributions, found.reason_code) == (0, False, (), "")


def test_a_score_by_hand():
    # 8 of 10 scans elsewhere: 8000 x 4000 / 10000 = 3200; 6 of 12 orders: 5000 x 2500 / 10000 = 1250;
    # 1 of 4 listings: 2500 x 2000 / 10000 = 500; 2 of 3 sales: 6666 x 1500 / 10000 = 999.
    found = assess(
        Observations(
            scans=10,
            scans_elsewhere=8,
            orders=12,
            orders_to_top_address=6,
            listings=4,
            listings_below_floor=1,
            protected_zone_sales=2,
        ),
        RULE,
    )
    assert [(part.reason_code, part.points) for part in found.contributions] == [
        ("scan_city_mismatch", 3_200),
        ("bulk_one_address", 1_250),
        ("protected_zone_repeat", 999),
        ("sub_floor_listing", 500),
    ]
    assert (found.score, found.is_held) == (5_949, False)


def test_a_hold_names_its_reasons_strongest_first():
    found = assess(Observations(scans=5, scans_elsewhere=5, orders=5, orders_to_top_address=5), RULE)
    assert (found.score, found.is_held) == (6_500, True)
    assert found.reason_code == "scan_city_mismatch+bulk_one_address"


@pytest.mark.parametrize(
    "small",
    [
        Observations(scans=4, scans_elsewhere=4),
        Observations(orders=4, orders_to_top_address=4),
        Observations(protected_zone_sales=1),
    ],
)
def test_small_samples_say_nothing(small):
    assert assess(small, RULE).score == 0


@pytest.mark.parametrize(
    "impossible",
    [
        Observations(scans=1, scans_elsewhere=2),
        Observations(orders=-1, orders_to_top_address=-1),
        Observations(protected_zone_sales=-1),
    ],
)
def test_impossible_counts_are_refused(impossible):
    with pytest.raises(ValueError, match="cannot be"):
        assess(impossible, RULE)


_parts = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (max(pair), min(pair)))


@given(_parts, _parts, _parts, st.integers(0, 9))
def test_a_score_is_the_sum_of_its_parts_and_explains_itself(scans, orders, listings, repeats):
    found = assess(Observations(*scans, *orders, *listings, repeats), RULE)
    assert 0 <= found.score <= 10_000
    assert found.score == sum(part.points for part in found.contributions)
    assert found.is_held == (found.score >= 6_000)
    for part in found.contributions:
        assert part.points == part.strength_bps * RULE.signal_weights_bps[part.reason_code] // 10_000


def test_a_hold_ends_after_fifteen_days():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert hold_ends_at(now, RULE) - now == timedelta(days=15)
