from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.composition import Composition, breaches
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import IncomeRule

RULE = load_shipped().only(IncomeRule)
LOOSE = RULE.model_copy(update={"downline_max_bps": 3_000})
CENTS = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("composition", "rule", "expected"),
    [
        (Composition(), RULE, []),
        (Composition(100), RULE, []),
        (Composition(70, 30), RULE, []),
        (Composition(69, 31), RULE, [("self_purchase_too_high", 3_100, 3_000)]),
        (Composition(99, 0, 1), RULE, [("downline_too_high", 100, 0)]),
        (Composition(70, 0, 30), LOOSE, []),
        (Composition(40, 30, 30), LOOSE, [("own_retail_too_low", 4_000, 5_000)]),
        (Composition(50, 20, 29, 1), LOOSE, [("recruit_linked", 100, 0)]),
        # A third of a fen over the limit is over the limit, although both shares show 3000.
        (Composition(699_999, 300_001), RULE, [("self_purchase_too_high", 3_000, 3_000)]),
    ],
)
def test_breaches_by_hand(composition, rule, expected):
    assert [(b.reason_code, b.share_bps, b.limit_bps) for b in breaches(composition, rule)] == expected


@given(CENTS, CENTS, CENTS, CENTS)
def test_breaches_against_fractions(own, self_, down, recruit):
    total = own + self_ + down + recruit
    expected = set()
    if total:
        if Fraction(own, total) < Fraction(1, 2):
            expected.add("own_retail_too_low")
        if Fraction(self_, total) > Fraction(3, 10):
            expected.add("self_purchase_too_high")
        if Fraction(down, total) > Fraction(3, 10):
            expected.add("downline_too_high")
        if recruit:
            expected.add("recruit_linked")
    found = breaches(Composition(own, self_, down, recruit), LOOSE)
    assert {breach.reason_code for breach in found} == expected
