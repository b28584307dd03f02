"""Empty, tiny and odd inputs: never a crash, always the contract's columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overlay_panel import AS_OF, OFFSET, overlay_of, panel

from pipelines.sources.contract import contract_table, empty
from pipelines.sources.overlay import OVERLAY_ORDER, ObservedTables, OverlayError, generate, planted_truths
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    arrivals,
    generator,
    local_day_start,
    local_week_start,
    micros,
    moments,
)

OBSERVED = ("orders", "order_lines", "products", "consumers", "merchants", "suppliers", "categories")


def test_nothing_observed_gives_empty_tables() -> None:
    nothing = ObservedTables(**{name: empty(name) for name in OBSERVED})
    for table, rows in overlay_of(nothing).items():
        assert rows.height == 0
        assert dict(rows.schema) == dict(contract_table(table).dtypes)
    assert planted_truths(1, nothing).complaint_prone_skus == ()


def test_without_suppliers_there_are_no_offers_and_no_parcels_but_visits_remain() -> None:
    full = panel(orders=400)
    bare = replace(full, suppliers=full.suppliers.clear())
    tables = overlay_of(bare)
    for table in ("offers", "inventory_movements", "shipments"):
        assert tables[table].height == 0
    for table in ("events", "listings", "after_sales", "competitor_prices"):
        assert tables[table].height > 0


def test_without_categories_and_makers_nothing_breaks() -> None:
    full = panel(orders=400)
    bare = replace(
        full,
        categories=full.categories.clear(),
        products=full.products.with_columns(manufacturer_id=pl.lit(None, pl.String)),
        order_lines=full.order_lines.with_columns(supplier_id=pl.lit(None, pl.String)),
    )
    tables = overlay_of(bare)
    assert tables["offers"].height == 0
    assert tables["events"].height > 0


def test_without_consent_there_are_no_messages() -> None:
    full = panel(orders=400)
    silent = replace(full, consumers=full.consumers.with_columns(consent_marketing=pl.lit(False)))
    assert generate("messages", silent, seed=1, as_of=AS_OF, utc_offset_hours=OFFSET).height == 0


def test_fuel_and_coupon_lines_carry_nothing() -> None:
    full = panel(orders=400)
    fuel = replace(
        full,
        products=full.products.with_columns(category_id=pl.lit("l3-fuel")),
        categories=pl.DataFrame(
            {"category_id": ["l3-fuel"], "parent_category_id": [None], "name": ["Fuel"], "role": ["fuel"]},
            schema=full.categories.schema,
        ),
    )
    assert fuel.lines.height == 0
    assert generate("offers", fuel, seed=1, as_of=AS_OF, utc_offset_hours=OFFSET).height == 0


def test_observed_regions_are_kept() -> None:
    full = panel(orders=400)
    placed = replace(full, suppliers=full.suppliers.with_columns(region_code=pl.lit("cn-31")))
    offers = generate("offers", placed, seed=1, as_of=AS_OF, utc_offset_hours=OFFSET)
    assert offers["ship_from_region"].unique().to_list() == ["cn-31"]


def test_unknown_table_and_naive_clock_are_refused() -> None:
    full = panel(orders=5)
    with pytest.raises(OverlayError, match="makes no table 'coupons'"):
        generate("coupons", full, seed=1, as_of=AS_OF, utc_offset_hours=OFFSET)
    with pytest.raises(OverlayError, match="no time zone"):
        generate("offers", full, seed=1, as_of=AS_OF.replace(tzinfo=None), utc_offset_hours=OFFSET)


def test_as_of_at_the_last_order_keeps_it() -> None:
    full = panel(orders=50)
    last = full.orders["placed_at"].max()
    assert isinstance(last, datetime)
    assert full.until(last) is full
    before = last - timedelta(seconds=1)
    assert full.until(before).orders.height < full.orders.height
    assert full.until(before) is full.until(before)
    assert full.until(last) is full


@settings(max_examples=12, deadline=None)
@given(
    orders=st.integers(1, 40),
    skus=st.integers(1, 30),
    suppliers=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    offset=st.integers(-11, 12),
    days_after=st.integers(-300, 30),
)
def test_tiny_panels(orders: int, skus: int, suppliers: int, seed: int, offset: int, days_after: int) -> None:
    observed = panel(
        orders=orders, skus=skus, suppliers=suppliers, consumers=3, merchants=2, seed=seed % 1000
    )
    as_of = AS_OF + timedelta(days=days_after)
    for table in OVERLAY_ORDER:
        rows = generate(table, observed, seed=seed, as_of=as_of, utc_offset_hours=offset)
        assert dict(rows.schema) == dict(contract_table(table).dtypes)
        assert not rows.select(contract_table(table).key).is_duplicated().any()
        if rows.height:
            assert rows["received_at"].max() <= as_of


@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
    offset=st.integers(-11, 13),
)
def test_local_days_and_weeks_against_the_calendar(moment: datetime, offset: int) -> None:
    zone = timezone(timedelta(hours=offset))
    at = moment.replace(tzinfo=UTC)
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    values = np.array([micros(at)], dtype=np.int64)
    assert local_day_start(values, offset)[0] == micros(midnight)
    assert local_week_start(values, offset)[0] == micros(midnight - timedelta(days=midnight.weekday()))
    assert moments(values)[0] == at


def test_arrivals_are_never_before_the_event_and_late_ones_at_most_two_days() -> None:
    happened = np.zeros(100_000, dtype=np.int64)
    lag = arrivals(generator(3, "x"), happened)
    assert lag.min() >= 0
    assert lag.max() <= 2 * DAY
    assert 0.028 < (lag >= HOUR).mean() < 0.032


def test_streams_are_independent() -> None:
    first = generator(1, "offers").random(4)
    assert not np.allclose(first, generator(1, "listings").random(4))
    assert np.array_equal(first, generator(1, "offers").random(4))


@pytest.mark.slow
def test_embedded_panel_stays_within_its_limits(embedded: ObservedTables) -> None:
    limits = {
        "events": 2_500_000, "offers": 80_000, "listings": 260_000, "competitor_prices": 350_000,
        "shipments": 420_000, "after_sales": 40_000, "inventory_movements": 700_000, "messages": 60_000,
        "points_ledger": 320_000, "agents": 3_000, "warehouses": 8, "warehouse_closures": 60,
        "licences": 20_000, "batches": 5_000, "supply_observations": 250_000,
    }  # fmt: skip
    as_of = datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)
    for table in OVERLAY_ORDER:
        rows = generate(table, embedded, seed=7, as_of=as_of, utc_offset_hours=-5)
        assert limits[table] / 10 < rows.height <= limits[table], table
