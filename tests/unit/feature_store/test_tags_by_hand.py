"""Tags of tiny consumers, worked out by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local, a Friday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tag_hand import check, tags_of

from benchmarks.tags.tag_oracle.compare import differences, row_of
from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.offline import build_tags, validate_tags
from feature_store.registry import Registry


def test_rfm_counts_sums_and_window_edges() -> None:
    world = World()
    world.order("a", NOW, net=1_000)
    world.order("a", ago(7), net=200)  # exactly 7 days ago lies outside (t - 7d, t]
    world.order("a", ago(7) + timedelta(microseconds=1), net=30)
    world.order("a", ago(89.5), net=7)
    world.order("a", ago(100), net=1_000)
    world.order("a", ago(364), net=1)
    world.order("a", ago(365), net=5_000)
    world.order("a", NOW + timedelta(microseconds=1), net=90_000)
    check(
        world,
        "a",
        {
            "orders_7d": 2,
            "net_spend_7d": 1_030,
            "orders_30d": 3,
            "net_spend_30d": 1_230,
            "orders_90d": 4,
            "net_spend_90d": 1_237,
            "orders_365d": 6,
            "net_spend_365d": 2_238,
            "orders_lifetime": 7,
            "net_spend_lifetime": 7_238,
            "recency_days": 0,
            "first_order_days": 365,
            "aov_90d": 309,  # 309.25
            "aov_365d": 373,
            "max_order_value_365d": 1_000,
            "spend_trend_90d": 1.237,
            "order_trend_90d": 4.0,
            "high_value_flag": False,
            "is_repeat_buyer": True,
            "synthetic_growth_value": 22,
        },
    )


def test_cancelled_and_unpaid_orders_do_not_count() -> None:
    world = World()
    world.order("a", ago(1), net=100)
    world.order("a", ago(2), net=900, state="cancelled")
    world.order("a", ago(3), net=900, state="unpaid")
    check(world, "a", {"orders_7d": 1, "net_spend_7d": 100, "category_count_365d": 1, "brand_count_365d": 0})


def test_twelfths_of_a_year() -> None:
    world = World()
    world.order("a", ago(1), net=600)
    world.order("a", ago(2), net=600)
    world.order("a", ago(40), net=1_200)
    # Twelfths: 1200, 1200 and ten zeros: mean 200, variance (2 * 1000^2 + 10 * 200^2) / 12 = 200 000.
    check(world, "a", {"active_months_12m": 2, "spend_cv_12m": 200_000**0.5 / 200})


def test_gaps_between_purchase_days() -> None:
    world = World()
    for day in (100, 99.9, 90, 70, 40):  # the first two fall on one local day: gaps 10, 20, 30
        world.order("a", ago(day), net=1)
    check(
        world,
        "a",
        {
            "interpurchase_days_median": 20.0,
            "interpurchase_days_p90": 28.0,  # nobody has five gaps: no prior to mix with
            "recency_over_gap": 2.0,
            "personal_dormancy_threshold": 56,
            "overdue_personal": False,
            "second_order_done": True,
            "days_first_to_second": 10,
        },
    )


def test_the_rhythm_of_the_last_weeks() -> None:
    world = World()
    for day in (200, 150.5, 20.5, 12.25, 12.0, 2.5):  # 12.25 and 12.0 are one visit, as of 12.0
        world.order("a", ago(day), net=1)
    world.order("b", ago(30), net=1)
    check(
        world,
        "a",
        {
            "orders_28d": 4,
            "orders_112d": 4,
            "active_weeks_112d": 3,  # weeks 2, 1 (twice), 0
            "active_days_182d": 4,
            "order_weight_28d": 8 + 16 + 16 + 26,
            "order_weight_182d": 32 + 162 + 170 + 170 + 180,
            "visit_gap_mean_182d": (130 + 8.5 + 9.5) / 3,
            "visit_gap_median_182d": 9.5,
            "visit_gap_p90_182d": 9.5 + 0.8 * (130 - 9.5),
            "visit_gap_max_182d": 130.0,
            "visit_gap_last_182d": 9.5,
            "recency_over_gap_mean": 2 / (148 / 3),
            "recency_over_gap_p90": 2 / (9.5 + 0.8 * 120.5),
            "recency_over_gap_max": 2 / 130,
        },
    )
    check(world, "b", {"active_days_182d": 1, "visit_gap_mean_182d": None, "recency_over_gap_max": None})


def test_few_gaps_are_mixed_with_the_populations() -> None:
    world = World()
    for day in range(0, 60, 10):  # five gaps of 10 days
        world.order("steady", ago(day), net=1)
    for day in (0, 20, 40):  # two gaps of 20 days
        world.order("young", ago(day), net=1)
    # young: (2 * 20 + 3 * 10) / 5
    check(world, "steady", {"interpurchase_days_p90": 10.0})
    check(world, "young", {"interpurchase_days_p90": 14.0})


def test_scores_of_five_buyers_and_one_who_never_bought() -> None:
    world = World()
    world.consumer("never", ago(10))
    for rank in range(1, 6):  # b1 is the oldest, rarest, poorest; b5 the opposite
        for _ in range(rank):
            world.order(f"b{rank}", ago(60 - 10 * rank), net=100 * rank)
    frame = build_tags(world.connect(), NOW, time_zone=ZONE)
    for rank, segment in ((1, "general_win_back"), (3, "important_value"), (5, "important_value")):
        row = row_of(frame, f"b{rank}")
        assert (row["r_score"], row["f_score"], row["m_score"]) == (rank, rank, rank)
        assert row["rfm_cell"] == str(rank) * 3
        assert row["rfm_segment"] == segment
        assert row["spend_percentile_365d"] == (rank - 1) / 4
    never = row_of(frame, "never")
    assert {never[n] for n in ("r_score", "f_score", "m_score", "rfm_cell", "rfm_segment")} == {None}
    assert never["orders_lifetime"] == 0


def test_equal_counts_score_equally_in_frequency() -> None:
    world = World()
    for consumer in "abcdef":
        world.order(consumer, ago(5), net=10)
    frame = build_tags(world.connect(), NOW, ["f_score", "r_score"], time_zone=ZONE)
    assert frame["f_score"].to_list() == [1] * 6
    assert sorted(frame["r_score"].to_list()) == [1, 1, 2, 3, 4, 5]  # ties broken by id


def category_world() -> World:
    world = World()
    world.product("milk", "private-1")
    world.product("beer", "national-2")
    world.product("ale", "national-3")
    dairy = {"sku_id": "milk", "category_l1_id": "l1-dairy", "category_l2_id": "l2-dairy/milk"}
    drink = {"sku_id": "beer", "category_l1_id": "l1-drink", "category_l2_id": "l2-drink/beer"}
    world.order("a", ago(200), [dairy | {"net_paid_cents": 300}])
    world.order("a", ago(100), [dairy | {"net_paid_cents": 200}, drink | {"net_paid_cents": 200}])
    world.order(
        "a", ago(10), [drink | {"net_paid_cents": 100}, drink | {"sku_id": "ale", "net_paid_cents": 200}]
    )
    world.order("b", ago(10), [drink | {"net_paid_cents": 1_000}])
    return world


def test_categories_and_brands() -> None:
    check(
        category_world(),
        "a",
        {
            "top_category_l1_365d": "l1-dairy",  # 500 each: the smaller id
            "second_category_l1_365d": "l1-drink",
            "top_category_l1_90d": "l1-drink",
            "top_category_l2_365d": "l2-dairy/milk",
            "category_count_365d": 2,
            "category_entropy_365d": 1.0,
            "category_lift_top": 0.5 / 0.25,
            "new_category_90d": False,
            "top_brand_365d": "private-1",
            "brand_count_365d": 3,
            "brand_loyalty_hhi": 1.0,  # one brand of milk
            "brand_switch_rate": 0.5,  # milk kept, beer gave way to ale
            "private_label_share": 0.5,
            "repeat_item_rate": 2 / 5,  # the second milk and the second beer
            "basket_breadth_median": 1.0,
            "consumable_share": 1.0,  # milk: one of one buyers again; beer: one of two
            "lapsed_category": None,
        },
    )
    check(category_world(), "b", {"new_category_90d": True, "brand_switch_rate": None})


def test_a_lapsed_category_and_fuel_that_is_no_category() -> None:
    world = World()
    for day in (100, 90, 80):
        world.order("a", ago(day), [{"category_l2_id": "l2-a/coffee"}])
    for day in (60, 40, 20):
        world.order("a", ago(day), [{"category_l2_id": "l2-a/tea"}])
    world.order(
        "a", ago(1), [{"category_l1_id": "l1-fuel", "is_merchandise": False, "net_paid_cents": 9_000}]
    )
    check(
        world,
        "a",
        {"lapsed_category": "l2-a/coffee", "top_category_l1_365d": "l1-a", "net_spend_365d": 9_600},
    )


@pytest.mark.parametrize(
    ("tag", "theme"),
    [
        ("mother_baby_flag", "mother_baby"),
        ("pet_owner_flag", "pet"),
        ("beauty_buyer_flag", "beauty"),
        ("health_food_flag", "health_food"),
    ],
)
def test_interest_flags_need_two_orders(tag: str, theme: str) -> None:
    world = World()
    for sku, own in (("y", theme), ("z", theme), ("hot-dogs", None), ("other", "some other theme")):
        world.product(sku, None, own)
    world.order("once", ago(5), [{"sku_id": "y"}, {"sku_id": "z"}])
    for day in (5, 6):
        world.order("twice", ago(day), [{"sku_id": "y"}])
        world.order("other", ago(day), [{"sku_id": "hot-dogs"}, {"sku_id": "other"}])
    found = build_tags(world.connect(), NOW, [tag], time_zone=ZONE)
    assert {r["consumer_id"]: r[tag] for r in found.to_dicts()} == {
        "once": False,
        "twice": True,
        "other": False,
    }


def test_prices_and_promotions() -> None:
    world = World()
    for price in (100, 200, 300, 400, 500):  # ranks 0, .25, .5, .75, 1 within the category
        consumer = "cheap" if price < 300 else "dear"
        world.order(consumer, ago(5), [{"net_paid_cents": price, "promo_discount_cents": 100}])
    world.order(
        "dear", ago(4), [{"category_l2_id": "l2-a/y", "net_paid_cents": 300, "coupon_discount_cents": 100}]
    )
    world.add("fct_coupon_redemptions", consumer_id="dear", redeemed_at=ago(4))
    world.add("fct_coupon_redemptions", consumer_id="dear", redeemed_at=ago(90))
    frame = build_tags(world.connect(), NOW, time_zone=ZONE)
    assert (
        differences(
            row_of(frame, "dear"),
            {
                "premium_tier_share": 900 / 1500,
                "price_band_pref": "q4",
                "discount_share_365d": 400 / 1900,
                "full_price_share_365d": 0.0,
                "promo_line_share_365d": 0.75,
                "max_discount_needed": 0.25,  # depths 1/4, 1/5, 1/6, 1/4
                "coupon_used_90d": 1,
                "coupon_order_share_365d": 0.25,
                "promo_only_buyer": True,
                "unit_price_median_365d": 350,
                "units_per_order_365d": 1.0,
            },
        )
        == {}
    )
    cheap = {
        "price_band_pref": "q1",
        "premium_tier_share": 0.0,
        "coupon_used_90d": 0,
        "promo_only_buyer": False,
    }
    assert differences(row_of(frame, "cheap"), cheap) == {}


def test_stockpiling_needs_three_lines_of_each_kind() -> None:
    world = World()
    for day in range(3):
        world.order("a", ago(day), [{"qty": 2, "is_on_display": True}])
        world.order("a", ago(day + 10), [{"qty": 1}])
        world.order("b", ago(day), [{"qty": 9, "is_on_display": True}])
    check(world, "a", {"stockpiler_flag": True})
    check(world, "b", {"stockpiler_flag": False})


def test_habits_are_local() -> None:
    world = World()
    # 02:30 UTC on Saturday 2017-11-04 is 21:30 local on Friday the 3rd.
    friday = datetime(2017, 11, 4, 2, 30, tzinfo=UTC)
    world.order("a", friday, net=100, merchant_id="m1")
    world.order("a", friday + timedelta(hours=1), net=100, merchant_id="m1")  # 22:30, night
    world.order("a", friday - timedelta(days=84), net=100, merchant_id="m2")  # 21:30, August 11
    world.order("a", friday + timedelta(days=8), net=50, merchant_id="m1")  # 21:30, Saturday the 11th
    check(
        world,
        "a",
        {
            "preferred_hour": 21,
            "preferred_daypart": "evening",
            "preferred_weekday": "friday",
            "weekend_share": 0.25,
            "night_share": 0.25,
            "month_start_share": 0.5,
            "season_peak_quarter": "Q4",
            "store_count_365d": 2,
            "home_store_share": 0.75,
            "cohort_month": date(2017, 8, 1),
        },
    )


def test_the_clock_is_a_circle() -> None:
    world = World()
    for hour in (4, 6, 6, 5):  # UTC; local 23, 1, 1, 0: smoothed, midnight leads
        world.order("a", datetime(2017, 11, 20, hour, tzinfo=UTC), net=1)
    world.order("a", datetime(2017, 11, 21, 4, tzinfo=UTC), net=1)
    # Local counts 23: 2, 0: 1, 1: 2. Smoothed: 23: 5, 0: 6, 1: 5.
    check(world, "a", {"preferred_hour": 0})


@pytest.mark.parametrize(
    ("days", "stage"),
    [
        ([], "prospect"),
        ([29], "new"),
        ([200, 29], "returned"),
        ([80, 29], "active"),
        ([80, 30], "cooling"),
        ([80, 60], "dormant"),
        ([400, 180], "lost"),
    ],
)
def test_lifecycle_stages(days: list[int], stage: str) -> None:
    world = World()
    world.consumer("a", ago(900))
    world.order("somebody", ago(300), net=1)
    for day in days:
        world.order("a", ago(day), net=1)
    newest = min(days, default=None)
    check(
        world,
        "a",
        {
            "lifecycle_stage": stage,
            "is_new_30d": stage == "new",
            "is_active_30d": newest is not None and newest < 30,
            "is_dormant_30d": newest is not None and newest >= 30,
            "is_lost_180d": stage == "lost",
            "is_returned_30d": stage == "returned",
            "days_since_last_active": newest,
        },
    )


def test_second_order_window_and_tenure() -> None:
    world = World()
    for consumer, gap in (("p", 4), ("q", 8), ("r", 12)):  # 75% quantile of the gaps: 10 days
        world.order(consumer, ago(50), net=1)
        world.order(consumer, ago(50 - gap), net=1)
    world.order("open", ago(10), net=1)
    world.order("late", ago(11), net=1)
    check(world, "open", {"second_order_window_open": True, "tenure_band": "<1m"})
    check(world, "late", {"second_order_window_open": False})
    check(world, "p", {"second_order_window_open": False, "tenure_band": "1-3m"})


def test_identity() -> None:
    world = World()
    world.consumer(
        "a",
        ago(100.5),
        birthday=date(1992, 12, 31),
        gender="female",
        household_size=3,
        income_band="50-74K",
        consent_marketing=True,
    )
    world.consumer("b", ago(1))
    world.consumer("future", NOW + timedelta(days=1))
    frame = build_tags(world.connect(), NOW, time_zone=ZONE)
    assert frame["consumer_id"].to_list() == ["a", "b"]
    assert (
        differences(
            row_of(frame, "a"),
            {
                "age_band": "25-34",
                "birthday_month": 12,
                "gender": "female",
                "household_size": 3,
                "income_band": "50-74K",
                "registration_age_days": 100,
                "consent_marketing": True,
                "consent_profiling": False,
            },
        )
        == {}
    )
    blank = {"gender": "unknown", "age_band": None, "household_size": None, "consent_marketing": False}
    assert differences(row_of(frame, "b"), blank) == {}


OVERLAY = {
    "sessions_7d": 1,
    "sessions_30d": 2,
    "days_visited_30d": 2,
    "product_views_30d": 3,
    "distinct_products_viewed_30d": 2,
    "search_count_30d": 1,
    "add_to_cart_30d": 1,
    "complaints_365d": 2,
    "open_complaint": True,
    "days_since_complaint": 20,
    "refund_amount_365d": 500,
    "avg_delivery_days_180d": 3.0,
    "late_delivery_rate_180d": 0.5,
    "gross_margin_365d": 40,
}


def test_tags_of_other_feeds(registry: Registry) -> None:
    world = World()
    world.order("a", ago(5), [{"supply_cost_cents": 60}, {"sku_id": "n", "supply_cost_cents": None}])
    for day, session, kind, sku in (
        (1, "s1", "view", "x"),
        (1, "s1", "view", "y"),
        (1, "s1", "add_to_cart", "y"),
        (20, "s2", "view", "x"),
        (20, "s2", "search", None),
        (31, "s3", "view", "z"),
    ):
        world.add(
            "fct_events",
            consumer_id="a",
            occurred_at=ago(day),
            session_id=session,
            event_type=kind,
            sku_id=sku,
        )
    for opened, resolved, kind, refund in (
        (40, 30, "complaint", None),
        (20, None, "complaint", None),
        (30, 10, "return", 500),
        (5, -1, "refund", 900),  # resolved tomorrow
    ):
        done = None if resolved is None else ago(resolved)
        world.add(
            "fct_after_sales",
            consumer_id="a",
            kind=kind,
            opened_at=ago(opened),
            resolved_at=done,
            refund_cents=refund,
        )
    for day, days, late in ((10, 2.0, False), (20, 4.0, True), (200, 30.0, True)):
        world.add("fct_shipments", consumer_id="a", delivered_at=ago(day), delivery_days=days, is_late=late)
    world.add("fct_shipments", consumer_id="a", received_at=ago(1), delivery_days=None, is_late=True)
    check(world, "a", OVERLAY)
    assert {registry.origin(registry.tags[name]) for name in OVERLAY} == {"overlay"}


def test_tags_of_feeds_that_never_reported_are_null() -> None:
    world = World()
    world.order("a", ago(5), net=1)
    assert set(tags_of(world, "a", list(OVERLAY)).values()) - {"a", NOW} == {None}


@pytest.mark.parametrize(
    ("gaps", "others", "days"),
    [
        ([45, 47, 107, 20], 74, 172),  # twice (4 x 89 + 74) / 5
        ([45, 47, 107, 21], 74, 172),
        ([45, 47, 108, 20], 74, 174),  # 172.96: a part of a day is a day
    ],
)
def test_a_threshold_of_whole_days_is_not_rounded_up_by_what_floating_point_adds(
    gaps: list[int], others: int, days: int
) -> None:
    world = World()
    for consumer, distances in (("a", gaps), ("b", [others] * 5)):
        for place in range(len(distances) + 1):
            world.order(consumer, ago(3 + sum(distances[:place])), net=100)
    assert tags_of(world, "a")["personal_dormancy_threshold"] == days


def test_a_consumer_without_orders_follows_the_null_rules(registry: Registry) -> None:
    world = category_world()
    world.consumer("quiet", ago(3))
    row = tags_of(world, "quiet")
    for tag in registry.tags.values():
        reported = {"orders", "order_lines", "consumers"}
        if tag.null_rule == "zero" and {s.name for s in registry.base_sources(tag)} <= reported:
            assert row[tag.name] == 0, tag.name
        if tag.null_rule == "false" and {s.name for s in registry.base_sources(tag)} <= reported:
            assert row[tag.name] is False, tag.name
    assert row["lifecycle_stage"] == "prospect"
    assert row["personal_dormancy_threshold"] == 30
    for name in ("recency_days", "aov_365d", "top_category_l1_365d", "home_store_share", "r_score"):
        assert row[name] is None


def test_good_tables_have_no_violations() -> None:
    assert validate_tags(build_tags(category_world().connect(), NOW, time_zone=ZONE)) == []


def test_what_came_back_lowers_spend_and_no_count() -> None:
    world = World()
    world.order("a", ago(20), [{"net_paid_cents": 900, "qty": 3.0}])
    world.order("a", ago(10), [{"net_paid_cents": -300, "qty": -1.0}])  # a credit note
    world.order("a", ago(5), [{"net_paid_cents": 500}, {"net_paid_cents": -200, "qty": -1.0, "sku_id": "b"}])
    check(
        world,
        "a",
        {
            "orders_30d": 2,
            "net_spend_30d": 900,
            "net_spend_7d": 300,
            "recency_days": 5,
            "max_order_value_365d": 900,
            "units_per_order_365d": 2.0,  # 3 and 1: what was bought
            "category_count_365d": 1,
        },
    )


def test_more_back_than_bought_is_below_zero_and_valid() -> None:
    world = World()
    world.order("a", ago(100), [{"net_paid_cents": 900}])
    world.order("a", ago(5), [{"net_paid_cents": -300, "qty": -1.0}])
    check(
        world,
        "a",
        {"net_spend_30d": -300, "orders_30d": 0, "spend_trend_90d": 0.0, "synthetic_growth_value": 6},
    )
    assert validate_tags(build_tags(world.connect(), NOW, time_zone=ZONE)) == []


def test_a_refunded_order_is_no_purchase() -> None:
    world = World()
    world.order("a", ago(5), net=900, state="refunded")
    check(world, "a", {"orders_lifetime": 0, "net_spend_lifetime": 0, "recency_days": None})


def test_guests_are_nobody_and_move_nobodys_tags() -> None:
    world = World()
    world.order("a", ago(5), [{"net_paid_cents": 100, "category_l1_id": "l1-a"}])
    alone = build_tags(world.connect(), NOW, time_zone=ZONE)
    for _ in range(50):
        world.order(None, ago(3), [{"net_paid_cents": 9_000, "category_l1_id": "l1-b"}])
    assert build_tags(world.connect(), NOW, time_zone=ZONE).equals(alone)
    assert alone["consumer_id"].to_list() == ["a"]


def test_a_member_who_never_bought_has_zeros_and_nulls_by_the_null_rules() -> None:
    world = World()
    world.consumer("silent", ago(50))
    world.order("a", ago(5), net=100)
    check(
        world,
        "silent",
        {
            "orders_lifetime": 0,
            "net_spend_365d": 0,
            "recency_days": None,
            "aov_365d": None,
            "units_per_order_365d": None,
            "lifecycle_stage": "prospect",
            "high_value_flag": False,
            "top_category_l1_365d": None,
            "private_label_share": None,
        },
    )


def test_goods_by_weight_count_by_the_unit() -> None:
    world = World()
    world.order(
        "a",
        ago(5),
        [{"qty": 0.345, "net_paid_cents": 138}, {"qty": 1.2, "net_paid_cents": 480, "sku_id": "b"}],
    )
    check(world, "a", {"units_per_order_365d": 1.545, "unit_price_median_365d": 400})


def test_own_brands_are_unknown_where_nobody_says() -> None:
    world = World()
    world.product("sku", None)
    world.order("a", ago(5), net=100)
    check(world, "a", {"private_label_share": None})


@pytest.mark.parametrize(
    ("moment", "hour", "daypart"),
    [
        # London's clocks went forward at 01:00 UTC on 26 March 2017 and back at 01:00 UTC on 29 October.
        (datetime(2017, 3, 26, 0, 59, tzinfo=UTC), 0, "night"),
        (datetime(2017, 3, 26, 1, 0, tzinfo=UTC), 2, "night"),
        (datetime(2017, 10, 29, 0, 59, tzinfo=UTC), 1, "night"),
        (datetime(2017, 10, 29, 1, 0, tzinfo=UTC), 1, "night"),
        (datetime(2017, 7, 1, 5, 30, tzinfo=UTC), 6, "morning"),
        (datetime(2017, 11, 30, 5, 30, tzinfo=UTC), 5, "night"),
    ],
)
def test_local_hours_follow_the_clock_of_the_zone(moment: datetime, hour: int, daypart: str) -> None:
    assert moment.astimezone(ZoneInfo("Europe/London")).hour == hour
    world = World()
    world.order("a", moment, net=1)
    found = row_of(build_tags(world.connect(), NOW, time_zone="Europe/London"), "a")
    assert (found["preferred_hour"], found["preferred_daypart"]) == (hour, daypart)


def test_local_days_follow_the_clock_of_the_zone() -> None:
    """23:30 UTC is the next day in London in summer and the same day in winter."""
    world = World()
    world.order("a", datetime(2017, 7, 1, 23, 30, tzinfo=UTC), net=1)
    world.order("a", datetime(2017, 7, 2, 9, 0, tzinfo=UTC), net=1)
    world.order("b", datetime(2017, 11, 11, 23, 30, tzinfo=UTC), net=1)
    world.order("b", datetime(2017, 11, 12, 9, 0, tzinfo=UTC), net=1)
    frame = build_tags(
        world.connect(), NOW, ["second_order_done", "days_first_to_second"], time_zone="Europe/London"
    )
    assert frame.select("consumer_id", "days_first_to_second").rows() == [("a", None), ("b", 1)]
