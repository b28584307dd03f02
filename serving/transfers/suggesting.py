"""Suggested transfers: asked for as approvals, and planned when a person approves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from models.supply.transfers.config import TransferConfig
from models.supply.transfers.suggest import Shelf, Transfer, Way, suggest
from serving.approvals.asking import Ask, request
from serving.approvals.effects import Done
from serving.approvals.kinds import Kind, Rail
from serving.approvals.records import Approval
from serving.approvals.suggestions import Suggestion
from serving.db.calendar import local_day, zone_of
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters
from serving.orders.routing.cost import FULL_BPS, zone
from serving.security import Role, Scope
from serving.transfers.facts import Goods, goods_by_warehouse
from serving.transfers.moving import NewTransfer, plan

Connection = psycopg.Connection[Any]


def _worth(suggestion: Suggestion) -> int:
    return int(suggestion["qty"]) * int(suggestion["supply_price_cents"])


TRANSFER = Kind(
    name="transfer",
    roles=frozenset({Role.OPERATOR}),
    scope=Scope.PURCHASES_WRITE,
    reasons=frozenset({"too_many", "too_dear", "not_needed", "other"}),
    validity=timedelta(days=3),
    rails={"qty": Rail(1, "qty")},
    second_above_cents=1_000_000,
    worth=_worth,
)
"""Units of a sku go to another warehouse of their supplier; a decider may lower the units.

What is worth above 10,000 yuan at supply prices needs a second person. Limit and validity are ours."""


@dataclass(frozen=True, slots=True)
class SuggestedTransfers:
    """What a run found.

    Attributes:
        goods: Skus of suppliers that are counted by warehouse and could be moved.
        suggested: Transfers that pay.
        asked: Those that nobody had been asked about.
        units: Units of them all.
        gain_cents: What they save beyond what they cost, fen.
    """

    goods: int = 0
    suggested: int = 0
    asked: int = 0
    units: int = 0
    gain_cents: int = 0


def way_between(region: str, to_region: str, cost: CostParameters, config: TransferConfig) -> Way:
    """The way of a unit from a warehouse in one region to one in another.

    A unit that moves saves the surcharge of a parcel from here to the region there, and its days beyond the
    promise; it costs its share of a load on the same way, and being handled. It is there a day after it came.
    """
    far, near = zone(region, to_region, cost), zone(to_region, to_region, cost)
    late = max(0, far.transit_days - cost.promised_days) - max(0, near.transit_days - cost.promised_days)
    saved = far.surcharge_cents - near.surcharge_cents + late * cost.lateness_penalty_cents_per_day
    freight = far.surcharge_cents * config.freight_bps // FULL_BPS
    return Way(far.transit_days + 1, freight + config.handling_cents, max(0, saved))


def ways_of(goods: Goods, cost: CostParameters, config: TransferConfig) -> dict[tuple[str, str], Way]:
    """Every way between the warehouses of a sku."""
    return {
        (one, other): way_between(region, to_region, cost, config)
        for one, region in goods.houses.items()
        for other, to_region in goods.houses.items()
        if one != other
    }


def shelves_of(goods: Goods) -> list[Shelf]:
    """The warehouses of a sku."""
    return [
        Shelf(
            house, goods.free.get(house, 0), goods.inbound.get(house, 0), goods.units_per_day.get(house, 0.0)
        )
        for house in sorted(goods.houses)
    ]


def ask_suggested(
    conn: Connection,
    tenant_id: str,
    now: datetime,
    cost: CostParameters = DEFAULT_COST,
    config: TransferConfig | None = None,
) -> SuggestedTransfers:
    """Ask for every transfer that pays; what waits for an answer already is not asked for again.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        cost: Parameters of the routing cost, as ordering has them.
        config: Settings.
    """
    config = config or TransferConfig()
    all_goods = goods_by_warehouse(conn, tenant_id, now, config.demand_days, cost)
    suggested = asked = units = gain = 0
    source = f"transfers:{local_day(now, zone_of(conn, tenant_id)).isoformat()}"
    for goods in all_goods:
        by_id = {shelf.warehouse_id: shelf for shelf in shelves_of(goods)}
        for one in suggest(list(by_id.values()), ways_of(goods, cost, config), config):
            asked += request(conn, tenant_id, _ask(goods, by_id, one, source), "transfers", now).is_new
            suggested, units = suggested + 1, units + one.qty
            gain += one.saved_cents - one.cost_cents
    return SuggestedTransfers(len(all_goods), suggested, asked, units, gain)


def plan_approved(conn: Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    """Keep the units of an approved transfer for it.

    Raises:
        TransferMovedError: They are not free any more.
        InvalidRequestError: A warehouse is not there any more.
    """
    wanted = approval.wanted
    transfer_id = plan(
        conn,
        tenant_id,
        NewTransfer(
            wanted["supplier_id"],
            wanted["sku_id"],
            wanted["from_warehouse_id"],
            wanted["to_warehouse_id"],
            wanted["qty"],
            local_day(now, zone_of(conn, tenant_id)) + timedelta(days=wanted["days"]),
        ),
        "approved",
        f"approval:{approval.approval_id}",
        now,
    )
    return {"transfer_id": transfer_id, "qty": wanted["qty"]}


def _ask(goods: Goods, shelves: dict[str, Shelf], one: Transfer, source: str) -> Ask:
    # With the lengths, since ids may hold a slash.
    parts = goods.supplier_id, goods.sku_id, one.from_warehouse_id, one.to_warehouse_id
    value_cents = one.qty * goods.supply_price_cents
    return Ask(
        kind=TRANSFER,
        subject=("shelf", "/".join(f"{len(part)}:{part}" for part in parts)),
        suggestion={
            "supplier_id": goods.supplier_id,
            "sku_id": goods.sku_id,
            "from_warehouse_id": one.from_warehouse_id,
            "to_warehouse_id": one.to_warehouse_id,
            "qty": one.qty,
            "supply_price_cents": goods.supply_price_cents,
            "days": one.days,
            "cost_cents": one.cost_cents,
            "saved_cents": one.saved_cents,
            **_cover("from", shelves[one.from_warehouse_id]),
            **_cover("to", shelves[one.to_warehouse_id]),
        },
        value_cents=value_cents,
        bucket="all",
        source=source,
    )


def _cover(side: str, shelf: Shelf) -> dict[str, int]:
    """What a warehouse has and sells; the days are left out where nobody asks for any."""
    days = shelf.cover_days
    told = {
        f"{side}_free_qty": shelf.free_qty,
        f"{side}_inbound_qty": shelf.inbound_qty,
        f"{side}_units_per_100_days": round(shelf.units_per_day * 100),
    }
    return told if days is None else {**told, f"{side}_cover_days": int(days)}
