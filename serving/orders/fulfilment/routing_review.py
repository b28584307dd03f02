"""What the last orders cost to ship, against routing them all together and the least possible.

Orders are routed one by one as they come; the difference is what that costs. Terms and stock are those of
today, with what the orders themselves took put back. Reading only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.assortment.stock import ANYWHERE
from serving.orders.routing.assignment import route_batch
from serving.orders.routing.contracts import CostParameters, Demand, OfferStock
from serving.orders.routing.cost import allocations_of


@dataclass(frozen=True)
class RoutingReview:
    """The stated cost of the orders of a time, fen.

    Attributes:
        orders: Orders looked at.
        units: Units in them.
        cost_cents: As they were routed.
        exact_cents: Routed together; never more.
        bound_cents: What no routing of them can cost less than, splits included.
    """

    orders: int
    units: int
    cost_cents: int
    exact_cents: int
    bound_cents: int

    def __str__(self) -> str:
        above = self.cost_cents - self.exact_cents
        return (
            f"{self.orders} orders, {self.units} units cost {self.cost_cents} fen: {above} above routing them"
            f" together, which is at most {self.exact_cents - self.bound_cents} above the least possible"
        )


def review_routing(
    conn: psycopg.Connection[Any], tenant_id: str, start: datetime, end: datetime
) -> RoutingReview:
    """Look at the orders placed in `[start, end)` that still stand.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        start: Begin.
        end: End, exclusive.
    """
    parameters = CostParameters()
    rows = conn.execute(
        "select o.order_id, coalesce(o.region_code, %(anywhere)s), l.sku_id, l.supplier_id,"
        " sum(l.qty)::bigint"
        " from orders.customer_order o join orders.order_line l using (tenant_id, order_id)"
        " where o.tenant_id = %(tenant)s and o.placed_at >= %(start)s and o.placed_at < %(end)s"
        " and o.status <> 'cancelled' group by 1, 2, 3, 4 order by 1, 3, 4",
        {"anywhere": ANYWHERE, "tenant": tenant_id, "start": start, "end": end},
    ).fetchall()
    taken: Counter[tuple[str, str]] = Counter()
    parts: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)
    for order_id, region, sku_id, supplier_id, qty in rows:
        taken[supplier_id, sku_id] += qty
        parts[order_id, region, sku_id].append((supplier_id, qty))
    offers = _offers(conn, tenant_id, taken)
    demands, cost = [], 0
    for number, ((order_id, region, sku_id), chosen) in enumerate(parts.items(), start=1):
        # An offer that was withdrawn for good has no terms left to compare with.
        if all((supplier_id, sku_id) in offers for supplier_id, _ in chosen):
            demand = Demand(order_id, number, sku_id, sum(qty for _, qty in chosen), region)
            demands.append(demand)
            priced = [(offers[supplier_id, sku_id], qty) for supplier_id, qty in chosen]
            cost += sum(part.cost_cents for part in allocations_of(demand, priced, parameters))
    exact = route_batch(demands, list(offers.values()), parameters)
    return RoutingReview(
        orders=len({demand.order_id for demand in demands}),
        units=sum(demand.qty for demand in demands),
        cost_cents=cost,
        exact_cents=min(cost, exact.plan.cost_cents) if not exact.plan.unroutable else cost,
        bound_cents=exact.lower_bound_cents,
    )


def _offers(
    conn: psycopg.Connection[Any], tenant_id: str, taken: Counter[tuple[str, str]]
) -> dict[tuple[str, str], OfferStock]:
    """Offers of the skus, with what the orders took put back."""
    rows = conn.execute(
        "select f.supplier_id, f.sku_id, greatest(0, s.on_hand_qty - s.reserved_qty - s.buffer_qty),"
        " f.supply_price_cents, f.freight_cents, f.lead_time_days,"
        " coalesce(f.ship_from_region, %(anywhere)s),"
        " f.min_order_qty, f.is_active"
        " from orders.offer f left join orders.stock s using (tenant_id, supplier_id, sku_id)"
        " where f.tenant_id = %(tenant)s and f.sku_id = any(%(skus)s)",
        {"anywhere": ANYWHERE, "tenant": tenant_id, "skus": sorted({sku_id for _, sku_id in taken})},
    )
    return {
        (supplier_id, sku_id): OfferStock(
            supplier_id,
            sku_id,
            (free or 0) * is_active + taken[supplier_id, sku_id],
            price,
            freight,
            days,
            region,
            smallest,
        )
        for supplier_id, sku_id, free, price, freight, days, region, smallest, is_active in rows
    }
