"""From a lake to forecasts: a category that nobody had for three weeks is not one that nobody wanted."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import tiny_lake
from dbt_runs import run_dbt
from tiny_lake import AS_OF

from models.contracts import Candidate
from models.out_of_stock import OUT_OF_STOCK
from pipelines.defs import demand as assets
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.warehouse import Warehouse
from pipelines.trainings import demand as training
from pipelines.trainings.task import Task
from pipelines.warehouse import reading

FIRST = dt.datetime(2016, 2, 1, 5, tzinfo=dt.UTC)
"""Local midnight of a Monday."""
WEEKS = 60
GAP = range(56, 59)
"""Weeks in which no supplier had any milk; the newest has some again."""
MILK = "l2-grocery/milk"
ORDERS_A_WEEK = 10


def week(number: int) -> dt.datetime:
    return FIRST + dt.timedelta(weeks=number)


def rows() -> dict[str, list[dict[str, Any]]]:
    """One merchant sells two kinds of milk and a bread, ten orders a week."""
    tiny = tiny_lake.tables()
    order = next(row for row in tiny["orders"] if row["order_id"] == "o-visit")
    line = next(row for row in tiny["order_lines"] if row["order_id"] == "o-visit")
    offer = tiny["offers"][0]
    draw = random.Random(71)
    orders, lines = [], []
    for number in range(WEEKS * ORDERS_A_WEEK):
        placed = week(number // ORDERS_A_WEEK) + dt.timedelta(hours=draw.randrange(6 * 24))
        name = f"o-{number:04}"
        orders.append(
            order | {"order_id": name, "placed_at": placed, "paid_at": placed, "received_at": placed}
        )
        sold = ["bread-1"] if number // ORDERS_A_WEEK in GAP else ["milk-1", "milk-2", "bread-1"]
        for line_no, sku in enumerate(sold, start=1):
            units = draw.randint(1, 3)
            cents = {"list_price_cents": 100 * units, "net_paid_cents": 100 * units}
            lines.append(
                line
                | {"order_id": name, "line_no": line_no, "sku_id": sku, "qty_milli": 1000 * units}
                | cents
                | {"received_at": placed}
            )
    stated = [(0, 500), (GAP.start, 0), (GAP.stop, 500)]
    offers = [
        offer | {"sku_id": sku, "valid_from": week(number), "stock_qty": units}
        for sku in ("milk-1", "milk-2")
        for number, units in stated
    ]
    kept = ("suppliers", "categories", "products", "merchants", "consumers")
    return {name: tiny[name] for name in kept} | {"orders": orders, "order_lines": lines, "offers": offers}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("without_stock")
    tiny_lake.write(home / "lake", rows())
    wanted = (
        "fct_order_lines", "dim_products", "dim_offers", "fct_inventory_movements", "fct_after_sales",
        "int_orders_changed", "int_order_lines_changed", "int_promotions_weekly_category",
    )  # fmt: skip
    build = run_dbt(home, "run", "--select", *(f"+{name}" for name in wanted))
    assert build.code == 0, build.output
    return build.file


@contextmanager
def nothing_stated() -> Iterator[None]:
    """The same shop, of whose stock nothing was ever stated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "out_of_stock", lambda *_, **__: OUT_OF_STOCK.to_frame())
        yield


def trained(warehouse: Path, work: Path) -> list[Candidate]:
    """The training of the asset `models/demand/forecasters`."""
    task = Task(
        warehouse=warehouse,
        as_of=AS_OF,
        work=work,
        seed=1,
        utc_offset_hours=tiny_lake.UTC_OFFSET_HOURS,
        time_zone="Etc/GMT+5",
        holidays="none",
        champions={},
    )
    return training.demand(task)


def published(warehouse: Path, home: Path, bundle: Path | None, name: str) -> dict[str, pl.DataFrame]:
    """What the asset `published/demand_forecasts` saves with a model, or with the best rule."""
    saved: dict[str, pl.DataFrame] = {}
    scores = SimpleNamespace(save=saved.__setitem__, save_model_versions=lambda *_: None)
    settings = Settings(home=home, time_zone="Etc/GMT+5", data=home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assets, "serving_forecaster", lambda *_: (bundle, name, "1"))
        assets._forecast(settings, AS_OF, Warehouse(warehouse), None, scores, Lake(home / "lake"))
    return saved


def test_the_training_sees_three_missing_weeks_and_judges_nobody_by_them(
    warehouse: Path, tmp_path: Path
) -> None:
    with_stock = trained(warehouse, tmp_path / "stated")
    with nothing_stated():
        without = trained(warehouse, tmp_path / "not")
    assert {one.metrics["missing_weeks"] for one in with_stock} == {3.0}
    assert {one.metrics["missing_weeks"] for one in without} == {0.0}

    def wape(found: list[Candidate]) -> dict[str, float]:
        rows = [row for row in found[0].leaderboard if row["metric"] == "wape"]
        level = rows[0]["level"]
        return {row["system"]: row["value"] for row in rows if row["level"] == level}

    here, there = wape(with_stock), wape(without)
    assert all(here[name] < there[name] for name in ("tsb", "mean_13w", *(one.name for one in with_stock)))
    for one in with_stock:
        told = published(warehouse, tmp_path, one.bundle_dir, one.name)["demand_forecasts"]
        with nothing_stated():
            dragged = published(warehouse, tmp_path, one.bundle_dir, one.name)["demand_forecasts"]
        units, less = (float(frame.filter(category_id=MILK)["mean_qty"].sum()) for frame in (told, dragged))
        assert units == pytest.approx(4 * 40, rel=0.15), one.name
        assert less < 0.9 * units, one.name


def test_the_best_rule_forecasts_what_was_sold_before(warehouse: Path, tmp_path: Path) -> None:
    told = published(warehouse, tmp_path, None, "simple rule")
    with nothing_stated():
        dragged = published(warehouse, tmp_path, None, "simple rule")
    for table, grain in (("demand_forecasts", None), ("demand_outlook", "day"), ("demand_outlook", "month")):
        units, less = (
            float(frame.filter(pl.col("category_id") == MILK)["mean_qty"].sum())
            for frame in (
                saved[table] if grain is None else saved[table].filter(grain=grain)
                for saved in (told, dragged)
            )
        )
        days = {"month": 31 + 61 + 92}.get(grain or "", 28)
        assert units == pytest.approx(days / 7 * 40, rel=0.15), (table, grain)
        assert less < 0.95 * units, (table, grain)
    # Bread was never out of stock.
    bread = [
        float(saved["demand_forecasts"].filter(category_id="l2-grocery/bread")["mean_qty"].sum())
        for saved in (told, dragged)
    ]
    assert bread[0] == pytest.approx(4 * 20, rel=0.15)


def test_the_reader_without_a_begin_tells_all_of_it(warehouse: Path) -> None:
    with reading.connect(warehouse) as connection:
        found = reading.out_of_stock(connection, until=AS_OF)
        newest = reading.out_of_stock(connection, since=week(GAP.stop), until=AS_OF)
    assert found.rows() == [(sku, week(GAP.start), week(GAP.stop)) for sku in ("milk-1", "milk-2")]
    assert newest.is_empty()
