"""A day of journeys: what feeds tell of reactions, a round of every tenant, what came of every journey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import duckdb
import polars as pl

from pipelines.lake.tables import Lake
from pipelines.stores.journeys import EFFECT_COLUMNS, WAY_COLUMNS
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.db.tenants import tenants_of
from serving.errors import DatabaseUnavailableError, ServingError
from serving.journeys import decisions, effects, reactions, results, violations
from serving.journeys.channels.protocol import Gateways
from serving.journeys.reactions import Reaction
from serving.journeys.rounds import make_round
from serving.journeys.verdict import Verdict
from serving.journeys.versions import Version, page
from serving.orders.clock import BusinessClock
from serving.settings import Settings

_INSTANT = pl.Datetime("us", "UTC")
_MARGINS = """
select w.run, coalesce(sum(l.margin_cents), 0)::bigint as margin_cents
from journey_runs as w join core.fct_order_lines as l on l.consumer_id = w.consumer_id
    and l.placed_at >= w.entered_at and l.placed_at < w.until and l.placed_at <= $now
where l.is_sale or l.is_return
group by w.run
"""
_WINDOW = timedelta(days=45)
"""So far back feeds are read for reactions."""
_PAID_WITHIN = timedelta(days=30)
"""Feeds lie by when an order was placed; one that was paid later than this after it is no reaction."""
_RECENT = timedelta(days=90)
"""Consumers who entered a journey so lately have their reactions read."""
_DAY = timedelta(days=1)
_JUDGED = timedelta(days=30)


@dataclass(frozen=True)
class JourneysDay:
    """What a day did.

    Attributes:
        tenants: Tenants that had their turn.
        entered: New runs.
        moved: Moves.
        sent: Messages by what became of them.
        converted: Messages whose conversion changed.
        lost: Journeys that were stopped since they lose.
        by_journey: The last 24 hours of every tenant's journeys.
        violations: Messages of the last 30 days that broke a rule, by tenant and rule; empty when sound.
        late: Runs that nobody moves, by tenant and journey.
        stopped: Tenants whose day is stopped, and why.
    """

    tenants: int = 0
    entered: int = 0
    moved: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    converted: int = 0
    lost: tuple[str, ...] = ()
    by_journey: dict[str, dict[str, Any]] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The figures, with lists instead of tuples."""
        return {**asdict(self), "lost": list(self.lost), "stopped": list(self.stopped)}


def take_reactions(lake: Lake, url: str, tenant_id: str, as_of: datetime) -> dict[str, int]:
    """Let journeys know the orders and visits of the feeds; what was generated is none.

    Args:
        lake: The accepted tables.
        url: Address of the migrated operational database.
        tenant_id: Whose home it is.
        as_of: Business time (UTC).

    Returns:
        Consumers who were looked at, orders and visits that were found, and how many of them are news.
    """
    since = as_of - _WINDOW
    with Operations(url, size=1) as operations:
        transactions = partial(operations.transaction, tenant_id)
        with transactions() as conn:
            rows = conn.execute(
                "select distinct consumer_id from journeys.run where tenant_id = %s and entered_at > %s"
                " order by 1",
                (tenant_id, as_of - _RECENT),
            ).fetchall()
        about = [str(row[0]) for row in rows]
        found = [*_orders(lake, about, since, as_of), *_visits(lake, about, since, as_of)] if about else []
        news = (
            in_transaction(
                transactions,
                lambda conn: reactions.take_in(conn, tenant_id, "feed", found, since=since, about=about),
            )
            if about
            else 0
        )
    kinds = [one.kind for one in found]
    return {
        "consumers": len(about),
        "orders": kinds.count("order"),
        "visits": kinds.count("visit"),
        "news": news,
    }


def _orders(lake: Lake, about: list[str], since: datetime, as_of: datetime) -> list[Reaction]:
    paid = pl.coalesce("paid_at", "placed_at")
    rows = (
        lake.scan_days("orders", (since - _PAID_WITHIN).date(), as_of.date())
        .filter(
            (pl.col("state") == "paid") & (pl.col("origin") == "observed") & paid.is_between(since, as_of)
        )
        .filter(pl.col("consumer_id").is_in(about))
        .select("order_id", "consumer_id", paid.alias("at"))
        .collect()
    )
    return [Reaction(order, consumer, "order", at) for order, consumer, at in rows.iter_rows()]


def _visits(lake: Lake, about: list[str], since: datetime, as_of: datetime) -> list[Reaction]:
    """The newest visit of a consumer and day stands for all of that day."""
    seen = ["view", "favourite", "add_to_cart", "remove_from_cart", "checkout"]
    rows = (
        lake.scan_days("events", since.date(), as_of.date())
        .filter(pl.col("event_type").is_in(seen) & pl.col("sku_id").is_not_null())
        .filter((pl.col("origin") == "observed") & pl.col("occurred_at").is_between(since, as_of))
        .filter(pl.col("consumer_id").is_in(about))
        .sort("occurred_at", "event_id")
        .group_by("consumer_id", pl.col("occurred_at").dt.date().alias("day"))
        .agg(pl.col("event_id").last(), pl.col("occurred_at").last())
        .select("event_id", "consumer_id", "occurred_at")
        .collect()
    )
    return [
        Reaction(event, consumer, "visit", at) for event, consumer, at in rows.sort("event_id").iter_rows()
    ]


def live_day(url: str, now: datetime, gateways: Gateways) -> JourneysDay:
    """A round of every tenant's journeys, and what was decided in the last 24 hours.

    A tenant whose round fails keeps no other from its own.

    Args:
        url: Address of the migrated operational database.
        now: Business time (UTC).
        gateways: A way out for each channel.
    """
    tenants = entered = moved = converted = 0
    sent: dict[str, int] = {}
    by_journey: dict[str, dict[str, Any]] = {}
    broken: dict[str, int] = {}
    late: dict[str, int] = {}
    lost: list[str] = []
    stopped: list[str] = []
    with Operations(url, size=2) as operations:
        for tenant_id in tenants_of(url):
            transactions = partial(operations.transaction, tenant_id)
            try:
                done = make_round(transactions, tenant_id, gateways, now)
                converted += in_transaction(
                    transactions, partial(reactions.mark_conversions, tenant_id=tenant_id, now=now)
                )
                with transactions() as conn:
                    decided = decisions.decided(conn, tenant_id, now - _DAY, now)
                    counted = violations.count(conn, tenant_id, now - _JUDGED, now)
            except DatabaseUnavailableError:
                raise
            except ServingError as error:
                stopped.append(f"{tenant_id}: {error}")
                continue
            tenants += 1
            entered += done.entered.total()
            moved += done.ticked.moved
            for state, count in done.sent.states.items():
                sent[state] = sent.get(state, 0) + count
            lost += [f"{tenant_id}: {journey_id}" for journey_id in done.lost]
            by_journey |= {f"{tenant_id}: {name}": one.to_json() for name, one in decided.items()}
            broken |= {f"{tenant_id}: {rule}": count for rule, count in counted.items() if count}
            late |= {f"{tenant_id}: {name}": one.late_runs for name, one in decided.items() if one.late_runs}
    return JourneysDay(
        tenants, entered, moved, sent, converted, tuple(lost), by_journey, broken, late, tuple(stopped)
    )


@dataclass(frozen=True)
class Effects:
    """What came of the journeys of a tenant.

    Attributes:
        effect: `EFFECT_COLUMNS`.
        ways: `WAY_COLUMNS`.
        verdicts: By journey.
        steps: By journey, the id and kind of each step of the version in force.
    """

    effect: pl.DataFrame
    ways: pl.DataFrame
    verdicts: Mapping[str, Verdict]
    steps: Mapping[str, Any]

    @property
    def unfit(self) -> list[str]:
        """Journeys whose arms do not fit the shares that were drawn."""
        return [journey_id for journey_id, one in self.verdicts.items() if one.word == "blocked"]


def effects_of(
    warehouse: duckdb.DuckDBPyConnection, url: str, tenant_id: str, costs: Mapping[str, int], now: datetime
) -> Effects:
    """What came of every journey of a tenant, per arm.

    Args:
        warehouse: The published warehouse, for the margin of orders.
        url: Address of the migrated operational database.
        tenant_id: Whose journeys.
        costs: What a message costs by channel, fen.
        now: Business time (UTC).
    """
    rows: list[dict[str, Any]] = []
    verdicts: dict[str, Verdict] = {}
    steps: dict[str, Any] = {}
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        ways = effects.ways(conn, tenant_id)
        for version in page(conn, tenant_id, after="", limit=10_000):
            journey = version.journey
            found = effects.lived(conn, tenant_id, journey, costs, now)
            if found:
                verdicts[journey.journey_id] = results.verdict_of(conn, tenant_id, journey, now)
                steps[journey.journey_id] = [[step.id, step.kind] for step in journey.steps]
                rows += _arms(warehouse, version, found, verdicts[journey.journey_id], now)
    return Effects(
        pl.DataFrame(rows, schema=EFFECT_COLUMNS),
        pl.DataFrame(ways, schema=WAY_COLUMNS, orient="row"),
        verdicts,
        steps,
    )


def _arms(
    warehouse: duckdb.DuckDBPyConnection,
    version: Version,
    found: list[effects.Lived],
    verdict: Verdict,
    now: datetime,
) -> list[dict[str, Any]]:
    runs = pl.DataFrame(
        found,
        schema={
            "consumer_id": pl.String, "arm": pl.String, "source": pl.String, "entered_at": _INSTANT,
            "is_ripe": pl.Boolean, "reached": pl.Boolean, "sent": pl.Int64, "delivered": pl.Int64,
            "failed": pl.Int64, "clicked": pl.Int64, "opted_out": pl.Int64, "cost_cents": pl.Int64,
        },
        orient="row",
    ).with_row_index("run")  # fmt: skip
    journey = version.journey
    ripe = runs.filter("is_ripe")
    warehouse.register(
        "journey_runs", ripe.with_columns(until=pl.col("entered_at") + timedelta(days=journey.goal_days))
    )
    margins = warehouse.execute(_MARGINS, {"now": now}).pl()
    warehouse.unregister("journey_runs")
    ripe = ripe.join(margins.cast({"run": pl.UInt32}), on="run", how="left").with_columns(
        pl.col("margin_cents").fill_null(0)
    )
    rows = []
    for arm in ("treated", "control", "universal"):
        lived, counted = runs.filter(arm=arm), ripe.filter(arm=arm)
        if lived.is_empty():
            continue
        reached = int(counted["reached"].sum())
        margin, cost = int(counted["margin_cents"].sum()), int(counted["cost_cents"].sum())
        rows.append(
            {
                "journey_id": journey.journey_id,
                "title": journey.title,
                "version": version.version,
                "state": version.state,
                "goal": journey.goal,
                "arm": arm,
                "is_simulated": bool((lived["source"] == "simulated").any()),
                "run_count": lived.height,
                "assigned_count": counted.height,
                **{
                    f"{name}_count": int(counted[name].sum())
                    for name in ("sent", "delivered", "failed", "clicked", "opted_out")
                },
                "converted_count": reached,
                "conversion_share": reached / counted.height if counted.height else None,
                "margin_cents": margin,
                "message_cost_cents": cost,
                "net_margin_cents": margin - cost,
                **(_against(verdict) if arm == "treated" else {}),
            }
        )
    return rows


def _against(verdict: Verdict) -> dict[str, Any]:
    """The treated against the controls; no interval without both."""
    both = bool(verdict.treated.size and verdict.control.size)
    return {
        "difference": verdict.difference if both else None,
        "difference_low": verdict.low if both else None,
        "difference_high": verdict.high if both else None,
        "ratio_p": verdict.ratio_p if both else None,
        "verdict": verdict.word,
    }


def late_runs(url: str, settings: Settings) -> dict[str, int]:
    """Runs that are due for over an hour and that nobody moves, by tenant and journey.

    Args:
        url: Address of the migrated operational database.
        settings: Of the installation, for its business time.
    """
    clock = BusinessClock(settings)
    found: dict[str, int] = {}
    with Operations(url, size=1) as operations:
        for tenant_id in tenants_of(url):
            with operations.transaction(tenant_id) as conn:
                now = clock.now(conn, tenant_id)
                decided = decisions.decided(conn, tenant_id, now, now)
            found |= {f"{tenant_id}: {name}": one.late_runs for name, one in decided.items() if one.late_runs}
    return found
