"""Which prices of suppliers need a decision, in hand-computed cases and against an oracle in fractions."""

from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from serving.orders.assortment.catalogue import Reference
from serving.orders.assortment.offers import Corridor, Judgement, judge

AT = datetime(2026, 11, 1, tzinfo=UTC)
CORRIDOR = Corridor(own_bps=2_000, others_bps=5_000, days=7)


def own(price, freight=0):
    return Reference(price, freight, AT)


def test_the_edges_of_a_fifth_and_of_a_half():
    assert judge(8_400, 0, own(7_000), None, CORRIDOR) is None
    assert judge(8_401, 0, own(7_000), None, CORRIDOR) == Judgement("own_price", 5_600, 8_400)
    assert judge(5_600, 0, own(7_000), None, CORRIDOR) is None
    assert judge(5_599, 0, own(7_000), None, CORRIDOR) == Judgement("own_price", 5_600, 8_400)
    assert judge(15_000, 0, None, (10_000, 10_000), CORRIDOR) is None
    assert judge(15_001, 0, None, (10_000, 10_000), CORRIDOR) == Judgement("other_suppliers", 5_000, 15_000)


def test_a_price_inside_its_own_corridor_waits_when_it_leaves_the_others_behind():
    assert judge(12_000, 0, own(10_000), (6_000, 6_000), CORRIDOR) == Judgement(
        "other_suppliers", 3_000, 9_000
    )


def test_a_first_price_that_nothing_measures_waits():
    assert judge(100, 0, None, None, CORRIDOR) == Judgement("no_reference")
    assert judge(100, 0, own(0), None, CORRIDOR) == Judgement("no_reference")


def test_what_the_buyer_pays_for_sending_is_measured_with_the_price():
    assert judge(10_000, 2_000, own(10_000), None, CORRIDOR) is None
    assert judge(10_000, 2_001, own(10_000), None, CORRIDOR) == Judgement("delivered_price", 8_000, 12_000)
    assert judge(10_000, 5_001, None, (10_000, 10_000), CORRIDOR) == Judgement(
        "delivered_price", 5_000, 15_000
    )


money = st.integers(1, 10**6)


@given(money, st.integers(0, 10**5), money, st.integers(0, 10**5), st.none() | money)
def test_a_price_is_let_through_exactly_where_fractions_say_so(price, freight, ref, ref_freight, median):
    def inside(stated, reference, bps):
        return abs(Fraction(stated) - reference) <= Fraction(reference * bps, 10_000)

    expected = inside(price, ref, 2_000) and inside(price + freight, ref + ref_freight, 2_000)
    if median is not None:
        expected = expected and inside(price, median, 5_000) and inside(price + freight, median, 5_000)
    others = None if median is None else (median, median)
    assert (judge(price, freight, own(ref, ref_freight), others, CORRIDOR) is None) is expected
