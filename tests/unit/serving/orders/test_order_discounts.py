from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.orders.discounts import Coupon, CouponLimits, spread
from serving.orders.errors import DiscountRefusedError
from serving.settlement.plans.profiles import load_shipped

FREE = CouponLimits(
    {"threshold": 9, "percentage": 9}, 10_000, dict.fromkeys(("platform", "merchant", "supplier"), 10_000)
)


@given(
    st.lists(st.integers(0, 100_000), min_size=1, max_size=6).filter(any),
    st.lists(st.integers(0, 60), max_size=2),
)
def test_coupons_fall_on_the_lines_without_losing_a_fen(prices, percents):
    coupons = [Coupon("percentage", sum(prices) * p // 200, {"platform": 10_000}) for p in percents]
    discounts = spread(coupons, prices, FREE)
    assert sum(discounts) == sum(coupon.discount_cents for coupon in coupons)
    assert all(0 <= discount <= price for discount, price in zip(discounts, prices, strict=True))
    if len(coupons) == 1:
        for discount, price in zip(discounts, prices, strict=True):
            exact = Fraction(coupons[0].discount_cents * price, sum(prices))
            assert abs(discount - exact) < 1


def test_limits_come_from_the_plan():
    limits = CouponLimits.of(load_shipped("cn_strict"))
    assert limits.thresholds == ((9900, 3000), (19900, 5000))
    assert limits.most_of_kind == {"threshold": 1, "percentage": 1}
    assert limits.most_funder_bps == {"platform": 10_000, "supplier": 0, "merchant": 10_000}


@pytest.mark.parametrize(
    ("goods", "off", "fits"),
    [(9899, 1, False), (9900, 3000, True), (19899, 3001, False), (19900, 5000, True), (19900, 5001, False)],
)
def test_a_threshold_coupon_is_one_of_the_plans_steps(goods, off, fits):
    limits = CouponLimits.of(load_shipped("cn_strict"))
    coupon = Coupon("threshold", off, {"merchant": 10_000})
    if fits:
        assert spread([coupon], [goods], limits) == [off]
    else:
        with pytest.raises(DiscountRefusedError):
            spread([coupon], [goods], limits)
