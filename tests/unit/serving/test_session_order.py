"""What a consumer just did orders the list: by hand, and that nothing is lost."""

import math

from hypothesis import given
from hypothesis import strategies as st

from serving.scores.documents import RecommendedItem
from serving.scores.session import Act, ordered

LIST = ("p1", "a", "b", "c", "t1", "t2", "p2")
LINKS = {"x": {"c": 0.4, "t2": 0.2, "gone": 0.9}, "y": {"t2": 0.3}}


def items(*skus):
    return [
        RecommendedItem(
            rank=rank, sku_id=sku, score=1.0, lane="repeat", reason_code="bought_before", propensity=1.0
        )
        for rank, sku in enumerate(skus, start=1)
    ]


def linked(acts, *skus, links=LINKS):
    return [(item.sku_id, item.reason_code) for item in ordered(items(*skus), acts, links)]


def test_links_divide_the_place_of_an_item_by_its_share_of_the_best():
    # Places count from 2. c: log 5 - 2 = -.391; p1: log 2 = .693; t2: log 7 - 2 x .2 / .4 = .946; a: log 3.
    assert math.log(2) < math.log(7) - 1 < math.log(3)
    found = linked([Act("view", "x")], *LIST)
    assert [sku for sku, _ in found] == ["c", "p1", "t2", "a", "b", "t1", "p2"]
    assert {sku for sku, reason in found if reason == "goes_with_session"} == {"c", "t2"}
    # Three points for the cart, one for a view: c .4, t2 .2 + 3 x .3 = 1.1. c: log 5 - 2 x .4 / 1.1 = .882.
    found = linked([Act("view", "x"), Act("add_to_cart", "y")], *LIST)
    assert [sku for sku, _ in found][:3] == ["t2", "p1", "c"]


def test_where_no_item_of_the_list_is_linked_the_list_stays():
    def stays(acts, *skus, links=LINKS):
        return linked(acts, *skus, links=links) == [(sku, "bought_before") for sku in skus]

    assert stays([], *LIST)
    assert stays([Act("view", "p1")], *LIST), "not linked to anything"
    assert stays([Act("view", "x")], "p1", "a"), "linked to what is not in the list"
    assert stays([Act("view", "x"), Act("remove_from_cart", "x")], *LIST), "spoken against"
    assert stays([Act("checkout", "x")], *LIST), "what is bought speaks for nothing more"
    assert stays([Act("share", "x")], *LIST), "an act without points"
    assert stays([Act("view", "x")], *LIST, links={}), "the session lane does not serve"


def test_what_was_just_bought_goes_to_the_end_and_says_so():
    found = linked([Act("view", "x"), Act("checkout", "c")], *LIST)
    assert found[-1] == ("c", "bought_just_now")
    assert found[0] == ("t2", "goes_with_session")
    found = ordered(items(*LIST), [Act("checkout", "p1")], {})
    assert [item.sku_id for item in found] == [*LIST[1:], "p1"]
    assert found[-1].rank == 1, "the place in the published list stays"


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
    assert sorted(sku for sku, _ in found) == sorted(skus)
    stay = [sku for sku, reason in found if reason == "bought_before"]
    assert stay == [sku for sku in skus if sku in stay]
