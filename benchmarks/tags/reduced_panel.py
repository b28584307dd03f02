"""A lake with the embedded panel cut to a part of its consumers: small, with the oddities of real rows."""

from __future__ import annotations

import datetime as dt

import polars as pl

from benchmarks.tags.made_agents import add_agents
from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER, contract_table
from pipelines.stores.sources import Sources

_FIRST_WEEK = dt.date(2017, 11, 27)


def write(settings: Settings, *, one_in: int = 8) -> dt.datetime:
    """Loads the panel into the home's lake and cuts it; a cut panel has agents, which the whole one lacks.

    Args:
        settings: Name the home; its lake is written.
        one_in: Of so many consumers one is kept; 1 keeps the whole panel. Placements of a cut panel begin
            with December: all of them are nine tenths of the panel's rows.

    Returns:
        Business time of the panel.
    """
    lake = Lake(settings.lake_dir)
    sources = Sources(settings, lake)
    as_of = Clock(settings, sources).now()
    for table in INGEST_ORDER:
        sources.feeds.load(table, as_of, None)
    if one_in == 1:
        return as_of
    kept = lake.read("consumers", ["consumer_id"]).filter(pl.col("consumer_id").hash(7) % one_in == 0)
    orders = lake.read("orders").join(kept, on="consumer_id", how="semi")
    for table in INGEST_ORDER:
        columns = contract_table(table).dtypes
        for file in lake.accepted_files(table):
            rows = pl.read_parquet(file)
            if "consumer_id" in columns:
                rows = rows.join(kept, on="consumer_id", how="semi", maintain_order="left")
            elif "order_id" in columns:
                rows = rows.join(orders, on="order_id", how="semi", maintain_order="left")
            elif contract_table(table).is_weekly and rows.height:
                week = dt.date.fromisoformat(file.parent.name.split("=")[1])
                rows = rows.clear() if week < _FIRST_WEEK else rows
            rows.write_parquet(file)
    add_agents(lake, dt.datetime(2017, 1, 2, tzinfo=dt.UTC))
    return as_of


_OF_A_CONSUMER = frozenset(
    {"consumer_id", "inviter_id", "order_id", "returned_order_id", "shipment_id", "case_id", "event_id"}
    | {"session_id", "coupon_id", "message_id", "touch_id", "entry_id", "leg_id"}
)
"""Keys of rows that belong to one consumer, wherever they are named."""


def multiply(lake: Lake, copies: int) -> None:
    """Makes every consumer of a lake so many consumers, each with rows of his own; the rest stays as it is.

    Args:
        lake: The lake; its files are rewritten.
        copies: How many of each there are afterwards.
    """
    for table in INGEST_ORDER:
        columns = contract_table(table).dtypes
        if not {"consumer_id", "order_id"} & columns.keys():
            continue
        ids = sorted(_OF_A_CONSUMER & columns.keys())
        for file in lake.accepted_files(table):
            rows = pl.read_parquet(file)
            others = [rows.with_columns(pl.col(ids) + f"~{number}") for number in range(1, copies)]
            pl.concat([rows, *others]).write_parquet(file)
