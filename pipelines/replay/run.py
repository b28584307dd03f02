"""The whole replay: catalogue and parties, orders, days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from pipelines.lake.tables import Lake
from pipelines.replay.bulk import tenant_of
from pipelines.replay.catalogue import load_catalogue
from pipelines.replay.days import Passed, pass_days
from pipelines.replay.orders import AT_ONCE, unknown_orders, write_orders
from pipelines.replay.parties import load_agents, load_parties
from pipelines.replay.selection import Selection, select
from pipelines.replay.stock import load_stock
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.settlement.plans.assignments import is_settled, put_into_force
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.profiles import DEFAULT_PLAN, shipped_text
from serving.settlement.plans.store import publish_plan
from serving.settlement.plans.windows import windows_of

_FILLED = (
    "orders.customer_order", "orders.order_line", "orders.sub_order", "orders.after_sale", "orders.stock",
    "settlement.leg", "ledger.transaction", "ledger.entry", "ledger.account", "ledger.balance",
)  # fmt: skip


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        orders: Orders that were new.
        lines: Their lines.
        legs: Legs accrued for them.
        refunds: Refunds of lines.
        released_legs: Legs that were released.
        payouts: Transfers to parties.
        parties: Suppliers, merchants and agents that were new.
        catalogue_rows: Products, offers and listings written.
        stock_rows: Stock rows written.
        closed_months: Months that were closed.
        skipped: Sold orders that were not replayed, by why.
    """

    orders: int
    lines: int
    legs: int
    refunds: int
    released_legs: int
    payouts: int
    parties: int
    catalogue_rows: int
    stock_rows: int
    closed_months: tuple[str, ...]
    skipped: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The report with lists instead of tuples."""
        return {**asdict(self), "closed_months": list(self.closed_months)}


def replay(
    lake: Lake, url: str, *, tenant_id: str, as_of: datetime, days: int, has_generated_agents: bool
) -> ReplayReport:
    """Replay the last days of the lake's orders; what an earlier replay did is not done again.

    Args:
        lake: The accepted tables.
        url: Address of the migrated operational database.
        tenant_id: Whose orders.
        as_of: Business time (UTC).
        days: Length of the window.
        has_generated_agents: Whether agents are generated, so that orders and consumers may be given one.
    """
    chosen = select(lake, as_of=as_of, days=days, assigns_agents=has_generated_agents)
    with Operations(url, size=AT_ONCE) as operations:

        def transactions() -> Any:
            return operations.transaction(tenant_id)

        with transactions() as connection:
            plan = _plan(connection, as_of)
            new = unknown_orders(connection, chosen)
            parties = load_parties(connection, lake)
            agents = load_agents(connection, lake, refers=has_generated_agents)
            rows = load_catalogue(connection, lake, as_of)
            stock = load_stock(connection, lake, chosen, as_of)
        legs = write_orders(transactions, new, agents, plan, windows_of(plan).wait, as_of)
        if new.orders.height:
            _analyze(url)
        passed = pass_days(transactions, chosen, plan, since=as_of - timedelta(days=days), as_of=as_of)
    return _report(new, legs, passed, parties, rows, stock, chosen.skipped)


def _analyze(url: str) -> None:
    """Tell the planner what came in; waiting for autovacuum would make the releases ten times slower."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute(f"analyze {', '.join(_FILLED)}")


def _plan(connection: Any, as_of: datetime) -> PlanVersion:
    """The default plan, published and set for every merchant without a plan of its own."""
    tenant_id = tenant_of(connection)
    if not is_settled(connection, tenant_id):
        put_into_force(connection, tenant_id, as_of)
    return publish_plan(connection, tenant_id, shipped_text(DEFAULT_PLAN), as_of)


def _report(
    new: Selection,
    legs: int,
    passed: Passed,
    parties: int,
    catalogue_rows: int,
    stock_rows: int,
    skipped: Mapping[str, int],
) -> ReplayReport:
    return ReplayReport(
        orders=new.orders.height,
        lines=new.lines.height,
        legs=legs,
        refunds=passed.refunds,
        released_legs=passed.released_legs,
        payouts=passed.payouts,
        parties=parties,
        catalogue_rows=catalogue_rows,
        stock_rows=stock_rows,
        closed_months=passed.closed_months,
        skipped=dict(skipped),
    )
