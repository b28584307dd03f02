"""Tags of merchants, suppliers, skus and agents by hand. NOW is 2017-12-01 12:00 UTC, 07:00 local."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.tags.tag_oracle.compare import differences
from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.offline import build_tags, validate_tags
from feature_store.registry import load_registry

OTHERS = ["agent", "merchant", "sku", "supplier"]

MILK = {"sku_id": "milk", "supplier_id": "u1", "category_l2_id": "dairy/milk"}
TEA = {"sku_id": "tea", "supplier_id": "u2", "category_l2_id": "drink/tea"}


def market() -> World:
    """Two merchants sell milk; one of them tea and fuel as well."""
    world = World()
    world.add("dim_merchants", merchant_id="m1", scene="community", region_code="east", received_at=ago(500))
    world.add(
        "dim_suppliers",
        supplier_id="u1",
        channel="factory",
        region_code="north",
        is_active=True,
        received_at=ago(500),
    )
    world.product("milk", "b1", category_l2_id="dairy/milk", received_at=ago(500))
    world.order(
        "c1",
        ago(3),
        [
            MILK | {"qty": 2, "net_paid_cents": 200, "promo_discount_cents": 20, "supply_cost_cents": 120},
            TEA | {"net_paid_cents": 100},
        ],
    )
    given = {"net_paid_cents": 100, "coupon_discount_cents": 10, "supply_cost_cents": 60}
    world.order("c1", ago(20), [MILK | given | {"is_on_display": True}])
    world.order("c2", ago(50), [MILK | {"net_paid_cents": 100, "supply_cost_cents": 70}])
    world.order("c3", ago(200), [MILK | {"qty": 4, "net_paid_cents": 400}], merchant_id="m2")
    fuel = {"sku_id": "fuel", "supplier_id": "u2", "net_paid_cents": 900, "is_merchandise": False}
    world.order(None, ago(5), [fuel])
    world.order("c1", ago(10), [MILK | {"qty": -1, "net_paid_cents": -100}])
    world.order("c1", ago(2), [MILK | {"net_paid_cents": 999}], state="cancelled")
    whose = {"merchant_id": "m1", "supplier_id": "u1", "sku_id": "milk"}
    for opened, closed, kind, reason, refund in (
        (10, None, "complaint", "quality", None),
        (40, 35, "refund", "damaged", 80),
        (100, 95, "return", "changed_mind", 50),
    ):
        world.add(
            "fct_after_sales",
            kind=kind,
            reason_code=reason,
            opened_at=ago(opened),
            resolved_at=None if closed is None else ago(closed),
            refund_cents=refund,
            **whose,
        )
    for left, came, days, late, region, hours in (
        (12, 10, 2.0, False, "east", 12),
        (30, 25, 5.0, True, "west", 24),
        (5, None, None, False, "east", 6),
        (95, 91, 4.0, True, "south", 48),
    ):
        world.add(
            "fct_shipments",
            merchant_id="m1",
            supplier_id="u1",
            order_id="o",
            to_region=region,
            placed_at=ago(left + hours / 24),
            shipped_at=ago(left),
            received_at=ago(left),
            delivered_at=None if came is None else ago(came),
            delivery_days=days,
            is_late=late,
        )
    return world


def graded(world: World) -> World:
    """u1 was B, is D since 10 days, and A in dairy; u2 is D and has a gate."""
    for supplier, category, grade, gate, day in (
        ("u1", None, "B", None, 100),
        ("u1", None, "D", None, 10),
        ("u1", "dairy/milk", "A", None, 30),
        ("u1", "drink/tea", "D", None, 30),
        ("u2", None, "D", "safety", 40),
    ):
        world.add(
            "fct_grade_changes",
            change_id=f"{supplier}{category}{day}",
            supplier_id=supplier,
            category_id=category,
            grade=grade,
            gate=gate,
            score_low=0.5,
            graded_at=ago(day),
        )
    return world


def check(entity: str, world: World, key: str, expected: dict[str, Any]) -> None:
    """The tags of an entity are as expected, and every tag of it is among them."""
    registry = load_registry(entity=entity)
    frame = build_tags(world.connect(), NOW, time_zone=ZONE, registry=registry)
    row = frame.row(by_predicate=pl.col(registry.id_column) == key, named=True)
    assert set(registry.tags) == set(expected)
    assert differences(row, expected) == {}
    assert validate_tags(frame, registry) == []


SERVICE = {
    "returned_amount_90d": 100,
    "returned_units_90d": 1.0,
    "cases_90d": 2,
    "complaints_90d": 1,
    "quality_cases_90d": 2,
    "open_cases": 1,
    "refund_amount_90d": 80,
}
DELIVERY = {"deliveries_90d": 2, "late_delivery_rate_90d": 0.5, "avg_delivery_days_90d": 3.5}
MILK_SALES = {
    "sales_7d": 200,
    "orders_7d": 1,
    "sales_30d": 300,
    "orders_30d": 2,
    "sales_90d": 400,
    "orders_90d": 3,
    "sales_365d": 800,
    "orders_365d": 4,
    "buyers_30d": 1,
    "buyers_90d": 2,
    "buyers_365d": 3,
    "units_30d": 3.0,
    "units_90d": 4.0,
    "units_365d": 8.0,
    "selling_days_30d": 2,
    "days_since_sale": 3,
    "sales_trend_30d": 3.0,
    "unit_price_90d": 100,
    "discount_share_90d": 30 / 430,
    "promo_line_share_90d": 2 / 3,
    "repeat_buyer_share_365d": 1 / 3,
    "top_buyer_share_365d": 0.5,
    "gross_margin_90d": 150,
    "gross_margin_rate_90d": 0.375,
    "return_rate_90d": 0.25,
    "case_rate_90d": 2 / 3,
}


def test_a_merchant() -> None:
    check(
        "merchant",
        graded(market()),
        "m1",
        SERVICE
        | DELIVERY
        | {
            "sales_7d": 1_200,
            "orders_7d": 2,
            "sales_30d": 1_300,
            "orders_30d": 3,
            "sales_90d": 1_400,
            "orders_90d": 4,
            "sales_365d": 1_400,
            "orders_365d": 4,
            "buyers_30d": 1,  # guests are nobody
            "buyers_90d": 2,
            "buyers_365d": 2,
            "units_30d": 4.0,
            "units_90d": 5.0,
            "units_365d": 5.0,
            "selling_days_30d": 3,
            "days_since_sale": 3,
            "sales_trend_30d": 13.0,
            "unit_price_90d": 100,
            "discount_share_90d": 30 / 1_430,
            "promo_line_share_90d": 0.5,
            "repeat_buyer_share_365d": 0.5,
            "top_buyer_share_365d": 0.8,
            "gross_margin_90d": 150,
            "gross_margin_rate_90d": 0.375,
            "scene": "community",
            "region_code": "east",
            "skus_sold_90d": 2,
            "categories_sold_90d": 2,
            "suppliers_90d": 2,
            "aov_90d": 350,
            "return_rate_90d": 0.2,
            "case_rate_90d": 0.5,
            "graded_sales_90d": 1_400,  # milk 400 of grade A, tea 100 and fuel 900 of grade D
            "grade_d_sales_90d": 1_000,
            "grade_d_sales_share_90d": 1_000 / 1_400,
            "grade_d_suppliers_90d": 1,
        },
    )


def test_a_supplier() -> None:
    world = graded(market())
    for sku, day, lead in (("milk", 400, 9), ("milk", 50, 3), ("tea", 20, 4)):
        world.add(
            "dim_offers",
            supplier_id="u1",
            sku_id=sku,
            valid_from=ago(day),
            supply_price_cents=60,
            lead_time_days=lead,
        )
    check(
        "supplier",
        world,
        "u1",
        MILK_SALES
        | SERVICE
        | DELIVERY
        | {
            "channel": "factory",
            "region_code": "north",
            "is_active": True,
            "skus_sold_90d": 1,
            "merchants_90d": 1,
            "parcels_under_way": 1,
            "regions_served_90d": 2,
            "avg_dispatch_hours_90d": 14.0,  # 12, 24 and 6
            "skus_offered": 2,
            "offer_changes_90d": 2,
            "avg_lead_time_days_365d": 3.5,
            "grade": "D",
            "grade_gate": None,
            "days_since_grade_change": 10,
            "grade_changes_90d": 1,
            "channels_graded": 2,
            "channels_grade_d": 1,
        },
    )


def test_a_sku() -> None:
    world = graded(market())
    for supplier in ("u1", "u2", "u3"):
        world.add("dim_offers", supplier_id=supplier, sku_id="milk", valid_from=ago(400))
    for day, kind in (
        (1, "view"),
        (2, "view"),
        (31, "view"),
        (1, "add_to_cart"),
        (3, "favourite"),
        (1, "impression"),
        (2, "impression"),
        (3, "impression"),
        (4, "impression"),
    ):
        world.add("fct_events", sku_id="milk", session_id="v", event_type=kind, occurred_at=ago(day))
    for day, rival, price in ((10, "r1", 95), (5, "r2", 105), (40, "r1", 80)):
        world.add(
            "fct_competitor_prices", sku_id="milk", competitor=rival, price_cents=price, observed_at=ago(day)
        )
    for day, delta, reason in ((60, 50, "inbound"), (91, 5, "inbound"), (10, -3, "sale"), (40, -2, "adjust")):
        world.add(
            "fct_inventory_movements", sku_id="milk", qty_delta=delta, reason=reason, occurred_at=ago(day)
        )
    check(
        "sku",
        world,
        "milk",
        MILK_SALES
        | SERVICE
        | {
            "category_l2_id": "dairy/milk",
            "brand_id": "b1",
            "merchants_90d": 1,
            "days_since_first_sale": 200,
            "views_30d": 2,
            "carts_30d": 1,
            "favourites_30d": 1,
            "impressions_30d": 4,
            "views_per_impression_30d": 0.5,
            "carts_per_view_30d": 0.5,
            "competitors_30d": 2,
            "lowest_competitor_price_30d": 95,
            "last_competitor_price": 105,
            "units_received_90d": 50,
            "units_out_30d": 3,
            "best_supplier_grade": "A",
            "suppliers_graded": 2,  # u3 holds none
            "suppliers_grade_ab": 1,
        },
    )


def agency() -> World:
    """Agent g1 sells for two merchants, earns on two levels and has invited two others."""
    world = World()
    for agent, inviter, active, day in (
        ("g1", "g0", True, 500),
        ("g2", "g1", True, 300),
        ("g3", "g1", False, 50),
    ):
        world.add(
            "dim_agents",
            agent_id=agent,
            merchant_id="m1",
            inviter_agent_id=inviter,
            tier="gold",
            region_code="east",
            is_active=active,
            received_at=ago(day),
        )
    world.order("c1", ago(3), net=300, channel="wecom", agent_id="g1")
    coupon = [{"net_paid_cents": 100, "coupon_discount_cents": 10}]
    world.order("c1", ago(20), coupon, channel="live", merchant_id="m2", agent_id="g1")
    world.order("c2", ago(50), net=100, agent_id="g1")
    world.order("c3", ago(200), net=500, agent_id="g1")
    world.order("c1", ago(10), [{"qty": -1, "net_paid_cents": -50}], agent_id="g1")
    world.order("c1", ago(5), net=900, state="cancelled", agent_id="g1")
    world.order("c1", ago(40), net=900, state="refunded", agent_id="g1")
    world.order("c1", ago(4), net=900)
    for day, order, kind, level, base, amount in (
        (3, "o1", "agent", 0, 1_000, 100),
        (20, "o2", "agent", 1, 500, 20),
        (20, "o2", "agent", 0, 200, 30),
        (100, "o3", "agent", 0, 1_000, 50),
        (3, "o1", "supplier", 0, 1_000, 999),
    ):
        world.add(
            "fct_settlement_legs",
            order_id=order,
            payee_type=kind,
            payee_id="g1",
            level=level,
            base_cents=base,
            amount_cents=amount,
            accrued_at=ago(day),
        )
    return world


def test_an_agent() -> None:
    check(
        "agent",
        agency(),
        "g1",
        {
            "orders_7d": 1,
            "net_sales_7d": 300,
            "orders_30d": 2,
            "net_sales_30d": 350,
            "orders_90d": 3,
            "net_sales_90d": 450,
            "orders_365d": 4,
            "net_sales_365d": 950,
            "buyers_30d": 1,
            "buyers_90d": 2,
            "buyers_365d": 3,
            "aov_90d": 167,
            "max_order_value_365d": 500,
            "selling_days_30d": 2,
            "days_since_sale": 3,
            "order_trend_30d": 2.0,
            "merchants_90d": 2,
            "channels_90d": 3,
            "coupon_order_share_90d": 1 / 3,
            "repeat_buyer_share_365d": 1 / 3,
            "top_buyer_share_365d": 500 / 1_000,
            "cancelled_orders_90d": 1,
            "cancel_rate_90d": 1 / 6,
            "refunded_orders_90d": 1,
            "commission_7d": 100,
            "commission_30d": 150,
            "commission_90d": 150,
            "commission_365d": 200,
            "commission_orders_30d": 2,
            "commission_base_90d": 1_700,
            "commission_rate_90d": 150 / 1_700,
            "direct_share_90d": 130 / 150,
            "days_since_commission": 3,
            "tier": "gold",
            "region_code": "east",
            "works_for": "m1",
            "invited_by": "g0",
            "is_active": True,
            "known_days": 500,
            "invited_agents": 2,
            "active_invited_agents": 1,
            "invited_agents_90d": 1,
        },
    )


@pytest.mark.parametrize("entity", OTHERS)
def test_nothing_of_the_future_is_known(entity: str) -> None:
    registry = load_registry(entity=entity)
    world = agency() if entity == "agent" else graded(market())
    then = ago(15)
    past = build_tags(world.up_to(then).connect(), then, time_zone=ZONE, registry=registry)
    assert past.equals(build_tags(world.connect(), then, time_zone=ZONE, registry=registry))
    assert past.height >= 1


@pytest.mark.parametrize("entity", OTHERS)
def test_every_entity_has_twenty_five_tags_and_a_page(entity: str) -> None:
    assert len(load_registry(entity=entity).tags) >= 25
    page = Path(__file__).parents[3] / "docs" / "tags" / f"{entity}.md"
    assert all(f"### {name}\n" in page.read_text("utf-8") for name in load_registry(entity=entity).tags)


@pytest.mark.parametrize("entity", OTHERS)
def test_all_tags_of_an_entity_are_built_together(entity: str) -> None:
    """One statement of all tags, also where a source is called like a tag."""
    registry = load_registry(entity=entity)
    built = build_tags(World().connect(), NOW, ids=["x"], time_zone=ZONE, registry=registry)
    assert built.columns == [registry.id_column, "as_of", *registry.tags]
    assert built.height == 1
