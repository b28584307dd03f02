"""Coupons, touches, messages, points worked out by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tag_hand import check

from benchmarks.tags.tag_oracle.world import NOW, World, ago


def test_coupons_used() -> None:
    world = World()
    for day, coupon, kind, value in (
        (10, "k1", "off", 100),
        (40, "k2", "gift", None),
        (300, "k3", "off", 50),
    ):
        world.add(
            "fct_coupon_redemptions",
            coupon_id=coupon,
            consumer_id="a",
            kind=kind,
            value_cents=value,
            redeemed_at=ago(day),
        )
    world.consumer("a", ago(500))
    world.consumer("b", ago(500))
    check(
        world,
        "a",
        {
            "coupon_used_30d": 1,
            "coupon_used_365d": 3,
            "coupon_value_used_365d": 150,
            "coupon_kinds_used_365d": 2,
            "days_since_coupon_used": 10,
        },
    )
    check(world, "b", {"coupon_used_30d": 0, "coupon_value_used_365d": None, "days_since_coupon_used": None})


def test_coupons_granted() -> None:
    world = World()
    world.consumer("a", ago(500))
    world.consumer("b", ago(500))
    # Ends at 02:00 UTC on 5 December, that is on the 4th local: in three days.
    for coupon, start, end in (
        ("used", ago(50), ago(1)),
        ("used late", ago(60), ago(1)),
        ("ended", ago(50), ago(2)),
        ("soon", ago(100), datetime(2017, 12, 5, 2, tzinfo=UTC)),
        ("later", ago(10), ago(-30)),
        ("old", ago(365), ago(-30)),
        ("future", ago(-1), ago(-30)),
    ):
        world.add("dim_coupons", coupon_id=coupon, consumer_id="a", starts_at=start, ends_at=end)
    for coupon, day in (("used", 48), ("used", 30), ("used late", 50)):
        world.add("fct_coupon_redemptions", coupon_id=coupon, consumer_id="a", redeemed_at=ago(day))
    check(
        world,
        "a",
        {
            "coupon_received_90d": 4,
            "coupon_received_365d": 5,
            "coupon_redeem_rate_365d": 0.4,
            "coupon_days_to_use_365d": 6.0,  # 2 and 10
            "unused_coupon_count": 2,
            "coupon_expiring_3d": True,
            "coupon_expired_rate_365d": 0.2,
        },
    )
    check(
        world, "b", {"unused_coupon_count": 0, "coupon_redeem_rate_365d": None, "coupon_expiring_3d": False}
    )


def test_touches() -> None:
    world = World()
    world.order("a", ago(3), net=100)
    world.order("a", ago(2), net=100)
    for number, (day, channel, campaign, cost) in enumerate(
        (
            (400, "tv", "old", 7),
            (300, "mail", "spring", 5),
            (80, "sms", "spring", None),
            (10.5, "mail", "fall", 6),
        )
    ):
        world.add(
            "fct_touches",
            touch_id=f"t{number}",
            consumer_id="a",
            channel=channel,
            campaign=campaign,
            cost_cents=cost,
            occurred_at=ago(day),
        )
    check(
        world,
        "a",
        {
            "touches_30d": 1,
            "touches_90d": 2,
            "touches_365d": 3,
            "campaign_exposed_365d": 2,
            "touch_channels_365d": 2,
            "first_touch_channel": "tv",
            "last_touch_channel": "mail",
            "days_since_touch": 10,
            "touch_cost_365d": 11,
            "touch_cost_per_order_365d": 6,  # 5.5, rounded half up
        },
    )


def test_messages() -> None:
    world = World()
    world.consumer("a", ago(500))
    world.consumer("b", ago(500))
    for number, (day, journey, channel, outcome) in enumerate(
        (
            (200, "campaign", "push", "opted_out"),
            (120, "wake_up", "sms", "converted"),
            (60, "wake_up", "sms", "clicked"),
            (50, "campaign", "wecom", "clicked"),
            (40, "campaign", "wecom", "opened"),
            (20, "wake_up", "push", "delivered"),
            (7, "campaign", "push", "delivered"),
            (1, "campaign", "sms", "delivered"),
        )
    ):
        world.add(
            "fct_messages",
            message_id=f"n{number}",
            consumer_id="a",
            journey=journey,
            channel=channel,
            outcome=outcome,
            sent_at=ago(day),
        )
    check(
        world,
        "a",
        {
            "marketing_msgs_7d": 1,
            "marketing_msgs_30d": 3,
            "messages_90d": 6,
            "message_channels_90d": 3,
            "message_clicks_90d": 2,
            "open_rate_90d": 0.5,
            "click_rate_90d": 2 / 6,
            "message_conversions_180d": 1,
            "days_since_message": 1,
            "days_since_message_click": 50,
            "ignored_streak_180d": 3,
            "opted_out_any": True,
            "preferred_message_channel_180d": "sms",  # two clicks against one
            "best_open_hour_180d": 7,
            "wakeup_attempts_90d": 2,
            "last_wakeup_result_180d": "delivered",
        },
    )
    check(
        world,
        "b",
        {
            "ignored_streak_180d": 0,
            "open_rate_90d": None,
            "opted_out_any": False,
            "preferred_message_channel_180d": None,
            "best_open_hour_180d": None,
            "last_wakeup_result_180d": None,
        },
    )


def test_points() -> None:
    world = World()
    world.consumer("a", ago(500))
    for day, delta, expires in (
        (400, 50, date(2017, 12, 1)),  # lapses today
        (100, 30, date(2017, 12, 31)),  # in 30 days
        (80, 20, date(2018, 1, 1)),
        (10, -40, None),
        (300, -5, None),
    ):
        world.add(
            "fct_points_ledger", consumer_id="a", points_delta=delta, expires_on=expires, occurred_at=ago(day)
        )
    check(
        world,
        "a",
        {
            "points_balance": 55,
            "points_earned_90d": 20,
            "points_earned_365d": 50,
            "points_redeemed_90d": 40,
            "points_redeemed_365d": 45,
            "points_redeem_rate_365d": 0.9,
            "points_redemptions_365d": 2,
            "points_expiring_30d": 80,
            "days_since_points_spent": 10,
        },
    )
    assert NOW.date() == date(2017, 12, 1)


def test_levels_of_members() -> None:
    world = World()
    for consumer in ("a", "b", "c"):
        world.consumer(consumer, ago(500))
    for number, (consumer, day, cause, level, growth, to_next, is_at_risk) in enumerate(
        (
            ("a", 300, "joined", "ordinary", 10, 490, False),
            ("a", 120, "up", "gold", 2_100, 2_900, False),
            ("a", 5, "growth", "gold", 1_500, 3_500, False),
            ("a", 2, "at_risk", "gold", 1_400, 3_600, True),
            ("a", -1, "down", "silver", 1_400, 600, False),  # tomorrow
            ("b", 40, "joined", "diamond", 9_000, None, False),
        )
    ):
        world.add(
            "fct_level_changes",
            change_id=f"lv-{number}",
            consumer_id=consumer,
            cause=cause,
            level=level,
            growth=growth,
            growth_to_next=to_next,
            is_at_risk=is_at_risk,
            changed_at=ago(day),
            received_at=ago(day),
        )
    check(
        world,
        "a",
        {
            "member_level": "gold",
            "growth_value": 1_400,
            "growth_to_next_level": 3_600,
            "is_level_at_risk": True,
            "days_as_member": 300,
            "days_on_level": 120,
        },
    )
    check(
        world,
        "b",
        {
            "member_level": "diamond",
            "growth_to_next_level": None,
            "is_level_at_risk": False,
            "days_on_level": 40,
        },
    )
    check(world, "c", {"member_level": None, "growth_value": None, "is_level_at_risk": False})
