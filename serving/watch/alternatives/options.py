"""What could be done about lines at a failed supplier: the exact assignment without its arcs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serving.orders.routing.assignment import route_batch
from serving.orders.routing.contracts import CostParameters, Demand, OfferStock
from serving.orders.routing.cost import allocations_of, zone
from serving.watch.alternatives.contracts import Move, Option, OptionKind
from serving.watch.alternatives.lines import ConcernedLine

_HURRY_CENTS_PER_DAY = 100_000
"""What a day is worth to a unit where the earliest arrival is asked for, whatever it costs."""


def options_for(
    lines: Sequence[ConcernedLine],
    offers: Sequence[OfferStock],
    days_late: float | None,
    parameters: CostParameters,
) -> list[Option]:
    """What could be done, `later_date` last; plans that move the same lines to the same places stand once.

    Args:
        lines: Lines of the alarm.
        offers: Offers of their skus, those of the failed suppliers included.
        days_late: How much later than usual the lines come where they stay; None: nobody knows.
        parameters: Penalties and ways, as ordering has them.
    """
    failed = {line.supplier_id for line in lines}
    left = {(offer.supplier_id, offer.sku_id): offer for offer in offers}
    regions = {
        left[line.supplier_id, line.demand.sku_id].ship_from_region
        for line in lines
        if (line.supplier_id, line.demand.sku_id) in left
    }
    others = [offer for offer in offers if offer.supplier_id not in failed]
    elsewhere = [offer for offer in others if offer.ship_from_region not in regions]
    hurry = replace(parameters, promised_days=0, lateness_penalty_cents_per_day=_HURRY_CENTS_PER_DAY)
    found: list[Option] = []
    plans: tuple[tuple[OptionKind, Sequence[OfferStock], CostParameters], ...] = (
        ("other_supplier", others, parameters),
        ("other_warehouse", elsewhere, parameters),
        ("faster", others, hurry),
    )
    for kind, usable, priced in plans:
        moves = _moves(lines, usable, left, priced, parameters, days_late)
        taken = {(move.order_id, move.line_no, move.to_supplier_id) for move in moves}
        known = [{(m.order_id, m.line_no, m.to_supplier_id) for m in one.moves} for one in found]
        if moves and taken not in known:
            found.append(_option(kind, moves, lines))
    found.append(Option("later_date", (), len(lines), 0, days_late, True))
    return found


def _moves(
    lines: Sequence[ConcernedLine],
    usable: Sequence[OfferStock],
    left: dict[tuple[str, str], OfferStock],
    wanted: CostParameters,
    parameters: CostParameters,
    days_late: float | None,
) -> tuple[Move, ...]:
    """Lines that one of the usable offers takes whole by the exact assignment; a split moves no line."""
    plan = route_batch([line.demand for line in lines], usable, wanted).plan
    by_key = {(offer.supplier_id, offer.sku_id): offer for offer in usable}
    units = {(line.demand.order_id, line.demand.line_no): line.demand.qty for line in lines}
    whole = {
        (part.order_id, part.line_no): part.supplier_id
        for part in plan.allocations
        if part.qty == units[part.order_id, part.line_no]
    }
    moves = []
    for line in lines:
        taker_id = whole.get((line.demand.order_id, line.demand.line_no))
        stays = left.get((line.supplier_id, line.demand.sku_id))
        # Terms that were withdrawn have no cost to compare with.
        if taker_id is None or stays is None:
            continue
        taker = by_key[taker_id, line.demand.sku_id]
        days = None
        if days_late is not None:
            days = _days(taker, line.demand, parameters) - _days(stays, line.demand, parameters) - days_late
        moves.append(
            Move(
                line.demand.order_id,
                line.demand.line_no,
                line.demand.sku_id,
                line.demand.qty,
                line.supplier_id,
                taker_id,
                _cents(taker, line.demand, parameters) - _cents(stays, line.demand, parameters),
                days,
            )
        )
    return tuple(moves)


def _option(kind: OptionKind, moves: tuple[Move, ...], lines: Sequence[ConcernedLine]) -> Option:
    units = sum(move.qty for move in moves)
    days = [move.arrival_change_days * move.qty for move in moves if move.arrival_change_days is not None]
    left = {(line.demand.order_id, line.demand.line_no) for line in lines if line.has_left}
    return Option(
        kind,
        moves,
        len(lines),
        sum(move.cost_change_cents for move in moves),
        sum(days) / units if len(days) == len(moves) else None,
        not any((move.order_id, move.line_no) in left for move in moves),
    )


def _days(offer: OfferStock, demand: Demand, parameters: CostParameters) -> int:
    return offer.lead_time_days + zone(offer.ship_from_region, demand.to_region, parameters).transit_days


def _cents(offer: OfferStock, demand: Demand, parameters: CostParameters) -> int:
    return sum(part.cost_cents for part in allocations_of(demand, [(offer, demand.qty)], parameters))
