from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.deposits import average_sales_cents, required_deposit, top_up_cents
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import DepositRule

RULE = load_shipped().only(DepositRule)
CENTS = st.integers(0, 10**10)


def test_average_by_hand():
    # A weight of 2/31: 0 + 2/31 x 31.00, then 2.00 + 2/31 x (31.00 - 2.00) = 3.8709...
    assert average_sales_cents([0, 3_100], 30) == 200
    assert average_sales_cents([0, 3_100, 3_100], 30) == 387
    assert average_sales_cents([500], 30) == 500
    assert average_sales_cents([], 30) == 0


@given(st.lists(CENTS, max_size=40), st.integers(1, 60))
def test_average_against_fractions(days, span):
    mean = Fraction(days[0]) if days else Fraction(0)
    for cents in days[1:]:
        mean += Fraction(2, span + 1) * (cents - mean)
    assert 0 <= mean - average_sales_cents(days, span) < 1 + Fraction(len(days), 1_000_000)


@pytest.mark.parametrize(
    ("average", "points", "risk", "expected"),
    [
        (0, 0, 10_000, 100_000),  # never below 1,000 yuan
        (2_000_000, 0, 10_000, 100_000),  # 5% of 20,000.00
        (4_000_000, 0, 10_000, 200_000),
        (4_000_000, 3, 10_000, 260_000),  # x 1.3
        (4_000_000, 3, 15_000, 390_000),  # x 1.5
        (4_000_001, 0, 10_000, 200_000),  # floored once
        (10**12, 12, 30_000, 20_000_000),  # never above 200,000 yuan
    ],
)
def test_required_deposit_by_hand(average, points, risk, expected):
    assert required_deposit(RULE, average, points, risk_bps=risk, is_natural_person=False) == expected


def test_natural_persons_pay_none_unless_the_plan_says_so():
    assert required_deposit(RULE, 10**9, 12, is_natural_person=True) == 0
    paying = RULE.model_copy(update={"natural_person_pays": True})
    assert required_deposit(paying, 0, 0, is_natural_person=True) == 100_000


@given(CENTS, st.integers(0, 100), st.integers(0, 50_000))
def test_required_deposit_against_fractions(average, points, risk):
    exact = Fraction(5, 100) * average * (1 + Fraction(points, 10)) * Fraction(risk, 10_000)
    clamped = min(Fraction(20_000_000), max(Fraction(100_000), exact))
    found = required_deposit(RULE, average, points, risk_bps=risk, is_natural_person=False)
    assert 0 <= clamped - found < 1


@given(CENTS, CENTS, CENTS)
def test_a_top_up_never_takes_more_than_a_fifth_nor_more_than_is_missing(required, held, released):
    cents = top_up_cents(RULE, required, held, released)
    assert 0 <= cents <= released // 5
    assert cents <= max(0, required - held)
    assert cents == max(0, required - held) or cents == released // 5
