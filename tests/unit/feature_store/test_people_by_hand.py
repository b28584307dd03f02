"""Consumers' own rows, cases and parcels by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local, a Friday."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from tag_hand import check

from benchmarks.tags.tag_oracle.compare import row_of
from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.offline import build_tags


def test_attributes_as_known() -> None:
    world = World()
    world.consumer(
        "a", ago(90), acquisition_channel="wecom", city="Hangzhou", merchant_id="m7", inviter_id="z"
    )
    world.consumer("b", ago(90))
    check(
        world,
        "a",
        {
            "acquisition_channel": "wecom",
            "stated_city": "Hangzhou",
            "registered_merchant": "m7",
            "referred_by": "z",
            "is_referred": True,
        },
    )
    check(world, "b", {"acquisition_channel": "unknown", "referred_by": None, "is_referred": False})


@pytest.mark.parametrize(
    ("birthday", "days"),
    [
        (date(1990, 12, 1), 0),
        (date(1990, 12, 31), 30),
        (date(1990, 1, 1), 31),
        (date(1990, 11, 30), 364),
        (date(1992, 2, 29), 89),  # kept on 28 February 2018
        (None, None),
    ],
)
def test_days_to_the_next_birthday(birthday: date | None, days: int | None) -> None:
    world = World()
    world.consumer("a", ago(90), birthday=birthday)
    soon = days is not None and days <= 30
    check(world, "a", {"days_to_birthday": days, "birthday_within_30d": soon})


def test_a_consent_that_was_withdrawn_held_until_then() -> None:
    """Given at registration, withdrawn after 10 days, given again after 20; profiling was never allowed."""
    world = World()
    start = ago(100)
    steps = [(start, True), (start + timedelta(days=10), False), (start + timedelta(days=20), True)]
    for (at, allowed), until in zip(steps, [steps[1][0], steps[2][0], None], strict=True):
        world.consumer(
            "a",
            start,
            consent_marketing=allowed,
            consent_profiling=False,
            city="x" if allowed else "y",
            received_at=at,
            superseded_at=until,
        )
    names = [
        "consent_marketing",
        "stated_city",
        "marketing_consent_given_days",
        "marketing_consent_withdrawn_days",
        "consent_changes_365d",
        "profile_changes_365d",
    ]
    con = world.connect()

    def at(moment: datetime) -> list[object]:
        found = row_of(build_tags(con, moment, names, time_zone=ZONE), "a")
        return [found[name] for name in names]

    tick = timedelta(microseconds=1)
    assert at(start) == [True, "x", 0, None, 0, 0]
    assert at(steps[1][0] - tick) == [True, "x", 9, None, 0, 0]
    assert at(steps[1][0]) == [False, "y", 10, 0, 1, 1]
    assert at(steps[2][0]) == [True, "x", 0, 10, 2, 2]
    assert at(NOW) == [True, "x", 80, 90, 2, 2]


def test_referrals() -> None:
    world = World()
    world.consumer("a", ago(500))
    world.consumer("quiet", ago(500))
    world.consumer("f1", ago(200), inviter_id="a")
    world.consumer("f2", ago(50), inviter_id="a")
    world.consumer("f3", ago(20), inviter_id="a")
    world.order("f1", ago(190), net=500)
    world.order("f1", ago(100), [{"net_paid_cents": -200, "qty": -1.0}])
    world.order("f2", ago(10), net=70)
    world.order("f3", ago(10), net=900, state="cancelled")
    check(
        world,
        "a",
        {
            "invites_90d": 2,
            "invites_lifetime": 3,
            "invited_buyers_lifetime": 2,
            "referred_gmv_365d": 370,
            "referral_conversion_rate": 2 / 3,
        },
    )
    check(world, "quiet", {"invites_lifetime": 0, "referral_conversion_rate": None})


def test_nobody_knows_of_referrals_where_no_source_tells() -> None:
    world = World()
    world.order("a", ago(5), net=1)
    world.consumer("a", ago(9))
    check(world, "a", {"invites_lifetime": None, "referred_gmv_365d": None, "is_referred": False})


def test_after_sales_cases() -> None:
    world = World()
    world.consumer("a", ago(500))
    for day in (200, 100, 50, 10):
        world.order("a", ago(day), net=500)
    for opened, days, kind, reason, sku, refund in (
        (190, 4, "refund", "damaged", "x", 200),
        (95, 2, "return", "changed_mind", "y", 101),
        (45, None, "complaint", "quality", "x", None),
        (40, 50, "complaint", "wrong_item", "z", None),  # resolved in ten days
        (30, 1, "complaint", "quality", "z", None),
        (400, 1, "refund", "damaged", "x", 900),
    ):
        world.add(
            "fct_after_sales",
            consumer_id="a",
            kind=kind,
            reason_code=reason,
            sku_id=sku,
            opened_at=ago(opened),
            resolved_at=None if days is None else ago(opened - days),
            resolution_days=None if days is None else float(days),
            refund_cents=refund,
        )
    check(
        world,
        "a",
        {
            "cases_90d": 3,
            "cases_365d": 5,
            "refund_cases_365d": 1,
            "return_cases_365d": 1,
            "quality_cases_365d": 3,
            "changed_mind_cases_365d": 1,
            "case_skus_365d": 3,
            "open_cases": 2,
            "days_since_case": 30,
            "complaint_top_reason_365d": "quality",
            "complaint_rate_365d": 0.75,
            "case_rate_365d": 1.25,
            "refund_share_365d": 301 / 2_000,
            "avg_refund_365d": 151,  # 150.5, rounded half up
            "avg_resolution_days_365d": 7 / 3,
        },
    )


def test_parcels() -> None:
    world = World()
    for number, (order, supplier, region, left, came, days, late) in enumerate(
        (
            ("o1", "s1", "east", 100, 96, 4.0, True),
            ("o1", "s2", "east", 100, 98, 2.0, False),
            ("o2", "s1", "west", 50, 40, 10.0, True),
            ("o3", "s1", "west", 5, None, None, False),
            ("o4", "s1", "south", 3, -1, 4.0, False),  # arrives tomorrow
            ("o5", "s9", "north", 400, 390, 10.0, False),
        )
    ):
        world.add(
            "fct_shipments",
            shipment_id=f"p{number}",
            consumer_id="a",
            order_id=order,
            supplier_id=supplier,
            to_region=region,
            shipped_at=ago(left),
            received_at=ago(left),
            delivered_at=None if came is None else ago(came),
            delivery_days=days,
            is_late=late,
            last_node="exception" if number in (2, 5) else "delivered",
            last_node_at=ago(left - 1),
        )
    world.consumer("a", ago(500))
    check(
        world,
        "a",
        {
            "deliveries_365d": 3,
            "late_deliveries_90d": 1,
            "last_delivery_late": True,
            "max_delivery_days_180d": 10.0,
            "delivery_days_p90_180d": 8.8,  # 2, 4, 10
            "days_since_delivery": 40,
            "parcels_under_way": 2,
            "parcel_suppliers_365d": 2,
            "split_order_rate_365d": 0.25,
            "delivery_exceptions_90d": 1,
            "home_region_365d": "east",  # two each: the first by name
        },
    )
