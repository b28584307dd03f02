"""The one door of the overlay: table name in, rows out.

Lives here: the list of tables and their order. What each table holds lives in the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import polars as pl

from pipelines.sources.contract import empty
from pipelines.sources.overlay.after_sales import after_sales
from pipelines.sources.overlay.agents import agents
from pipelines.sources.overlay.competitor_prices import competitor_prices
from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.events import events
from pipelines.sources.overlay.listings import listings
from pipelines.sources.overlay.messages import messages
from pipelines.sources.overlay.observed import ObservedTables
from pipelines.sources.overlay.offers import inventory_movements, offers
from pipelines.sources.overlay.points import points_ledger
from pipelines.sources.overlay.shipments import shipments
from pipelines.sources.overlay.supply.observations import supply_observations
from pipelines.sources.overlay.supply.papers import batches, licences
from pipelines.sources.overlay.supply.places import warehouse_closures, warehouses
from pipelines.sources.overlay.truths import planted_truths


class OverlayError(ValueError):
    """The overlay was asked for something it does not make; the message says what it makes."""


_BUILDERS: Mapping[str, Callable[[Context], pl.DataFrame]] = MappingProxyType(
    {
        "agents": agents,
        "offers": offers,
        "listings": listings,
        "inventory_movements": inventory_movements,
        "shipments": shipments,
        "warehouses": warehouses,
        "warehouse_closures": warehouse_closures,
        "licences": licences,
        "batches": batches,
        "supply_observations": supply_observations,
        "after_sales": after_sales,
        "events": events,
        "competitor_prices": competitor_prices,
        "messages": messages,
        "points_ledger": points_ledger,
    }
)

OVERLAY_ORDER: tuple[str, ...] = tuple(_BUILDERS)
"""The tables in the order in which they are loaded: the contract's order, parents before children."""
OVERLAY_TABLES: frozenset[str] = frozenset(OVERLAY_ORDER)


def generate(
    table: str, observed: ObservedTables, *, seed: int, as_of: datetime, utc_offset_hours: int
) -> pl.DataFrame:
    """Return the overlay rows of one table.

    Args:
        table: one of `OVERLAY_TABLES`.
        observed: the accepted observed tables; rows after `as_of` are not looked at.
        seed: base seed. Each table draws from its own stream, so tables may be made in any order or alone.
        as_of: tz-aware UTC moment; nothing in the result happens or arrives after it (promises and expiries
            may).
        utc_offset_hours: local time = UTC + offset; decides local days and weeks.

    Returns:
        The contract's columns with `received_at` and origin 'overlay'; no rows when nothing was observed.

    Raises:
        OverlayError: unknown table, or `as_of` without a time zone.
    """
    if table not in _BUILDERS:
        raise OverlayError(f"the overlay makes no table '{table}'; it makes: {', '.join(OVERLAY_ORDER)}")
    if as_of.tzinfo is None:
        raise OverlayError(f"as_of {as_of.isoformat()} has no time zone; give a UTC time")
    cut = observed.until(as_of)
    if cut.lines.height == 0:
        return empty(table)
    context = Context(cut, planted_truths(seed, cut), seed, as_of, utc_offset_hours)
    return _BUILDERS[table](context)
