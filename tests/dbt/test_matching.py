"""What matching reads of a built warehouse: sales, the pool, scenes, listings, and what offers can spare."""

from __future__ import annotations

import datetime as dt

import duckdb
import polars as pl
import pytest

from models.supply.resilience.config import ResilienceConfig
from pipelines.warehouse import matching, reading

NO_CHANNELS = pl.DataFrame(
    schema={"supplier_id": pl.String, "category_id": pl.String, "grade": pl.String, "gate": pl.String}
)


def test_the_world_holds_merchandise_scenes_and_first_listings(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    read = matching.world(warehouse)
    assert read.merchants.select("merchant_id", "scene").rows() == [
        ("m-1", "community"),
        ("m-2", "community"),
    ]
    pool = set(read.products["sku_id"].to_list())
    assert {"milk-1", "milk-2", "bread-1"} <= pool
    assert "fuel-1" not in pool
    sold = reading.known_lines(warehouse, merchandise_only=True, with_guests=True)
    assert read.lines.height == sold.filter(pl.col("sku_id").is_in(list(pool))).height > 0
    assert read.lines["placed_at"].is_sorted()
    first = read.listings.filter(merchant_id="m-1", sku_id="milk-1")["first_listed_at"].to_list()
    assert [moment.date() for moment in first] == [dt.date(2017, 1, 1)]


def test_an_offer_spares_what_it_could_ship_beside_what_it_ships(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    offers = reading.current_offers(warehouse)
    found = matching.supply(warehouse, offers, NO_CHANNELS, ["bread-1"], 56)
    assert found.barred == ("bread-1",)
    units = dict(reading.units_supplied(warehouse).select("sku_id", "units").iter_rows())
    days = ResilienceConfig().window_days
    for sku, spare, cents in found.offers.select("sku_id", "spare_qty", "unit_cents").iter_rows():
        per_day = units.get(sku, 0.0) / days
        assert spare == pytest.approx(max(10.0 - per_day, 0.0) * 56)
        assert cents == {"milk-1": 70, "milk-2": 90, "bread-1": 40}[sku]
    assert dict(found.prices.iter_rows())["milk-1"] == 125
    graded = pl.DataFrame(
        {
            "supplier_id": ["s-1", "s-2"],
            "category_id": [offers.filter(supplier_id=s)["category_l2_id"][0] for s in ("s-1", "s-2")],
            "grade": ["D", "A"],
            "gate": [None, "quality_floor"],
        },
        schema=NO_CHANNELS.schema,
    )
    assert matching.supply(warehouse, offers, graded, [], 56).offers.height == 0
    good = graded.with_columns(grade=pl.lit("C"), gate=pl.lit(None, pl.String))
    kept = matching.supply(warehouse, offers, good, [], 56).offers
    assert kept.height == found.offers.height
    assert set(kept["grade"].to_list()) == {"C"}
