"""Categories, brands and discounts worked out by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local, a Friday."""

from __future__ import annotations

from datetime import date

from tag_hand import check

from benchmarks.tags.tag_oracle.world import World, ago


def test_shares_of_categories_and_brands() -> None:
    world = World()
    world.product("milk", "b1")
    world.product("beer", "b2")
    world.product("ale", "b3")
    dairy = {"sku_id": "milk", "category_l1_id": "dairy", "category_l2_id": "dairy/milk"}
    drink = {"sku_id": "beer", "category_l1_id": "drink", "category_l2_id": "drink/beer"}
    world.order("a", ago(200), [dairy | {"net_paid_cents": 300}])
    world.order("a", ago(100), [dairy | {"net_paid_cents": 300}, drink | {"net_paid_cents": 200}])
    world.order(
        "a", ago(10), [drink | {"sku_id": "ale", "net_paid_cents": 200}, drink | {"net_paid_cents": 0}]
    )
    check(
        world,
        "a",
        {
            "category_l2_count_365d": 2,
            "top_category_share_365d": 0.6,
            "category_hhi_365d": 0.52,
            "top_brand_share_365d": 0.6,
            "second_brand_365d": "b2",  # 200 each: the smaller id
            "top_sku_365d": "milk",  # two lines each of milk and beer: the larger net
            "top_sku_share_365d": 0.4,
            "repeat_skus_365d": 2,
            "new_sku_share_90d": 0.5,  # ale is new, beer is not
        },
    )


def test_lapsed_categories_are_counted() -> None:
    world = World()
    for day in (100, 90, 80):
        world.order("a", ago(day), [{"category_l2_id": "coffee"}])
        world.order("a", ago(day + 100), [{"category_l2_id": "cocoa"}])
    for day in (60, 40, 20):
        world.order("a", ago(day), [{"category_l2_id": "tea"}])
    check(world, "a", {"lapsed_category_count": 2})


def test_launches_and_interests() -> None:
    world = World()
    world.product("new", None, "pet", launched_on=date(2017, 11, 1))
    world.product("old", None, "beauty", launched_on=date(2017, 9, 1))
    world.product("untold", None, "mother_baby")
    world.product("tonic", None, "health_food")
    world.order(
        "a",
        ago(5),  # 26 November: 25 days after the one launch, 86 after the other
        [
            {"sku_id": "new", "net_paid_cents": 10},
            {"sku_id": "old", "net_paid_cents": 20},
            {"sku_id": "untold", "net_paid_cents": 40},
            {"sku_id": "tonic", "net_paid_cents": 80},
        ],
    )
    world.order("a", ago(366), [{"sku_id": "new", "net_paid_cents": 500}])
    check(
        world,
        "a",
        {
            "new_product_share_365d": 0.5,
            "theme_count_365d": 4,
            "pet_spend_365d": 10,
            "beauty_spend_365d": 20,
            "mother_baby_spend_365d": 40,
            "health_food_spend_365d": 80,
        },
    )


def test_discounts() -> None:
    world = World()
    world.order(
        "a",
        ago(100),
        [
            {"sku_id": "s1", "net_paid_cents": 60, "promo_discount_cents": 40},
            {"sku_id": "s2", "net_paid_cents": 100, "is_on_display": True},
        ],
    )
    world.order(
        "a",
        ago(10),
        [
            {"sku_id": "s1", "net_paid_cents": 80, "promo_discount_cents": 5, "coupon_discount_cents": 15},
            {"sku_id": "s2", "net_paid_cents": 100, "is_on_mailer": True},
            {"sku_id": "s3", "net_paid_cents": 60},
        ],
    )
    world.order("a", ago(9), [{"sku_id": "s3", "net_paid_cents": 100}])
    check(
        world,
        "a",
        {
            "discount_amount_365d": 60,
            "coupon_discount_365d": 15,
            "discount_share_90d": 20 / 360,
            "full_price_share_90d": 0.75,
            "display_line_share_365d": 1 / 6,
            "mailer_line_share_365d": 1 / 6,
            "promo_spend_share_365d": 340 / 500,
            "deepest_discount_365d": 0.4,
            "discounted_orders_365d": 2,
        },
    )
