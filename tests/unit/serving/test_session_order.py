"""What a consumer just did orders the list: by hand, and that nothing is lost."""

import math

from hypothesis import given
from hypothesis import strategies as st

from serving.scores.documents import RecommendedItem
from serving.scores.session import Act, ordered_by_categories, ordered_by_links

CATEGORIES = {"t1": "tea", "t2": "tea", "p1": "pan", "p2": "pan", "x": "other"}


def items(*skus):
    return [
        RecommendedItem(
            rank=rank, sku_id=sku, score=1.0, lane="repeat", reason_code="bought_before", propensity=1.0
        )
        for rank, sku in enumerate(skus, start=1)
    ]


def order(acts, *skus):
    return [item.sku_id for item in ordered_by_categories(items(*skus), acts, CATEGORIES)]


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
    found = ordered_by_categories(items(*LIST), [Act("checkout", "p1"), Act("view", "p2")], CATEGORIES)
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


LINKS = {"x": {"c": 0.4, "t2": 0.2, "gone": 0.9}, "y": {"t2": 0.3}}


def linked(acts, *skus):
    found = ordered_by_links(items(*skus), acts, LINKS)
    return None if found is None else [(item.sku_id, item.reason_code) for item in found]


def test_links_divide_the_place_of_an_item_by_its_share_of_the_best():
    # Places count from 2. c: log 5 - 2 = -.391; p1: log 2 = .693; t2: log 7 - 2 x .2 / .4 = .946; a: log 3.
    assert math.log(2) < math.log(7) - 1 < math.log(3)
    found = linked([Act("view", "x")], *LIST)
    assert [sku for sku, _ in found] == ["c", "p1", "t2", "a", "b", "t1", "p2"]
    assert {sku for sku, reason in found if reason == "goes_with_session"} == {"c", "t2"}
    # Three points for the cart, one for a view: c .4, t2 .2 + 3 x .3 = 1.1. c: log 5 - 2 x .4 / 1.1 = .882.
    found = linked([Act("view", "x"), Act("add_to_cart", "y")], *LIST)
    assert [sku for sku, _ in found][:3] == ["t2", "p1", "c"]


def test_where_no_item_of_the_list_is_linked_the_links_say_nothing():
    assert linked([], *LIST) is None
    assert linked([Act("view", "p1")], *LIST) is None, "not linked to anything"
    assert linked([Act("view", "x")], "p1", "a") is None, "linked to what is not in the list"
    assert linked([Act("view", "x"), Act("remove_from_cart", "x")], *LIST) is None, "spoken against"
    assert linked([Act("checkout", "x")], *LIST) is None, "what is bought speaks for nothing more"


def test_what_was_just_bought_goes_to_the_end_of_a_linked_list_too():
    found = linked([Act("view", "x"), Act("checkout", "c")], *LIST)
    assert found[-1] == ("c", "bought_just_now")
    assert found[0] == ("t2", "goes_with_session")


@given(
    st.lists(st.sampled_from([*LIST, "x", "y"]), unique=True),
    st.lists(
        st.builds(
            Act,
            st.sampled_from(["view", "favourite", "add_to_cart", "remove_from_cart", "checkout"]),
            st.sampled_from(["x", "y", "c"]),
        )
    ),
)
def test_links_add_and_lose_nothing_and_keep_the_order_of_the_unlinked(skus, acts):
    found = linked(acts, *skus)
    if found is not None:
        assert sorted(sku for sku, _ in found) == sorted(skus)
        stay = [sku for sku, reason in found if reason == "bought_before"]
        assert stay == [sku for sku in skus if sku in stay]
