"""Placing an order: prices, coupons, routing and reservation, all or nothing; cancelling an unpaid one."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

import psycopg

from serving.agents.errors import SceneRefusedError
from serving.agents.order_parties import parties_of_order
from serving.agents.relations import find as find_agent
from serving.agents.scenes import roles_at
from serving.consumers.erased import require_not_erased
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.orders.assortment import brake, losses, stock, supervised
from serving.orders.assortment.catalogue import categories_of, list_prices
from serving.orders.assortment.grades import graded
from serving.orders.assortment.losses import DEFAULT_RULES, LossRules
from serving.orders.coupons import bearing, redeeming
from serving.orders.coupons.spreading import CouponLimits, Goods
from serving.orders.errors import InvalidRequestError, OutOfStockError
from serving.orders.promotions import claims
from serving.orders.records import find_order, lines_of, move_order, set_sub_order, sub_orders_of
from serving.orders.routing.contracts import (
    DEFAULT_COST,
    Allocation,
    CostParameters,
    Demand,
    OfferStock,
    UnroutableReason,
)
from serving.orders.routing.greedy import route_greedy
from serving.orders.states import SUB_ORDER
from serving.orders.warehouses.choosing import Departure, Warehouses
from serving.orders.warehouses.records import lock_warehouses
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import Party

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class WantedLine:
    """A sku and how many units."""

    sku_id: str
    qty: int


@dataclass(frozen=True)
class NewOrder:
    """An order to be.

    Attributes:
        order_id: Its id.
        merchant_id: The shop.
        consumer_id: The buyer.
        lines: What is wanted.
        agent_id: The selling agent, if one sold it.
        channel: Where it was placed.
        region_code: Where it goes.
        coupon_codes: Coupons that the consumer brings.
        scene_ids: Where the sale happens beside the shop; who holds a role in it follows from them.
        promotion: The promotion that it takes of, with the group that it joins.
        source: `replay` for orders of the past.
    """

    order_id: str
    merchant_id: str
    consumer_id: str
    lines: Sequence[WantedLine]
    agent_id: str | None = None
    channel: str = "mini_program"
    region_code: str | None = None
    coupon_codes: Sequence[str] = ()
    scene_ids: Sequence[str] = ()
    promotion: claims.Wanted | None = None
    source: Literal["api", "replay"] = "api"


@dataclass(frozen=True)
class _Line:
    line_no: int
    sku_id: str
    supplier_id: str
    qty: int
    list_price_cents: int
    discount_cents: int
    supply_price_cents: int
    loss_cents: int = 0
    leaves: Departure | None = None


def new_order_id() -> str:
    """A random id for an order of the API."""
    return f"o-{secrets.token_hex(10)}"


def place_order(
    conn: Connection,
    tenant_id: str,
    order: NewOrder,
    plan: PlanVersion,
    now: datetime,
    cost: CostParameters = DEFAULT_COST,
    rules: LossRules = DEFAULT_RULES,
) -> None:
    """Route every line, reserve the stock and write the order; status `placed`.

    The unit price is the merchant's listing. The buyer pays the freight that the chosen offers state;
    surcharges of zones and penalties weigh in the choice only. A line that is split over suppliers becomes
    several lines. Each leaves on a day on which its warehouse works and has room, and takes of that room;
    what is promised follows from that. A line that costs more than it brings routes only where no other
    supplier spares the loss, and only inside the loss budget of its merchant and day.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order: What is ordered.
        plan: The shop's plan in force.
        now: Business time (UTC).
        cost: Parameters of the routing cost.
        rules: How a loss is reckoned.

    Raises:
        InvalidRequestError: The agent is unknown or not active, or a scene does not hold for this order.
        NotListedError: The merchant does not sell a sku.
        DiscountRefusedError: A coupon does not hold for this order, or a funder's share does not carry it.
        SaleStoppedError: The quality brake stopped a sku.
        ListingHeldError: Supervision holds a sku of the merchant.
        OutOfStockError: Nobody has the units; nothing is reserved.
        LossRefusedError: A line costs more than it brings, beyond the budget.
        ConsumerErasedError: The buyer was erased.
        PromotionRefusedError: The promotion does not hold for this order.
        PromotionSoldOutError: Nothing is left of it, or of the group.
        PromotionLimitError: The buyer has enough of it.
    """
    held = _held(conn, tenant_id, order, now)
    require_not_erased(conn, tenant_id, order.consumer_id, "nobody can order under this id any more")
    order, claim = _claimed(conn, tenant_id, order, held, now)
    rules = rules.under_contracts(conn, tenant_id)
    _require_agent(conn, order)
    roles = _roles(conn, tenant_id, order, now)
    prices = list_prices(conn, tenant_id, order.merchant_id, sorted({line.sku_id for line in order.lines}))
    units = _units(order)
    if claim is not None:
        claim.require_basket(prices, units)
    offers = stock.lock_offers(conn, tenant_id, prices)
    if cost.grade_penalty_bps:
        offers = graded(conn, tenant_id, offers)
    unpromoted = brake.require_sold(conn, tenant_id, prices, now)
    supervised.require_not_held(conn, tenant_id, order.merchant_id, prices)
    warehouses = lock_warehouses(conn, tenant_id, prices, now)
    day = local_day(now, zone_of(conn, tenant_id))
    if order.coupon_codes:
        locks.loss_budget(conn, tenant_id, order.merchant_id, day)

    def redeem(lines: Sequence[_Line]) -> redeeming.Redemption:
        code = claim.code if claim is not None else None
        return _redeem(conn, tenant_id, order, lines, plan, unpromoted, now, code)

    shipped = warehouses.as_shipped(offers, units, _region(order), cost)
    lines, freights, redemption = _routed(order, prices, shipped, redeem, cost, rules, now)
    lines = _leaving(lines, offers, warehouses, _region(order), cost)
    if bearing.is_agreed(redemption):
        _require_borne(conn, tenant_id, order, lines, redemption, plan, rules, now)
    payable = sum(line.list_price_cents - line.discount_cents for line in lines) + sum(freights.values())
    _write(conn, tenant_id, order, lines, freights, payable, roles, now, day)
    reserved: Counter[stock.StockKey] = Counter()
    for line in lines:
        reserved[line.supplier_id, line.sku_id] += line.qty
    stock.reserve(conn, tenant_id, reserved)
    losses.take(conn, tenant_id, order.merchant_id, day, sum(line.loss_cents for line in lines))
    redeeming.write(conn, tenant_id, order.order_id, order.consumer_id, redemption, now)


def cancel_order(conn: Connection, tenant_id: str, order_id: str) -> None:
    """Cancel an order that is not paid, and give its stock, its coupons and what it took of a promotion back.

    Raises:
        NotFoundError: There is no such order.
        ImpossibleMoveError: It is paid or ended; a paid order takes an after-sale case.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    move_order(conn, tenant_id, order, "cancel")
    for sub_order in sub_orders_of(conn, tenant_id, order_id, lock=True):
        if "cancel" in SUB_ORDER.possible(sub_order.status):
            set_sub_order(conn, tenant_id, order_id, sub_order.supplier_id, "cancelled")
    reserved: Counter[stock.StockKey] = Counter()
    for line in lines_of(conn, tenant_id, order_id):
        if line.reserved_qty:
            reserved[line.supplier_id, line.sku_id] += line.reserved_qty
    stock.release(conn, tenant_id, reserved)
    losses.give_back_order(conn, tenant_id, order_id, order.merchant_id)
    conn.execute(
        "update orders.order_line set reserved_qty = 0 where tenant_id = %(tenant)s and order_id = %(order)s",
        {"tenant": tenant_id, "order": order_id},
    )
    redeeming.give_back(conn, tenant_id, order_id, "cancel")
    claims.give_back(conn, tenant_id, order_id)


def _units(order: NewOrder) -> Counter[str]:
    units: Counter[str] = Counter()
    for wanted in order.lines:
        units[wanted.sku_id] += wanted.qty
    return units


def _held(conn: Connection, tenant_id: str, order: NewOrder, now: datetime) -> claims.Held | None:
    """First of all, so that who comes too late costs one statement."""
    if order.promotion is None:
        return None
    shop, buyer = order.merchant_id, order.consumer_id
    return claims.hold(conn, tenant_id, order.promotion, order.order_id, shop, buyer, _units(order), now)


def _claimed(
    conn: Connection, tenant_id: str, order: NewOrder, held: claims.Held | None, now: datetime
) -> tuple[NewOrder, claims.Claim | None]:
    """The order with the coupon and the scene of the promotion that it took of."""
    if held is None or order.promotion is None:
        return order, None
    group_id = order.promotion.group_id
    claim = claims.take(conn, tenant_id, held, order.order_id, order.consumer_id, group_id, now)
    scene_id = claim.promotion.scene_id
    scenes = [] if scene_id is None or scene_id in order.scene_ids else [scene_id]
    return (
        replace(
            order,
            coupon_codes=[*order.coupon_codes, claim.code],
            scene_ids=[*order.scene_ids, *scenes],
        ),
        claim,
    )


def _redeem(
    conn: Connection,
    tenant_id: str,
    order: NewOrder,
    lines: Sequence[_Line],
    plan: PlanVersion,
    unpromoted: frozenset[str],
    now: datetime,
    promotion_code: str | None,
) -> redeeming.Redemption:
    """What the coupons of an order take off its lines; their rows are locked.

    Skus that nothing may promote are no goods of a coupon.

    Raises:
        DiscountRefusedError: One does not hold.
    """
    if not order.coupon_codes:
        return redeeming.Redemption()
    categories = categories_of(conn, tenant_id, [line.sku_id for line in lines])
    goods = [
        Goods(
            line.line_no,
            line.sku_id,
            categories[line.sku_id],
            line.supplier_id,
            line.list_price_cents,
            line.qty,
        )
        for line in lines
        if line.sku_id not in unpromoted
    ]
    limits = CouponLimits.of(plan)
    shop, buyer = order.merchant_id, order.consumer_id
    return redeeming.take(
        conn, tenant_id, order.coupon_codes, buyer, shop, goods, limits, now, promotion_code
    )


def _require_borne(
    conn: Connection,
    tenant_id: str,
    order: NewOrder,
    lines: Sequence[_Line],
    redemption: redeeming.Redemption,
    plan: PlanVersion,
    rules: LossRules,
    now: datetime,
) -> None:
    categories = categories_of(conn, tenant_id, [line.sku_id for line in lines])
    shop, buyer = order.merchant_id, order.consumer_id
    parties = parties_of_order(
        conn,
        tenant_id,
        shop,
        order.agent_id,
        buyer,
        placed_at=now,
        region_code=order.region_code,
        on=local_day(now, zone_of(conn, tenant_id)),
    )
    cart = [_cart_line(line, redemption, categories[line.sku_id]) for line in lines]
    bearing.require_borne(redemption, plan, shop, buyer, cart, parties, rules.channel_fee_bps, now)


def _cart_line(line: _Line, redemption: redeeming.Redemption, category_ids: tuple[str, ...] = ()) -> CartLine:
    return CartLine(
        line_no=line.line_no,
        sku_id=line.sku_id,
        category_ids=category_ids,
        supplier_id=line.supplier_id,
        qty=line.qty,
        list_price_cents=line.list_price_cents,
        supply_price_cents=line.supply_price_cents,
        discounts=redemption.discounts(line.line_no),
    )


def _require_agent(conn: Connection, order: NewOrder) -> None:
    if order.agent_id is None:
        return
    agent = find_agent(conn, order.agent_id)
    if agent is None or not agent.is_active or agent.merchant_id not in (None, order.merchant_id):
        raise InvalidRequestError(
            "agent_id", f"merchant {order.merchant_id!r} has no active agent {order.agent_id!r}"
        )


def _roles(conn: Connection, tenant_id: str, order: NewOrder, now: datetime) -> dict[str, tuple[str, Party]]:
    try:
        return roles_at(conn, tenant_id, order.merchant_id, order.scene_ids, now)
    except SceneRefusedError as error:
        raise InvalidRequestError("scene_ids", str(error)) from error


def _routed(
    order: NewOrder,
    prices: dict[str, int],
    offers: Sequence[OfferStock],
    redeem: Callable[[Sequence[_Line]], redeeming.Redemption],
    cost: CostParameters,
    rules: LossRules,
    now: datetime,
) -> tuple[list[_Line], dict[str, int], redeeming.Redemption]:
    """Lines with their suppliers and losses, freights, coupons; offers that bring a loss come last.

    Raises:
        OutOfStockError: Nobody has the units, at whatever price.
        DiscountRefusedError: A coupon does not hold for this order.
    """
    first: tuple[list[_Line], dict[str, int], redeeming.Redemption] | None = None
    candidates = list(offers)
    while True:
        try:
            allocations = _route(order, candidates, cost)
        except OutOfStockError:
            if first is None:
                raise
            return first
        lines = _lines(order, prices, offers, allocations)
        redemption = redeem(lines)
        freights = _freights(lines, offers)
        cart = [_cart_line(line, redemption) for line in lines]
        expected = losses.expected_losses(cart, [], freights, rules, now)
        lines = [
            replace(
                line,
                discount_cents=redemption.off_line(line.line_no),
                loss_cents=expected[line.line_no],
            )
            for line in lines
        ]
        losing = {(line.supplier_id, line.sku_id) for line in lines if line.loss_cents}
        if not losing:
            return lines, freights, redemption
        first = first or (lines, freights, redemption)
        candidates = [offer for offer in candidates if (offer.supplier_id, offer.sku_id) not in losing]


def _route(order: NewOrder, offers: Sequence[OfferStock], cost: CostParameters) -> tuple[Allocation, ...]:
    region = _region(order)
    demands = [
        Demand(order.order_id, position, line.sku_id, line.qty, region)
        for position, line in enumerate(order.lines, start=1)
    ]
    plan = route_greedy(demands, offers, cost)
    if plan.unroutable:
        raise OutOfStockError(
            [
                (order.lines[missing.line_no - 1].sku_id, missing.short_qty, str(missing.reason))
                for missing in plan.unroutable
            ]
        )
    return plan.allocations


def _region(order: NewOrder) -> str:
    return order.region_code or stock.ANYWHERE


def _leaving(
    lines: Sequence[_Line],
    offers: Sequence[OfferStock],
    warehouses: Warehouses,
    region: str,
    cost: CostParameters,
) -> list[_Line]:
    """Lines with the warehouse and the day that each takes, one after the other.

    Raises:
        OutOfStockError: The lines before took the last room of every warehouse.
    """
    terms = {(offer.supplier_id, offer.sku_id): offer for offer in offers}
    leaving = []
    for line in lines:
        leaves = warehouses.choose(terms[line.supplier_id, line.sku_id], line.qty, region, cost)
        if leaves is None:
            raise OutOfStockError([(line.sku_id, line.qty, str(UnroutableReason.SHORT_STOCK))])
        warehouses.book(leaves, terms[line.supplier_id, line.sku_id], line.qty)
        leaving.append(replace(line, leaves=leaves))
    return leaving


def _lines(
    order: NewOrder,
    prices: dict[str, int],
    offers: Sequence[OfferStock],
    allocations: Sequence[Allocation],
) -> list[_Line]:
    terms = {(offer.supplier_id, offer.sku_id): offer for offer in offers}
    parts = [(order.lines[part.line_no - 1].sku_id, part.supplier_id, part.qty) for part in allocations]
    return [
        _Line(
            line_no=position,
            sku_id=sku,
            supplier_id=supplier,
            qty=qty,
            list_price_cents=prices[sku] * qty,
            discount_cents=0,
            supply_price_cents=terms[supplier, sku].supply_price_cents * qty,
        )
        for position, (sku, supplier, qty) in enumerate(parts, start=1)
    ]


def _freights(lines: Sequence[_Line], offers: Sequence[OfferStock]) -> dict[str, int]:
    unit = {(offer.supplier_id, offer.sku_id): offer.freight_cents for offer in offers}
    freights: Counter[str] = Counter()
    for line in lines:
        freights[line.supplier_id] += unit[line.supplier_id, line.sku_id] * line.qty
    return dict(sorted(freights.items()))


def _write(
    conn: Connection,
    tenant_id: str,
    order: NewOrder,
    lines: Sequence[_Line],
    freights: dict[str, int],
    payable_cents: int,
    roles: Mapping[str, tuple[str, Party]],
    now: datetime,
    day: date,
) -> None:
    ids = {"tenant": tenant_id, "order": order.order_id}
    conn.execute(
        "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, agent_id, channel,"
        " region_code, source, status, placed_at, coupon_discount_cents, freight_cents, payable_cents)"
        " values (%(tenant)s, %(order)s, %(merchant)s, %(consumer)s, %(agent)s, %(channel)s, %(region)s,"
        " %(source)s, 'placed', %(now)s, %(coupon)s, %(freight)s, %(payable)s)",
        {
            **ids,
            "merchant": order.merchant_id,
            "consumer": order.consumer_id,
            "agent": order.agent_id,
            "channel": order.channel,
            "region": order.region_code,
            "source": order.source,
            "now": now,
            "coupon": sum(line.discount_cents for line in lines),
            "freight": sum(freights.values()),
            "payable": payable_cents,
        },
    )
    conn.execute(
        "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
        " list_price_cents, coupon_discount_cents, net_paid_cents, supply_price_cents, reserved_qty,"
        " loss_cents, loss_day, warehouse_id, ships_on, promised_on)"
        " select %(tenant)s, %(order)s, n, sku, supplier, qty, price, discount, price - discount, supply,"
        " qty, loss, case when loss > 0 then %(day)s::date end, warehouse, ships_on, promised_on"
        " from unnest(%(numbers)s::integer[], %(skus)s::text[], %(suppliers)s::text[], "
        " %(quantities)s::bigint[], %(prices)s::bigint[], %(discounts)s::bigint[], %(supplies)s::bigint[],"
        " %(losses)s::bigint[], %(warehouses)s::text[], %(ships_on)s::date[], %(promised_on)s::date[])"
        " as l (n, sku, supplier, qty, price, discount, supply, loss, warehouse, ships_on, promised_on)",
        {
            **ids,
            "numbers": [line.line_no for line in lines],
            "skus": [line.sku_id for line in lines],
            "suppliers": [line.supplier_id for line in lines],
            "quantities": [line.qty for line in lines],
            "prices": [line.list_price_cents for line in lines],
            "discounts": [line.discount_cents for line in lines],
            "supplies": [line.supply_price_cents for line in lines],
            "losses": [line.loss_cents for line in lines],
            "warehouses": [line.leaves and line.leaves.warehouse_id for line in lines],
            "ships_on": [line.leaves and line.leaves.ships_on for line in lines],
            "promised_on": [line.leaves and line.leaves.promised_on for line in lines],
            "day": day,
        },
    )
    conn.execute(
        "insert into orders.sub_order (tenant_id, order_id, supplier_id, status, freight_cents)"
        " select %(tenant)s, %(order)s, supplier, 'pending', freight"
        " from unnest(%(suppliers)s::text[], %(freights)s::bigint[]) as s (supplier, freight)",
        {**ids, "suppliers": list(freights), "freights": list(freights.values())},
    )
    for role, (scene_id, party) in roles.items():
        conn.execute(
            "insert into orders.order_role (tenant_id, order_id, role, party_type, party_id, scene_id)"
            " values (%(tenant)s, %(order)s, %(role)s, %(type)s, %(party)s, %(scene)s)",
            {**ids, "role": role, "type": party.party_type, "party": party.party_id, "scene": scene_id},
        )
