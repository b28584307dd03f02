"""What is done in a community while it is closed, in either order: nobody is in it, nothing is planned."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from small_market import NOW, TENANT, Shop

from serving.communities import records
from serving.communities.errors import CommunityClosedError
from serving.db.operations import Operations
from serving.orders.coupons.programme import Share
from serving.orders.errors import InvalidRequestError
from serving.orders.promotions import records as promotions
from serving.orders.promotions.document import NewPromotion

DAY = timedelta(days=1)


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=12) as operations:
        made = Shop(database_url, operations)
        made.plan()
        made.list("sku", 10_000)
        yield made


def community(shop, name):
    new = records.NewCommunity(name, "m1", name, "food", "Be kind.", "merchant", "m1")
    shop.act(records.make, new, "test", NOW)
    return name


def join(conn, name):
    records.join(conn, TENANT, "m1", name, "ann", "shop", NOW)


def plan(conn, name):
    activity = records.Activity("a", "A tasting", "Come and taste.", "tasting", NOW, NOW + DAY)
    records.plan_activity(conn, TENANT, "m1", name, activity, "test", NOW)


def promote(conn, name):
    new = NewPromotion(
        merchant_id="m1", kind="limited_discount", title="off", sku_ids=("sku",), starts_at=NOW,
        ends_at=NOW + DAY, funders=(Share(party_type="merchant", share_bps=10_000, party_id="m1"),),
        budget_cents=10**6, budget_count=10, off_bps=500, community_id=name,
    )  # fmt: skip
    promotions.propose(conn, TENANT, new, ("merchant", "m1"), "test", NOW)


def close(conn, name):
    records.close(conn, TENANT, "m1", name, NOW)


def one_within_the_other(shop, first, second, name):
    """Do `first`, begin `second` in a thread, and commit `first` once `second` waits or is done."""

    def other():
        with shop.transaction() as conn:
            second(conn, name)

    with ThreadPoolExecutor(1) as threads:
        with shop.transaction() as conn:
            first(conn, name)
            begun = threads.submit(other)
            until = time.monotonic() + 60
            while not (begun.done() or is_waited_for(shop)) and time.monotonic() < until:
                time.sleep(0.01)
        return begun.exception()


def is_waited_for(shop):
    return shop.sql("select count(*) from pg_locks where not granted")[0][0] > 0


def state(shop, name):
    """Members now, activities, promotions."""
    return shop.sql(
        "select (select count(*) from communities.member where community_id = %(id)s and left_at is null),"
        " (select count(*) from communities.activity where community_id = %(id)s),"
        " (select count(*) from promotions.promotion where community_id = %(id)s)",
        id=name,
    )[0]


@pytest.mark.parametrize("work", [join, plan, promote])
def test_nothing_begins_in_a_community_that_is_being_closed(shop, work):
    name = community(shop, f"closing-{work.__name__}")
    refused = one_within_the_other(shop, close, work, name)
    assert isinstance(refused, CommunityClosedError | InvalidRequestError)
    assert "is closed" in str(refused)
    assert state(shop, name) == (0, 0, 0)


def test_who_is_joining_when_a_community_is_closed_leaves_with_the_others(shop):
    name = community(shop, "joining")
    assert one_within_the_other(shop, join, close, name) is None
    assert state(shop, name) == (0, 0, 0)
    assert shop.sql("select count(*) from communities.member where left_at is not null") == [(1,)]


def test_of_many_who_join_while_it_is_closed_nobody_stays(shop):
    name = community(shop, "many")

    def attempt(number):
        try:
            if number == 5:
                shop.act(records.close, "m1", name, NOW)
            else:
                shop.act(records.join, "m1", name, f"c-{number}", "shop", NOW)
        except CommunityClosedError:
            return "closed"
        return "done"

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(attempt, range(30))) <= {"done", "closed"}
    assert state(shop, name)[0] == 0
