"""Made-up shops in which every feed reports, with late, corrected and future rows on the edges of windows."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

from benchmarks.tags.tag_oracle.feeds import Feeds
from benchmarks.tags.tag_oracle.loops import Oracle
from benchmarks.tags.tag_oracle.world import World, ago

SKUS = [f"s{number}" for number in range(8)]
CATEGORIES = ["food/tea", "food/milk", "home/pot", "home/cup", "toys/ball"]
KINDS = [
    "view",
    "view",
    "view",
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "search",
    "favourite",
    "share",
]
EDGES = [0, 1, 7, 14, 21, 28, 30, 60, 84, 90, 180, 365]


def consumers_of(buyers: int) -> list[str]:
    """Ids of a world's consumers: the buyers, and one who never did anything."""
    return [*(f"c{number}" for number in range(1, buyers + 1)), "silent"]


def random_world(seed: int, buyers: int = 4) -> World:
    """Consumers with every kind of row; times lie on window edges, at night, late and in the future.

    Args:
        seed: Seed of every draw.
        buyers: Consumers with rows of every kind: about 10 orders, 30 events and messages, 15 of the rest.
    """
    consumers = consumers_of(buyers)
    rng = random.Random(seed)
    world = World()

    def moment(reach: int = 400) -> datetime:
        whole = ago(rng.choice(EDGES)) + timedelta(microseconds=rng.choice([-1, 0, 1]))
        return whole if rng.random() < 0.3 else ago(rng.uniform(-5, reach))

    def times(**values: datetime | None) -> dict[str, Any]:
        first = next(value for value in values.values() if value is not None)
        late = timedelta(hours=rng.choice([0, 0, 0, 5, 24 * 20]))
        return values | {"received_at": first + late}

    for number, sku in enumerate(SKUS):
        category = CATEGORIES[number % len(CATEGORIES)]
        world.product(
            sku,
            [None, "national-1", "private-2", "national-3"][number % 4],
            [None, "pet", "beauty", "mother_baby", "health_food"][number % 5],
            category_l1_id=category.split("/")[0],
            category_l2_id=category,
            launched_on=None if number % 3 else ago(rng.uniform(0, 400)).date(),
        )
    for consumer in consumers:
        start = ago(rng.uniform(300, 700))
        changes = sorted({start, *(moment(290) for _ in range(rng.randint(0, 3)))})
        changes = [at for at in changes if at >= start]
        for at, until in zip(changes, [*changes[1:], None], strict=True):
            world.consumer(
                consumer,
                start,
                merchant_id=rng.choice(["m1", "m2"]),
                inviter_id=rng.choice([None, "c1", "c2"]),
                birthday=rng.choice([None, ago(9_000).date(), date(1992, 2, 29)]),
                gender=rng.choice([None, "female"]),
                city=rng.choice([None, "Hangzhou"]),
                acquisition_channel=rng.choice([None, "wecom"]),
                household_size=rng.choice([None, 2]),
                income_band=rng.choice([None, "35-49K"]),
                consent_marketing=rng.random() < 0.5,
                consent_profiling=rng.random() < 0.5,
                received_at=at,
                superseded_at=until,
            )
    active = consumers[:-1]
    for _ in range(10 * buyers):
        consumer, at = rng.choice(active), moment(500)
        lines = []
        for sku in rng.sample(SKUS, rng.randint(1, 3)):
            category = CATEGORIES[SKUS.index(sku) % len(CATEGORIES)]
            lines.append(
                {
                    "sku_id": sku,
                    "category_l1_id": category.split("/")[0],
                    "category_l2_id": category,
                    "qty": rng.choice([1.0, 2.0, 0.345]),
                    "net_paid_cents": rng.choice([50, 100, 999]),
                    "promo_discount_cents": rng.choice([0, 0, 30]),
                    "coupon_discount_cents": rng.choice([0, 0, 20]),
                    "is_merchandise": rng.random() < 0.9,
                    "is_on_display": rng.random() < 0.3,
                    "is_on_mailer": rng.random() < 0.3,
                    "supply_cost_cents": rng.choice([None, 40]),
                }
            )
        head: dict[str, Any] = {
            "merchant_id": rng.choice(["m1", "m2"]),
            "channel": rng.choice(["store", "live", "wecom", "mini_program"]),
            "agent_id": rng.choice([None, "g1", "g2"]),
            "freight": rng.choice([0, 0, 12]),
        }
        received = at + timedelta(hours=rng.choice([0, 0, 5, 24 * 30]))
        state = rng.choice(["paid", "paid", "paid", "paid", "unpaid", "cancelled", "refunded"])
        turned = received + timedelta(days=rng.uniform(0, 50)) if rng.random() < 0.2 else None
        number = world.order(
            consumer, at, lines, state=state, received_at=received, superseded_at=turned, **head
        )
        if turned is not None:
            world.order(consumer, at, lines, order_id=number, state="cancelled", received_at=turned, **head)
        elif state == "paid" and rng.random() < 0.3:
            back = lines[0] | {"qty": -1.0, "net_paid_cents": -20, "supply_cost_cents": None}
            back |= {"promo_discount_cents": 0, "coupon_discount_cents": 0}
            world.order(consumer, received + timedelta(days=rng.uniform(0, 30)), [back])
    for number in range(30 * buyers):
        world.add(
            "fct_events",
            consumer_id=rng.choice(active),
            session_id=f"v{rng.randint(0, 6 * buyers + 1)}",
            event_type=(kind := rng.choice([*KINDS, "impression"])),
            sku_id=None if kind in ("checkout", "search") else rng.choice([*SKUS, "unknown"]),
            query=rng.choice(["milk", " Milk", "tea"]) if kind == "search" else None,
            dwell_ms=rng.choice([None, 1_500, 700]) if kind == "view" else None,
            **times(occurred_at=moment(100)),
        )
        sent = times(sent_at=moment(250))
        world.add(
            "fct_messages",
            message_id=f"n{number:03d}",
            consumer_id=rng.choice(active),
            journey=rng.choice(["wake_up", "campaign"]),
            channel=rng.choice(["sms", "wecom"]),
            outcome=rng.choice(["delivered", "delivered", "opened", "clicked", "converted", "opted_out"]),
            **sent,
        )
    for number in range(15 * buyers):
        consumer = rng.choice(active)
        world.add(
            "fct_touches",
            touch_id=f"t{number:03d}",
            consumer_id=consumer,
            channel=rng.choice(["mail", "sms"]),
            campaign=rng.choice(["spring", "fall", "winter"]),
            cost_cents=rng.choice([None, 7]),
            **times(occurred_at=moment()),
        )
        world.add(
            "fct_points_ledger",
            consumer_id=consumer,
            points_delta=rng.choice([10, 20, -5]),
            expires_on=rng.choice([None, ago(rng.uniform(-60, 60)).date()]),
            **times(occurred_at=moment()),
        )
        changed = moment()
        world.add(
            "fct_level_changes",
            change_id=f"lv-{number}",
            consumer_id=consumer,
            cause=rng.choice(["joined", "up", "down", "growth", "at_risk", "safe"]),
            level=rng.choice(["ordinary", "silver", "gold", "diamond"]),
            growth=rng.randint(0, 9_000),
            growth_to_next=rng.choice([None, 0, 40]),
            is_at_risk=rng.random() < 0.3,
            changed_at=changed,
            received_at=changed,
        )
        opened = moment()
        done = opened + timedelta(days=rng.uniform(0, 40)) if rng.random() < 0.8 else None
        world.add(
            "fct_after_sales",
            consumer_id=consumer,
            sku_id=rng.choice(SKUS),
            kind=rng.choice(["complaint", "refund", "return"]),
            reason_code=rng.choice(["quality", "damaged", "changed_mind"]),
            resolved_at=done,
            resolution_days=None if done is None else round((done - opened) / timedelta(days=1), 6),
            refund_cents=rng.choice([None, 150]) if done is not None else None,
            **times(opened_at=opened),
        )
        left = moment()
        came = left + timedelta(days=rng.uniform(0.5, 20)) if rng.random() < 0.8 else None
        world.add(
            "fct_shipments",
            shipment_id=f"p{number:03d}",
            consumer_id=consumer,
            order_id=f"o{rng.randint(1, 7 * buyers + 2)}",
            supplier_id=rng.choice(["u1", "u2", "u3"]),
            to_region=rng.choice(["east", "west"]),
            delivered_at=came,
            delivery_days=None if came is None else round((came - left) / timedelta(days=1), 6),
            is_late=rng.random() < 0.3,
            last_node=rng.choice(["delivered", "exception"]),
            last_node_at=came or left,
            **times(shipped_at=left),
        )
        starts = moment()
        coupon = f"k{number:03d}"
        world.add(
            "dim_coupons",
            coupon_id=coupon,
            consumer_id=consumer,
            ends_at=starts + timedelta(days=rng.uniform(1, 90)),
            **times(starts_at=starts),
        )
        for _ in range(rng.choice([0, 0, 1, 2])):
            world.add(
                "fct_coupon_redemptions",
                coupon_id=coupon,
                consumer_id=consumer,
                kind=rng.choice(["off", "gift", None]),
                value_cents=rng.choice([None, 100]),
                **times(redeemed_at=starts + timedelta(days=rng.uniform(-1, 30))),
            )
    return world


def expected_tags(
    oracle: Oracle, feeds: Feeds, population: dict[str, Any], t: datetime, c: str
) -> dict[str, Any]:
    """Every tag of a consumer at a moment; `population` has what compares consumers then."""
    return oracle.personal(t, c) | oracle.redemptions(t, c) | population.get(c, {}) | feeds.tags(t, c)
