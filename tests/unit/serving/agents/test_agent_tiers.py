import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.tiers import TIERS, Performance, one_tier_down, reached_tier, tier_after_close
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import TierRule

RULE = load_shipped().only(TierRule)
ANY = st.builds(Performance, st.integers(0, 1_000), st.integers(0, 10**8))


@pytest.mark.parametrize(
    ("customers", "sales", "tier"),
    [
        (0, 0, "none"),
        (4, 10**9, "none"),
        (5, 99_999, "none"),
        (5, 100_000, "bronze"),
        (29, 10**9, "bronze"),
        (30, 1_000_000, "silver"),
        (30, 999_999, "bronze"),
        (100, 5_000_000, "gold"),
        (499, 10**9, "gold"),
        (500, 30_000_000, "diamond"),
    ],
)
def test_both_thresholds_are_needed(customers, sales, tier):
    assert reached_tier(Performance(customers, sales), RULE) == tier


@pytest.mark.parametrize(
    ("before", "performance", "may_rise", "after"),
    [
        ("none", Performance(500, 30_000_000), True, "diamond"),
        ("none", Performance(500, 30_000_000), False, "none"),
        ("diamond", Performance(), True, "gold"),
        ("diamond", Performance(), False, "gold"),
        ("gold", Performance(5, 100_000), True, "silver"),
        ("silver", Performance(5, 100_000), True, "bronze"),
        ("bronze", Performance(5, 100_000), True, "bronze"),
        ("none", Performance(), True, "none"),
    ],
)
def test_up_at_once_down_one_step(before, performance, may_rise, after):
    assert tier_after_close(before, performance, RULE, may_rise=may_rise) == after


@given(st.sampled_from(TIERS), ANY, st.booleans())
def test_a_close_never_falls_two_steps_nor_passes_what_was_reached(before, performance, may_rise):
    now, after = (
        TIERS.index(before),
        TIERS.index(tier_after_close(before, performance, RULE, may_rise=may_rise)),
    )
    reached = TIERS.index(reached_tier(performance, RULE))
    assert after >= now - 1
    assert after <= max(now, reached)
    if after < now:
        assert reached < now
    if not may_rise:
        assert after <= now


@given(ANY, st.integers(0, 500), st.integers(0, 10**7))
def test_more_sales_never_reach_less(performance, customers, sales):
    more = Performance(performance.end_customers + customers, performance.net_sales_cents + sales)
    assert TIERS.index(reached_tier(more, RULE)) >= TIERS.index(reached_tier(performance, RULE))


def test_one_tier_down_ends_at_none():
    assert [one_tier_down(tier) for tier in TIERS] == ["none", "none", "bronze", "silver", "gold"]
