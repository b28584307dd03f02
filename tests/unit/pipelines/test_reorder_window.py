"""How far back the nightly reorder step reads: what the assortment of a shop is told from."""

import datetime as dt
from contextlib import nullcontext
from types import SimpleNamespace

import polars as pl
import pytest

from models.out_of_stock import OUT_OF_STOCK
from pipelines.defs.replenishment import _reorder
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.warehouse import reading

AS_OF = dt.datetime(2026, 11, 2, 3, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(("ago", "skus"), [(1, ["milk", "rye"]), (181, ["milk", "rye"]), (183, ["milk"])])
def test_a_sku_is_of_the_assortment_when_it_sold_within_26_weeks(tmp_path, monkeypatch, ago, skus):
    lines = pl.DataFrame(
        {
            "merchant_id": "m1",
            "sku_id": ["milk", "rye"],
            "category_l2_id": "food",
            "placed_at": [AS_OF - 2 * DAY, AS_OF - ago * DAY],
            "qty": [8.0, 8.0],
            "is_merchandise": True,
        }
    ).with_columns(placed_on=pl.col("placed_at").dt.date())
    forecasts = pl.DataFrame(
        {
            "merchant_id": "m1",
            "category_id": "food",
            "week_start_on": AS_OF.date(),
            "horizon_weeks": 1,
            "mean_qty": 20.0,
            "p10_qty": 15.0,
            "p50_qty": 20.0,
            "p90_qty": 25.0,
            "model": "x",
        }
    )

    def order_lines(_, *, since):
        return lines.filter(pl.col("placed_at") > since)

    offers = pl.DataFrame(schema={"supplier_id": pl.String, "sku_id": pl.String})
    listings = pl.DataFrame(schema={"merchant_id": pl.String, "sku_id": pl.String, "is_listed": pl.Boolean})
    for name, answer in (
        ("order_lines", order_lines),
        ("current_offers", lambda _: offers),
        ("current_listings", lambda _, **__: listings),
        ("weekly_units", lambda _, **__: None),
        ("new_listings", lambda _, **__: None),
        ("out_of_stock", lambda _, **__: OUT_OF_STOCK.to_frame()),
    ):
        monkeypatch.setattr(reading, name, answer)
    saved = {}
    scores = SimpleNamespace(get=lambda _: forecasts, save=saved.__setitem__)
    lake = Lake(tmp_path / "lake")
    lake.create()
    settings = Settings(home=tmp_path, time_zone="UTC", data=tmp_path)
    _reorder(settings, AS_OF, SimpleNamespace(open=nullcontext), scores, lake)
    assert saved["sku_forecasts"]["sku_id"].unique().sort().to_list() == skus
