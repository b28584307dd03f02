"""Days out of stock are missing and not zero: shares by hand, the edges of days, and the reorder rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest
from test_reorder_tables import AS_OF, NO_LISTINGS, SURE, TODAY, forecasts, lines, offer, table

from models.out_of_stock import OUT_OF_STOCK
from models.replenishment.config import ReorderConfig
from models.replenishment.disaggregate import sku_shares
from models.replenishment.reorder import reorder
from models.replenishment.stockouts import shares_on_sale

MIDNIGHT = datetime.fromisoformat("2018-01-01T00:00:00+00:00")


def out(*rows: tuple[str, float, float]) -> pl.DataFrame:
    """(sku, began days ago, ended days ago), from the midnight at which today begins."""
    return pl.DataFrame(
        [(sku, MIDNIGHT - timedelta(days=begin), MIDNIGHT - timedelta(days=end)) for sku, begin, end in rows],
        schema=OUT_OF_STOCK,
        orient="row",
    )


def on_sale(
    gaps: pl.DataFrame, sold: pl.DataFrame | None = None, offset: int = 0
) -> dict[str, tuple[float, float]]:
    config = replace(SURE, utc_offset_hours=offset)
    found = shares_on_sale(gaps, lines([]) if sold is None else sold, TODAY, config)
    return {sku: (recent, long) for sku, recent, long in found.iter_rows()}


def test_only_whole_days_count() -> None:
    assert on_sale(out(("a", 7.0, 3.0))) == {"a": (pytest.approx(1 - 4 / 56), pytest.approx(1 - 4 / 182))}
    assert on_sale(out(("a", 7.5, 3.5)))["a"][0] == pytest.approx(1 - 3 / 56), "three whole days"
    assert on_sale(out(("a", 3.9, 3.1))) == {}, "no day is whole"
    # Local midnight is five hours later: a day is whole from then to then.
    assert on_sale(out(("a", 7.0 - 5 / 24, 3.0 - 5 / 24)), offset=-5)["a"][0] == pytest.approx(1 - 4 / 56)
    assert on_sale(out(("a", 7.0 - 6 / 24, 3.0)), offset=-5)["a"][0] == pytest.approx(1 - 2 / 56)


def test_the_windows_have_their_edges() -> None:
    """55 days ago is the oldest of 56, 181 the oldest of 182; two spells add up."""
    assert on_sale(out(("a", 60.0, 50.0)))["a"] == (pytest.approx(1 - 5 / 56), pytest.approx(1 - 10 / 182))
    assert on_sale(out(("a", 400.0, 180.0)))["a"] == (1.0, pytest.approx(1 - 1 / 182))
    assert on_sale(out(("a", 400.0, 190.0))) == {}
    both = on_sale(out(("a", 10.0, 8.0), ("a", 4.0, 3.0)))
    assert both["a"][0] == pytest.approx(1 - 3 / 56)


def test_a_day_on_which_it_sold_was_on_sale() -> None:
    sold = lines([("m1", "a", 5, 1), ("m1", "b", 4, 1)])
    assert on_sale(out(("a", 7.0, 3.0)), sold)["a"][0] == pytest.approx(1 - 3 / 56)


def shares(gaps: pl.DataFrame | None, config: ReorderConfig = SURE) -> dict[str, float]:
    """Both sold 14 units; `a` within the 28 newest days, `b` 40 days ago."""
    sold = lines([("m1", "a", 10, 14), ("m1", "b", 40, 14)])
    found = sku_shares(sold, NO_LISTINGS, TODAY, config, out_of_stock=gaps)
    return dict(found.select("sku_id", "share").iter_rows())


def test_half_the_days_twice_the_share() -> None:
    """`b` sold its 14 units in half of the days: as 28 beside 14."""
    assert shares(None) == {"a": 0.5, "b": 0.5}
    assert shares(out())["b"] == 0.5
    assert shares(out(("b", 28.0, 0.0)))["b"] == pytest.approx(28 / 42)


def test_with_a_prior_by_hand() -> None:
    """k 8, T 28, half on sale; the long windows: a 14, b 14 / (154 / 182)."""
    config = ReorderConfig(share_prior_units=8)
    platform = {"a": 14.0, "b": 14 / (154 / 182)}
    prior = {sku: units / sum(platform.values()) for sku, units in platform.items()}
    a, b = 14 + 8 * prior["a"], (14 + 8 * prior["b"]) * (28 + 8) / (28 * 0.5 + 8)
    assert shares(out(("b", 28.0, 0.0)), config)["b"] == pytest.approx(b / (a + b))


def test_out_of_stock_all_the_time_falls_back_on_what_others_sell() -> None:
    """Nothing of `b` was to be had in eight weeks: what it would have sold is its part of the long window."""
    sold = lines([("m1", "a", 10, 12), ("m1", "a", 100, 12), ("m1", "b", 100, 12)])
    config = ReorderConfig(share_prior_units=8)
    gone = out(("b", 56.0, 0.0))
    plain = dict(sku_shares(sold, NO_LISTINGS, TODAY, config).select("sku_id", "share").iter_rows())
    found = dict(
        sku_shares(sold, NO_LISTINGS, TODAY, config, out_of_stock=gone).select("sku_id", "share").iter_rows()
    )
    assert plain["b"] < 0.15
    assert 0.3 < found["b"] < 0.5
    # Without a prior nothing is known of it, and nothing breaks.
    assert sku_shares(sold, NO_LISTINGS, TODAY, SURE, out_of_stock=gone)["share"].sum() == pytest.approx(1)


def test_more_is_ordered_of_what_was_missing() -> None:
    """The door: the same sales, and half of the days without stock, order more and forecast more."""
    sold = lines([("m1", "a", 10, 140), ("m1", "b", 40, 140)])
    supply = table(offer("a"), offer("b"))
    told = [
        reorder(forecasts({"m1": 70.0}), sold, supply, NO_LISTINGS, AS_OF, SURE, None, None, gaps)
        for gaps in (out(), out(("b", 28.0, 0.0)))
    ]
    ordered = [dict(one.reorder_suggestions.select("sku_id", "reorder_qty").iter_rows()) for one in told]
    assert ordered[1]["b"] > 1.2 * ordered[0]["b"]
    assert ordered[1]["a"] < ordered[0]["a"]
    means = [
        dict(one.sku_forecasts.group_by("sku_id").agg(pl.col("mean_qty").sum()).iter_rows()) for one in told
    ]
    assert means[1]["b"] == pytest.approx(280 * 2 / 3, rel=0.01)
