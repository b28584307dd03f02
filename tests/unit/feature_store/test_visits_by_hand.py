"""Behaviour in the shop worked out by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local, a Friday."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tag_hand import check

from benchmarks.tags.tag_oracle.world import World, ago


def shop() -> World:
    """A shop with consumer a."""
    world = World()
    world.consumer("a", ago(500))
    return world


def seen(
    world: World, day: float, kind: str, sku: str | None = None, visit: str = "v", **values: Any
) -> None:
    """An event of consumer a."""
    world.add(
        "fct_events",
        consumer_id="a",
        occurred_at=ago(day),
        session_id=visit,
        event_type=kind,
        sku_id=sku,
        **values,
    )


def test_counts_of_events() -> None:
    world = shop()
    for day, kind, sku in (
        (1, "view", "x"),
        (2, "view", "y"),
        (6.9, "add_to_cart", "x"),
        (7, "add_to_cart", "y"),
        (8, "view", "x"),
        (29, "remove_from_cart", "x"),
        (20, "favourite", "x"),
        (21, "favourite", "x"),
        (50, "favourite", "y"),
        (3, "impression", "x"),
        (4, "impression", "y"),
        (5, "impression", "z"),
        (6, "impression", "x"),
        (10, "checkout", None),
        (12, "checkout", None),
        (40, "share", "x"),
        (3, "share", "x"),
        (3, "share", "y"),
        (89, "view", "x"),
        (90, "view", "x"),
    ):
        seen(world, day, kind, sku, visit=f"v{int(day)}")
    check(
        world,
        "a",
        {
            "product_views_7d": 2,
            "product_views_90d": 4,
            "add_to_cart_7d": 1,
            "remove_from_cart_30d": 1,
            "favourites_30d": 2,
            "favourite_skus_90d": 2,
            "impressions_30d": 4,
            "checkouts_30d": 2,
            "events_30d": 16,
            "sessions_90d": 16,
            "days_visited_90d": 16,
            "shares_30d": 2,
            "shares_90d": 3,
            "shared_skus_90d": 2,
            "views_per_impression_30d": 0.75,
            "carts_per_view_30d": 2 / 3,
            "viewing_sessions_90d": 4,
            "days_since_visit": 1,
            "days_since_cart": 6,
            "days_since_checkout": 10,
        },
    )


def test_searches() -> None:
    world = shop()
    for day, query in ((1, " Milk"), (2, "milk "), (3, "tea"), (4, "tea"), (8, "oat milk"), (9, "  ")):
        seen(world, day, "search", query=query)
    check(
        world,
        "a",
        {
            "search_count_7d": 4,
            "distinct_searches_30d": 4,  # milk, tea, oat milk and the empty one
            "top_search_term_30d": "milk",  # twice, as tea: the first by name
        },
    )


def test_time_spent() -> None:
    world = shop()
    seen(world, 1, "view", "x", dwell_ms=1_500)
    seen(world, 2, "view", "y", dwell_ms=2_200)
    seen(world, 3, "view", "y", dwell_ms=None)
    seen(world, 31, "view", "y", dwell_ms=90_000)
    check(world, "a", {"dwell_seconds_30d": 3, "avg_dwell_seconds_30d": 1.85})


def test_what_interests() -> None:
    world = shop()
    for sku, l1, l2, brand in (
        ("x", "food", "food/tea", "b1"),
        ("y", "home", "home/pot", "b2"),
        ("z", "home", "home/cup", "b2"),
    ):
        world.product(sku, brand, category_l1_id=l1, category_l2_id=l2)
    for day, sku in ((1, "x"), (7, "y"), (13.9, "z"), (20, "y"), (25, "z"), (10, "unknown")):
        seen(world, day, "view", sku)
    # food 8; home 4 + 4 + 2 + 1 = 11; tea 8, pot 4 + 2, cup 4 + 1.
    check(
        world,
        "a",
        {
            "category_interest_browse": "home",
            "category_l2_interest_browse": "food/tea",
            "brand_interest_browse": "b2",
            "categories_viewed_30d": 3,
            "brands_viewed_30d": 2,
            "view_repeat_max_14d": 1,
        },
    )
    for _ in range(3):
        seen(world, 13.999, "view", "x")
    seen(world, 14, "view", "x")
    check(world, "a", {"view_repeat_max_14d": 4})


def test_sessions() -> None:
    world = shop()
    hour = 1 / 24
    for day, kind, visit in (
        (1, "view", "buys"),
        (1 - hour / 60, "add_to_cart", "buys"),
        (1 - hour / 30, "checkout", "buys"),  # two minutes after the first
        (2, "view", "leaves"),
        (2 - hour / 60, "add_to_cart", "leaves"),
        (3, "view", "looks"),
        (40, "view", "old"),
    ):
        seen(world, day, kind, "x", visit=visit)
    world.order("a", ago(1), net=5)
    check(
        world,
        "a",
        {
            "avg_session_seconds_30d": 60.0,
            "page_depth_30d": 1.0,
            "bounce_rate_30d": 1 / 3,
            "cart_abandon_rate_30d": 0.5,
            "session_checkout_rate_30d": 1 / 3,
            "view_to_order_rate_90d": 0.25,
            "visit_trend_30d": 3.0,
            "preferred_visit_daypart_30d": "morning",  # 07:00 local
        },
    )


def test_what_lies_in_the_cart() -> None:
    world = shop()
    seen(world, 20, "add_to_cart", "paid")
    seen(world, 19, "checkout")
    seen(world, 10, "add_to_cart", "kept")
    seen(world, 9, "add_to_cart", "out")
    seen(world, 8, "remove_from_cart", "out")
    seen(world, 7, "add_to_cart", "again")
    seen(world, 6, "remove_from_cart", "again")
    seen(world, 5, "add_to_cart", "again")
    check(world, "a", {"open_cart_skus_30d": 2, "cart_abandon_24h": False})
    seen(world, 0.5, "add_to_cart", "late")
    check(world, "a", {"open_cart_skus_30d": 3, "cart_abandon_24h": True})
    seen(world, 0.4, "checkout")
    check(world, "a", {"open_cart_skus_30d": 0, "cart_abandon_24h": False})


def test_a_cart_is_abandoned_for_a_day() -> None:
    world = shop()
    seen(world, 1, "add_to_cart", "x")
    check(world, "a", {"cart_abandon_24h": False})
    world.tables["fct_events"][0]["occurred_at"] += timedelta(microseconds=1)
    world.tables["fct_events"][0]["received_at"] += timedelta(microseconds=1)
    check(world, "a", {"cart_abandon_24h": True})
