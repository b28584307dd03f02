from __future__ import annotations

import polars as pl
import pytest
from overlay_panel import overlay_of, panel

from pipelines.sources.overlay import ObservedTables, PlantedTruths, planted_truths
from pipelines.sources.panel.complete_journey import CompleteJourney


@pytest.fixture(scope="session")
def observed() -> ObservedTables:
    return panel()


@pytest.fixture(scope="session")
def overlay(observed: ObservedTables) -> dict[str, pl.DataFrame]:
    return overlay_of(observed)


@pytest.fixture(scope="session")
def truths(observed: ObservedTables) -> PlantedTruths:
    return planted_truths(11, observed)


@pytest.fixture(scope="session")
def embedded() -> ObservedTables:
    """The embedded panel as its adapter maps it, rows with a quantity and a known sku only."""
    source = CompleteJourney()

    def read(table: str) -> pl.DataFrame:
        return pl.concat([chunk.frame for chunk in source.read(table)], how="vertical_relaxed")

    products = read("products")
    lines = read("order_lines").filter(pl.col("qty_milli") > 0).join(products, on="sku_id", how="semi")
    return ObservedTables(
        orders=read("orders"),
        order_lines=lines,
        products=products.with_columns(role=pl.lit(None, dtype=pl.String)),
        consumers=read("consumers"),
        merchants=read("merchants"),
        suppliers=read("suppliers"),
        categories=read("categories"),
    )
