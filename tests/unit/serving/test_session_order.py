"""What a consumer just did orders the list: by hand, and that nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from serving.scores.documents import RecommendedItem
from serving.scores.session import Act, reordered

CATEGORIES = {"t1": "tea", "t2": "tea", "p1": "pan", "p2": "pan", "x": "other"}


def items(*skus):
    return [
        RecommendedItem(
            rank=rank, sku_id=sku, score=1.0, lane="repeat", reason_code="bought_before", propensity=1.0
        )
        for rank, sku in enumerate(skus, start=1)
    ]


def order(acts, *skus):
    return [item.sku_id for item in reordered(items(*skus), acts, CATEGORIES)]


LIST = ("p1", "a", "b", "c", "t1", "t2", "p2")


def test_a_category_lifts_its_items_three_places_a_point():
    assert order([], *LIST) == list(LIST)
    # One view of tea: t1 from place 4 to 1, t2 from 5 to 2; equal places keep their order.
    assert order([Act("view", "t1")], *LIST) == ["p1", "a", "t1", "b", "t2", "c", "p2"]
    # Into the cart: three points, nine places: before everything.
    assert order([Act("add_to_cart", "t2")], *LIST)[:2] == ["t1", "t2"]
    # Out of it again: nothing is left; an unknown sku and another act say nothing.
    acts = [
        Act("add_to_cart", "t2"),
        Act("remove_from_cart", "t2"),
        Act("view", "unknown"),
        Act("share", "p1"),
    ]
    assert order(acts, *LIST) == list(LIST)


def test_what_was_just_bought_goes_to_the_end_and_says_so():
    found = reordered(items(*LIST), [Act("checkout", "p1"), Act("view", "p2")], CATEGORIES)
    assert [item.sku_id for item in found][-1] == "p1"
    reasons = {item.sku_id: item.reason_code for item in found}
    assert (reasons["p1"], reasons["p2"], reasons["a"]) == (
        "bought_just_now",
        "looked_at_category",
        "bought_before",
    )
    assert {item.sku_id: item.rank for item in found}["p1"] == 1, "the place in the published list stays"


@given(
    st.lists(st.sampled_from([*CATEGORIES, "unknown"]), unique=True),
    st.lists(
        st.builds(
            Act,
            st.sampled_from(["view", "favourite", "add_to_cart", "remove_from_cart", "checkout"]),
            st.sampled_from([*CATEGORIES, "unknown"]),
        )
    ),
)
def test_nothing_is_added_or_lost(skus, acts):
    assert sorted(order(acts, *skus)) == sorted(skus)
