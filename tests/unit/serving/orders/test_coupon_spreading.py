"""How coupons fall on lines and funders, and which terms are refused; amounts in fen."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.orders.coupons.programme import Share, Terms, check_terms
from serving.orders.coupons.spreading import CouponLimits, Goods, Used, spread
from serving.orders.errors import DiscountRefusedError, InvalidRequestError
from serving.settlement.plans.profiles import load_shipped

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STRICT = CouponLimits.of(load_shipped("cn_strict"))
FREE = CouponLimits({"threshold": 9, "percentage": 9}, 10_000, 10_000)
PLATFORM = Share(party_type="platform", share_bps=10_000)


def terms(**given_terms):
    values = {
        "kind": "percentage",
        "off_bps": 1_000,
        "funders": (PLATFORM,),
        "budget_cents": 1,
        "budget_count": 1,
        "valid_from": NOW,
        "valid_to": NOW + timedelta(days=30),
    }
    return Terms(**(values | given_terms))


def threshold(off, start, **more):
    return terms(kind="threshold", off_bps=None, off_cents=off, min_goods_cents=start, **more)


def goods(*prices, supplier="S1", categories=("leaf", "root")):
    return [
        Goods(number, f"sku-{number}", categories, supplier, price)
        for number, price in enumerate(prices, start=1)
    ]


def test_the_worked_basket():
    """50.00 over 129.00, 89.90 and 59.70 falls 23.15 / 16.13 / 10.72."""
    cuts = spread([Used("C", threshold(5_000, 19_900))], goods(12_900, 8_990, 5_970), STRICT)
    assert [(cut.line_no, cut.funder, cut.cents) for cut in cuts] == [
        (1, "platform", 2_315),
        (2, "platform", 1_613),
        (3, "platform", 1_072),
    ]


def test_a_percentage_comes_after_the_threshold_and_is_floored_and_capped():
    """199.99 less 50.00 is 149.99; 10% of it is 14.99 (floored); a cap of 12.00 holds."""
    used = [Used("A", terms()), Used("B", threshold(5_000, 19_900))]
    cuts = spread(used, goods(19_999), STRICT)
    assert [(cut.code, cut.cents) for cut in cuts] == [("B", 5_000), ("A", 1_499)]
    capped = [Used("A", terms(cap_cents=1_200)), used[1]]
    assert sum(cut.cents for cut in spread(capped, goods(19_999), STRICT)) == 6_200


def test_a_coupon_takes_off_only_what_it_holds_for():
    """A supplier's share falls on its own lines; skus and categories narrow further."""
    funders = (
        Share(party_type="supplier", party_id="S2", share_bps=4_000),
        Share(party_type="platform", share_bps=6_000),
    )
    basket = [*goods(10_000), Goods(2, "sku-2", ("leaf",), "S2", 5_000), Goods(3, "sku-3", (), "S2", 2_000)]
    cuts = spread([Used("C", terms(funders=funders))], basket, STRICT)
    assert [tuple(cut)[1:] for cut in cuts] == [
        (2, "platform", "", 300),
        (2, "supplier", "S2", 200),
        (3, "platform", "", 120),
        (3, "supplier", "S2", 80),
    ]
    narrow = terms(funders=funders, category_ids=("leaf",))
    assert {cut.line_no for cut in spread([Used("C", narrow)], basket, STRICT)} == {2}
    with pytest.raises(DiscountRefusedError, match="no line"):
        spread([Used("C", terms(sku_ids=("other",)))], basket, STRICT)


@st.composite
def baskets(draw):
    lines = [
        Goods(number, f"k{draw(st.integers(1, 3))}", (), draw(st.sampled_from(["S1", "S2"])), price)
        for number, price in enumerate(
            draw(st.lists(st.integers(1, 100_000), min_size=1, max_size=6)), start=1
        )
    ]
    used = []
    for number in range(draw(st.integers(1, 3))):
        first = draw(st.integers(1, 9_999))
        second = draw(st.integers(0, 10_000 - first))
        shares = [
            Share(party_type="platform", share_bps=first),
            *([Share(party_type="merchant", party_id="m1", share_bps=second)] if second else []),
        ]
        left = 10_000 - first - second
        if left:
            shares.append(Share(party_type="supplier", party_id="S1", share_bps=left))
        scope = draw(st.sampled_from([(), ("k1",), ("k1", "k2")]))
        body = (
            threshold(draw(st.integers(1, 5_000)), 0, funders=tuple(shares), sku_ids=scope)
            if draw(st.booleans())
            else terms(off_bps=draw(st.integers(1, 5_000)), funders=tuple(shares), sku_ids=scope)
        )
        used.append(Used(f"C{number}", body))
    return lines, used


@given(baskets())
def test_no_fen_is_lost_and_every_share_is_within_a_fen_of_exact(basket):
    lines, used = basket
    try:
        cuts = spread(used, lines, FREE)
    except DiscountRefusedError as refused:
        assert any(word in str(refused) for word in ("no line", "takes nothing"))  # noqa: PT017
        return
    nets = {line.line_no: line.price_cents for line in lines}
    for coupon in sorted(used, key=lambda one: (one.terms.kind != "threshold", one.code)):
        own = [cut for cut in cuts if cut.code == coupon.code]
        total = sum(cut.cents for cut in own)
        skus, supplier = coupon.terms.sku_ids, coupon.terms.share_of("supplier")
        chosen = [
            line
            for line in lines
            if (not skus or line.sku_id in skus) and (supplier is None or line.supplier_id == "S1")
        ]
        base = sum(nets[line.line_no] for line in chosen)
        wanted = coupon.terms.off_cents or base * (coupon.terms.off_bps or 0) // 10_000
        assert total == min(wanted, base)
        assert {cut.line_no for cut in own} <= {line.line_no for line in chosen}
        for line in chosen:
            of_line = [cut for cut in own if cut.line_no == line.line_no]
            share = sum(cut.cents for cut in of_line)
            assert abs(share - Fraction(total * nets[line.line_no], base)) < 1
            for cut in of_line:
                bearer = coupon.terms.share_of(cut.funder)
                assert (cut.party_id, cut.cents > 0) == (bearer.party_id, True)
                assert abs(cut.cents - Fraction(share * bearer.share_bps, 10_000)) < 1
            nets[line.line_no] -= share
    assert min(nets.values()) >= 0


def unit_price(cents, sku="sku-1", **more):
    return terms(kind="unit_price", off_bps=None, unit_price_cents=cents, sku_ids=(sku,), **more)


def test_a_unit_price_takes_off_what_each_unit_costs_more_and_comes_first():
    """3 units of 30.00 at 20.00 each: 30.00 off that line alone; then a tenth of what both lines cost."""
    basket = [Goods(1, "sku-1", (), "S1", 9_000, 3), Goods(2, "sku-2", (), "S1", 5_000)]
    cuts = spread([Used("A", terms()), Used("B", unit_price(2_000))], basket, STRICT)
    assert [(cut.code, cut.line_no, cut.cents) for cut in cuts] == [
        ("B", 1, 3_000),
        ("A", 1, 600),
        ("A", 2, 500),
    ]


def test_a_unit_price_over_several_lines_of_its_sku_and_of_none():
    split = [Goods(1, "sku-1", (), "S1", 3_000, 1), Goods(2, "sku-1", (), "S2", 6_000, 2)]
    cuts = spread([Used("B", unit_price(2_500))], split, STRICT)
    assert [(cut.line_no, cut.cents) for cut in cuts] == [(1, 500), (2, 1_000)]
    gift = [*goods(9_000), Goods(2, "sku-2", (), "S1", 1_000, 1)]
    assert [cut.cents for cut in spread([Used("B", unit_price(0, "sku-2"))], gift, STRICT)] == [1_000]
    with pytest.raises(DiscountRefusedError, match="takes nothing off"):
        spread([Used("B", unit_price(9_000))], goods(9_000), STRICT)
    with pytest.raises(DiscountRefusedError, match="at most 4500 may be taken off"):
        spread([Used("B", unit_price(4_000))], goods(9_000), STRICT)


@given(baskets())
def test_the_order_of_the_codes_does_not_matter(basket):
    lines, used = basket

    def outcome(codes):
        try:
            return spread(codes, lines, FREE)
        except DiscountRefusedError as refused:
            return type(refused)

    assert outcome(used) == outcome(used[::-1])


def test_limits_come_from_the_plan():
    assert STRICT.thresholds == ((9900, 3000), (19900, 5000))
    assert STRICT.most_of_kind == {"unit_price": 1, "threshold": 1, "percentage": 1}
    assert STRICT.most_platform_bps == 10_000


@pytest.mark.parametrize(
    ("price", "off", "fits"),
    [(9899, 1, False), (9900, 3000, True), (19899, 3001, False), (19900, 5000, True), (19900, 5001, False)],
)
def test_at_the_platforms_cost_a_threshold_coupon_is_one_of_the_plans_steps(price, off, fits):
    coupon = threshold(off, off)
    if fits:
        assert sum(cut.cents for cut in spread([Used("C", coupon)], goods(price), STRICT)) == off
    else:
        with pytest.raises(DiscountRefusedError, match="plan of this shop"):
            spread([Used("C", coupon)], goods(price), STRICT)


@pytest.mark.parametrize(
    ("used", "message"),
    [
        ([Used("A", threshold(3_000, 10_001))], "for goods of 10001"),
        ([Used("A", terms()), Used("B", terms())], "at most 1 may be combined"),
        ([Used("A", terms(stacks=False)), Used("B", threshold(1, 1))], "used alone"),
        ([Used("A", terms()), Used("A", terms())], "twice"),
        ([Used("A", terms(off_bps=5_001))], "at most 5000 may be taken off"),
    ],
)
def test_coupons_that_do_not_hold_are_refused(used, message):
    with pytest.raises(DiscountRefusedError, match=message):
        spread(used, goods(10_000), STRICT)


def test_the_plan_bounds_what_the_platform_bears():
    limits = CouponLimits(STRICT.most_of_kind, 5_000, 4_999)
    half = (
        Share(party_type="platform", share_bps=5_000),
        Share(party_type="merchant", party_id="m1", share_bps=5_000),
    )
    with pytest.raises(DiscountRefusedError, match="platform bears 5000"):
        spread([Used("A", terms(funders=half))], goods(10_000), limits)


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"valid_to": NOW}, "valid_to"),
        ({"valid_from": NOW - timedelta(days=9), "valid_to": NOW - timedelta(days=1)}, "valid_to"),
        ({"valid_to": NOW + timedelta(days=1_097)}, "valid_to"),
        ({"funders": ()}, "funders"),
        ({"funders": (PLATFORM, PLATFORM)}, "funders"),
        ({"funders": (Share(party_type="platform", share_bps=9_999),)}, "funders"),
        ({"funders": (Share(party_type="platform", party_id="p", share_bps=10_000),)}, "funders"),
        ({"funders": (Share(party_type="supplier", share_bps=10_000),)}, "funders"),
        (
            {
                "funders": (
                    Share(party_type="merchant", party_id="m1", share_bps=10_001),
                    Share(party_type="platform", share_bps=-1),
                )
            },
            "funders",
        ),
        ({"funders": (Share(party_type="merchant", party_id="m1", share_bps=10_000),)}, "merchant_ids"),
        ({"off_cents": 5}, "off_bps"),
        ({"off_bps": None}, "off_bps"),
        ({"off_bps": 10_001}, "off_bps"),
        ({"off_bps": 0}, "off_bps"),
        ({"cap_cents": 0}, "cap_cents"),
        ({"kind": "threshold"}, "off_cents"),
        ({"kind": "threshold", "off_bps": None, "off_cents": 2, "min_goods_cents": 1}, "min_goods_cents"),
        ({"budget_cents": 0}, "budget_cents"),
        ({"budget_count": 0}, "budget_count"),
        ({"per_consumer_count": 0}, "per_consumer_count"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(change, parameter):
    check_terms(terms(), "platform", "", NOW)
    with pytest.raises(InvalidRequestError) as refused:
        check_terms(terms(**change), "platform", "", NOW)
    assert refused.value.parameter == parameter


def test_a_merchants_programme_holds_in_its_own_shop():
    with pytest.raises(InvalidRequestError, match="holds in its shop"):
        check_terms(terms(), "merchant", "m1", NOW)
    check_terms(terms(merchant_ids=("m1",)), "merchant", "m1", NOW)


def test_the_digest_is_of_every_term():
    base = terms()
    assert base.digest() == msgspec.convert(msgspec.to_builtins(base), Terms).digest()
    for name, value in {"off_bps": 999, "stacks": False, "sku_ids": ("x",), "budget_count": 2}.items():
        assert msgspec.structs.replace(base, **{name: value}).digest() != base.digest()
