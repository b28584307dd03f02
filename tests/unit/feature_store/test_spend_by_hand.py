"""Spend, quantities and habits worked out by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local, a Friday."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tag_hand import check

from benchmarks.tags.tag_oracle.world import NOW, World, ago


def test_orders_and_values_of_longer_windows() -> None:
    world = World()
    world.order("a", ago(10), net=300)
    world.order("a", ago(40), net=100)
    world.order("a", ago(60), net=70)  # exactly 60 days ago lies outside
    world.order("a", ago(179), net=50)
    world.order("a", ago(400), net=1_000)
    check(
        world,
        "a",
        {
            "orders_60d": 2,
            "orders_180d": 4,
            "net_spend_60d": 400,
            "net_spend_180d": 520,
            "aov_30d": 300,
            "aov_lifetime": 304,  # 1520 / 5
            "order_value_median_365d": 85,  # 50, 70, 100, 300
            "min_order_value_365d": 50,
            "last_order_value": 300,
            "first_order_value": 1_000,
            "spend_trend_30d": 3.0,
            "order_trend_30d": 1.0,
            "purchase_days_90d": 3,
            "purchase_days_365d": 4,
        },
    )


def test_of_two_orders_at_one_time_the_ids_decide() -> None:
    world = World()
    world.order("a", ago(5), net=10, order_id="x1", merchant_id="m1")
    world.order("a", ago(5), net=20, order_id="x2", merchant_id="m2")
    check(world, "a", {"first_order_value": 10, "last_order_value": 20, "last_merchant": "m2"})


def test_quantities_and_list_prices() -> None:
    world = World()
    world.order(
        "a",
        ago(100),
        [
            {"sku_id": "milk", "qty": 2, "net_paid_cents": 150, "promo_discount_cents": 50},
            {"sku_id": "tea", "qty": 0.345, "net_paid_cents": 100},
            {"sku_id": "fuel", "is_merchandise": False, "net_paid_cents": 900},
        ],
    )
    world.order("a", ago(10), [{"sku_id": "milk", "qty": 1, "net_paid_cents": 100}])
    check(
        world,
        "a",
        {
            "units_90d": 1.0,
            "units_365d": 3.345,
            "skus_90d": 1,
            "skus_365d": 2,
            "lines_per_order_365d": 1.5,
            "list_spend_365d": 1_300,
        },
    )


def test_margin_over_net_of_costed_lines() -> None:
    world = World()
    world.order("a", ago(5), [{"supply_cost_cents": 60}, {"sku_id": "n", "supply_cost_cents": None}])
    world.order("a", ago(4), [{"net_paid_cents": -50, "qty": -1.0, "supply_cost_cents": -30}])
    check(world, "a", {"gross_margin_rate_365d": 20 / 50})  # 40 - 20 over 100 - 50


def test_orders_that_do_not_count_have_tags_of_their_own() -> None:
    world = World()
    world.order("a", ago(1), net=100)
    world.order("a", ago(2), net=900, state="unpaid")
    world.order("a", ago(31), net=900, state="unpaid")
    world.order("a", ago(60), net=900, state="cancelled")
    world.order("a", ago(300), net=900, state="refunded")
    # Paid, then cancelled yesterday: what is known now counts once.
    world.order("a", ago(50), net=900, order_id="turned", superseded_at=ago(1))
    world.order("a", ago(50), net=900, order_id="turned", state="cancelled", received_at=ago(1))
    check(
        world,
        "a",
        {
            "unpaid_orders_30d": 1,
            "cancelled_orders_90d": 2,
            "refunded_orders_365d": 1,
            "cancel_rate_365d": 2 / 6,
            "orders_60d": 1,
        },
    )


def test_freight_agents_and_channels() -> None:
    world = World()
    world.order("a", ago(1), net=100, freight=10, agent_id="g1", channel="live", merchant_id="m2")
    world.order("a", ago(2), net=100, freight=0, agent_id="g1", channel="mini_program", merchant_id="m2")
    world.order("a", ago(3), net=200, freight=30, agent_id="g2", channel="live", merchant_id="m1")
    world.order("a", ago(4), net=100, freight=0, channel="store", merchant_id="m1")
    world.order("a", ago(366), net=100, freight=99, agent_id="g3", channel="wecom")
    check(
        world,
        "a",
        {
            "freight_paid_365d": 40,
            "freight_share_365d": 40 / 500,
            "free_shipping_share_365d": 0.5,
            "agent_orders_365d": 3,
            "agent_order_share_365d": 0.75,
            "agents_365d": 2,
            "order_channel_pref": "live",
            "channel_count_365d": 3,
            "live_order_share_365d": 0.5,
            "store_order_share_365d": 0.25,
            "mini_program_order_share_365d": 0.25,
            "wecom_order_share_365d": 0.0,
            "home_merchant_365d": "m1",  # two each: the smaller id
            "last_merchant": "m2",
        },
    )


def test_dayparts_and_weekdays_are_local() -> None:
    world = World()
    friday = datetime(2017, 11, 3, 12, 30, tzinfo=UTC)  # 07:30 local
    world.order("a", friday, net=1)
    world.order("a", friday + timedelta(days=7), net=1)
    world.order("a", friday + timedelta(hours=12), net=1)  # 00:30 UTC on Saturday, 19:30 local on Friday
    world.order("a", friday + timedelta(days=3), net=1)
    check(
        world,
        "a",
        {
            "morning_share": 0.75,
            "evening_share": 0.25,
            "active_weekdays_365d": 2,
            "weekday_concentration_365d": 0.75,
        },
    )


def test_the_course_of_a_buyer() -> None:
    world = World()
    for day in (300, 200, 50, 50.1, 8, 3):
        world.order("a", ago(day), net=1)
    check(
        world,
        "a",
        {
            "purchase_days_lifetime": 5,  # two of one local day
            "longest_gap_days": 150,
            "reactivations_lifetime": 2,  # 100 and 149.9 days
            "active_weeks_12w": 3,
            "is_one_time_buyer": False,
            "customer_life_days": 297,
            "days_to_lost": 177,
        },
    )
    world.order("b", ago(180), net=1)
    check(world, "b", {"is_one_time_buyer": True, "days_to_lost": None, "customer_life_days": 0})


def test_a_gap_of_ninety_days_to_the_microsecond() -> None:
    world = World()
    world.order("a", ago(100), net=1)
    world.order("a", ago(10), net=1)
    world.order("b", ago(100) + timedelta(microseconds=1), net=1)
    world.order("b", ago(10), net=1)
    check(world, "a", {"reactivations_lifetime": 1})
    check(world, "b", {"reactivations_lifetime": 0})
    assert NOW - ago(10) == timedelta(days=10)


def test_what_came_back() -> None:
    world = World()
    world.order("a", ago(20), [{"net_paid_cents": 900, "qty": 3.0}])
    world.order("a", ago(10), [{"net_paid_cents": -300, "qty": -1.0}])
    world.order("a", ago(5), [{"net_paid_cents": 500}, {"net_paid_cents": -50, "qty": -0.5, "sku_id": "b"}])
    world.order("a", ago(400), [{"net_paid_cents": -300, "qty": -1.0}])
    world.order("a", ago(1), [{"net_paid_cents": -10, "qty": -1.0, "is_merchandise": False}])
    check(
        world,
        "a",
        {
            "returned_units_365d": 1.5,
            "returned_amount_365d": 360,
            "return_orders_365d": 3,
            "return_rate_365d": 1.5 / 4,
            "days_since_return": 1,
        },
    )
