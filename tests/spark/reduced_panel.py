"""A lake with the embedded panel cut to a part of its consumers: small, with the oddities of real rows."""

from __future__ import annotations

import datetime as dt

import polars as pl

from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER, contract_table
from pipelines.stores.sources import Sources

ONE_IN = 8
"""Of so many consumers one is kept."""
FIRST_WEEK = dt.date(2017, 9, 1)
"""Placements before this day are left out: they are nine tenths of the panel's rows."""


def write(settings: Settings) -> dt.datetime:
    """Loads the panel into the home's lake and cuts it.

    Returns:
        Business time of the panel.
    """
    lake = Lake(settings.lake_dir)
    sources = Sources(settings, lake)
    as_of = Clock(settings, sources).now()
    for table in INGEST_ORDER:
        sources.feeds.load(table, as_of, None)
    kept = lake.read("consumers", ["consumer_id"]).filter(pl.col("consumer_id").hash(7) % ONE_IN == 0)
    orders = lake.read("orders").filter(pl.col("consumer_id").is_in(kept["consumer_id"].implode()))
    for table in INGEST_ORDER:
        columns = contract_table(table).dtypes
        for file in lake.accepted_files(table):
            rows = pl.read_parquet(file)
            if "consumer_id" in columns:
                rows = rows.join(kept, on="consumer_id", how="semi", maintain_order="left")
            elif "order_id" in columns:
                rows = rows.join(orders, on="order_id", how="semi", maintain_order="left")
            elif table == "promotions" and rows.height and "week=" in str(file):
                week = dt.date.fromisoformat(file.parent.name.split("=")[1])
                rows = rows.clear() if week < FIRST_WEEK else rows
            rows.write_parquet(file)
    return as_of
