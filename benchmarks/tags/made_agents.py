"""Agents for a lake that has none: they bring a third of its orders and are paid a leg for each."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from pipelines.lake.tables import Lake

_TIERS, _REGIONS = ("gold", "silver"), ("north", "south", "east")


def add_agents(lake: Lake, joined: dt.datetime, count: int = 12) -> None:
    """Rewrites a lake's orders, agents and settlement legs; the same rows at every making.

    Args:
        lake: The lake; it must have no agents.
        joined: When all of them were received.
        count: How many agents.
    """
    brought = []
    for file in lake.accepted_files("orders"):
        rows = pl.read_parquet(file)
        number = pl.col("order_id").hash(3)
        agent = pl.when(number % 3 == 0).then(pl.format("agent-{}", number // 3 % count))
        rows = rows.with_columns(agent_id=agent)
        rows.write_parquet(file)
        brought.append(rows.filter(pl.col("agent_id").is_not_null()))
    (agents,) = lake.accepted_files("agents")
    _filled(agents, _agents(count, joined)).write_parquet(agents)
    (empty,) = lake.accepted_files("settlement_legs")
    legs = empty.parent.with_name(f"day={joined.date().isoformat()}") / empty.name
    legs.parent.mkdir()
    _filled(empty, _legs(pl.concat(brought))).write_parquet(legs)


def _filled(like: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with every column of a table's file, in its order and types; null where nothing was made."""
    schema = pl.read_parquet_schema(like)
    made = [pl.col(name) if name in rows.columns else pl.lit(None).alias(name) for name in schema]
    return rows.select(made).cast(dict(schema))


def _agents(count: int, joined: dt.datetime) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "agent_id": f"agent-{number}",
                "inviter_agent_id": f"agent-{number // 2}" if number else None,
                "tier": _TIERS[number % len(_TIERS)],
                "region_code": _REGIONS[number % len(_REGIONS)],
                "joined_on": joined.date(),
                "is_active": number % 5 > 0,
                "received_at": joined,
                "origin": "made",
            }
            for number in range(count)
        ]
    )


def _legs(orders: pl.DataFrame) -> pl.DataFrame:
    number = pl.col("order_id").hash(5)
    accrued = pl.col("placed_at") + pl.duration(days=1)
    return orders.select(
        leg_id=pl.format("leg-{}", "order_id"),
        order_id="order_id",
        line_no=1,
        supplier_id=pl.lit("platform"),
        leg_kind=pl.lit("agent"),
        payee_type=pl.when(number % 10 > 0).then(pl.lit("agent")).otherwise(pl.lit("merchant")),
        payee_id="agent_id",
        level=number % 2 + 1,
        base_cents=number % 90_000,
        rate_bps=500,
        wanted_cents=number % 4_500,
        amount_cents=number % 4_500,
        reversed_cents=pl.when(number % 7 == 0).then(number % 4_500).otherwise(0),
        scenario=1,
        plan_id=pl.lit("default"),
        plan_version=1,
        explanation=pl.lit("made"),
        rounding_cents=0,
        forfeited_cents=0,
        leg_state=pl.lit("locked"),
        is_unfrozen=False,
        is_replaced=False,
        accrued_at=accrued,
        received_at=accrued,
        origin=pl.lit("made"),
    )
