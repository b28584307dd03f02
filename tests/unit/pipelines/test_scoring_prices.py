"""Prices scored on a warehouse: what orders used moves them, and news of one category moves no other."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pricing.bundle import PricingBundle, save_bundle
from models.pricing.config import PricingConfig
from pipelines.scoring.prices import score_prices

AS_OF = datetime(2018, 1, 10, 12, tzinfo=UTC)
LONG_AGO = AS_OF - timedelta(days=90)

_TABLES = """
set timezone = 'UTC';
create schema core;
create schema intermediate;
create table core.dim_products (sku_id varchar, category_l3_id varchar, is_merchandise boolean,
  category_l2_id varchar);
create table core.dim_listings (merchant_id varchar, sku_id varchar, list_price_cents bigint,
  pricing_mode varchar, is_listed boolean, is_current boolean, valid_from timestamptz);
create view core.fct_prices_in_force as select merchant_id, sku_id, valid_from,
  list_price_cents as price_cents, cast(null as timestamptz) as valid_to, 'list' as source
  from core.dim_listings;
create table core.dim_offers (supplier_id varchar, sku_id varchar, is_current boolean,
  supply_price_cents bigint, stock_qty bigint, valid_from timestamptz default '2017-01-01',
  valid_to timestamptz, is_active boolean, stated_capacity_per_day bigint);
create table intermediate.int_stock_levelled (supplier_id varchar, sku_id varchar, on_hand_qty bigint);
create table core.fct_competitor_prices (sku_id varchar, competitor varchar, observed_at timestamptz,
  price_cents bigint);
create table core.fct_order_lines (order_id varchar, line_no int, merchant_id varchar, sku_id varchar,
  placed_at timestamptz, qty_milli bigint, is_sale boolean, is_merchandise boolean,
  consumer_id varchar, qty double, net_paid_cents bigint, is_return boolean default false,
  returned_order_id varchar, returned_line_no int, received_at timestamptz);
create table core.fct_after_sales (case_id varchar, order_id varchar, line_no int, kind varchar,
  refund_cents bigint, resolved_at timestamptz, received_at timestamptz, origin varchar);
"""


@pytest.fixture
def shop():
    with duckdb.connect() as connection:
        connection.execute(_TABLES)
        yield connection


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An elasticity of -2 for every sku, certain."""
    skus = pl.DataFrame(
        schema={"sku_id": pl.String, "category_l3_id": pl.String, "category_l2_id": pl.String,
                "elasticity": pl.Float64, "deviation": pl.Float64}
    )  # fmt: skip
    categories = pl.DataFrame(
        {"level": ["all"], "category_id": ["all"], "elasticity": [-2.0], "deviation": [0.0]}
    )
    folder = tmp_path_factory.mktemp("elasticities")
    save_bundle(PricingBundle(skus, categories, -0.1), folder, AS_OF, PricingConfig())
    return folder


def product(shop, sku: str, category: str, list_price: int, *merchants: str) -> None:
    shop.execute("insert into core.dim_products values (?, ?, true, null)", [sku, category])
    for merchant in merchants:
        shop.execute(
            "insert into core.dim_listings values (?, ?, ?, 'auto', true, true, ?)",
            [merchant, sku, list_price, LONG_AGO],
        )


def offer(shop, supplier: str, sku: str, price: int, stated: int, on_hand: int) -> None:
    shop.execute(
        "insert into core.dim_offers (supplier_id, sku_id, is_current, supply_price_cents, stock_qty)"
        " values (?, ?, true, ?, ?)",
        [supplier, sku, price, stated],
    )
    shop.execute("insert into intermediate.int_stock_levelled values (?, ?, ?)", [supplier, sku, on_hand])


def sell(shop, merchant: str, sku: str, units: float, when: datetime) -> None:
    shop.execute(
        "insert into core.fct_order_lines (order_id, line_no, merchant_id, sku_id, placed_at, qty_milli, qty,"
        " is_sale, is_merchandise) values (?, 1, ?, ?, ?, ?, ?, true, true)",
        [f"{merchant}-{sku}-{when}", merchant, sku, when, round(units * 1000), units],
    )


def observe(shop, sku: str, price: int, hours_ago: int) -> None:
    shop.execute(
        "insert into core.fct_competitor_prices values (?, 'rival', ?, ?)",
        [sku, AS_OF - timedelta(hours=hours_ago), price],
    )


def one(frame: pl.DataFrame) -> dict:
    assert frame.height == 1
    return frame.row(0, named=True)


def test_the_last_unit_of_the_cheapest_supplier_moves_cost_and_price(shop) -> None:
    product(shop, "tea", "drinks", 600, "m")
    offer(shop, "near", "tea", 400, 50, 1)
    offer(shop, "far", "tea", 500, 50, 50)
    before = one(score_prices(shop, AS_OF, None, None))
    # 400 * 1.35 = 540; at most 5% down is 570; the next ending of 5 or 9 above is 575.
    assert (before["cost_cents"], before["anchor_cents"], before["price_cents"]) == (400, 540, 575)
    shop.execute("update intermediate.int_stock_levelled set on_hand_qty = 0 where supplier_id = 'near'")
    after = one(score_prices(shop, AS_OF, None, ["tea"]))
    # 500 * 1.35 = 675; at most 5% up is 630, with an ending 629. The stated 50 of `near` do not count.
    assert (after["cost_cents"], after["anchor_cents"], after["price_cents"]) == (500, 675, 629)


def test_what_an_order_used_makes_the_sku_scarce(shop, bundle: Path) -> None:
    for sku in ("tea", "mate", "maca"):
        product(shop, sku, "drinks", 800, "m")
        offer(shop, "s", sku, 400, 100, 100)
        sell(shop, "m", sku, 10, AS_OF - timedelta(days=3))
    calm = score_prices(shop, AS_OF, bundle, ["tea"])
    assert calm["anchor_cents"].to_list() == [800, 800, 800]  # D/S is typical: 400 * (1 + 1/(2-1))
    sell(shop, "m", "tea", 10, AS_OF - timedelta(minutes=5))
    shop.execute("update intermediate.int_stock_levelled set on_hand_qty = 50 where sku_id = 'tea'")
    scarce = score_prices(shop, AS_OF, bundle, ["tea"]).filter(pl.col("sku_id") == "tea")
    # D/S of tea is 20/50, four times the median 10/100; stock is plentiful, so alpha = 0.5 / 2: 800 * 4^0.25.
    assert one(scarce)["anchor_cents"] == round(800 * 4**0.25)


def test_what_came_back_makes_nothing_scarce(shop, bundle: Path) -> None:
    for sku in ("tea", "mate", "maca"):
        product(shop, sku, "drinks", 800, "m")
        offer(shop, "s", sku, 400, 100, 100)
        sell(shop, "m", sku, 10, AS_OF - timedelta(days=3))
    sold_at = AS_OF - timedelta(minutes=5)
    sell(shop, "m", "tea", 30, sold_at)
    prices = score_prices(shop, AS_OF, bundle, ["tea"])
    # D/S of tea is 40/100, four times the median; stock is plentiful, so alpha = 0.5 / 2.
    assert prices.filter(sku_id="tea")["anchor_cents"].to_list() == [round(800 * 4**0.25)]
    shop.execute(
        "insert into core.fct_order_lines by name select 'back' as order_id, 1 as line_no,"
        " 'm' as merchant_id, 'tea' as sku_id, ? as placed_at, -30000 as qty_milli, -30 as qty,"
        " false as is_sale, true as is_return, true as is_merchandise,"
        " ? as returned_order_id, 1 as returned_line_no",
        [AS_OF, f"m-tea-{sold_at}"],
    )
    assert score_prices(shop, AS_OF, bundle, ["tea"])["anchor_cents"].to_list() == [800, 800, 800]


def test_a_competitor_price_moves_the_price(shop, bundle: Path) -> None:
    product(shop, "tea", "drinks", 780, "m")
    offer(shop, "s", "tea", 400, 100, 100)
    observe(shop, "tea", 100, 48)
    before = one(score_prices(shop, AS_OF, bundle, None))
    # Anchor 400 * 2; the best price is 800, with an ending 799.
    assert (before["anchor_cents"], before["price_cents"]) == (800, 799)
    observe(shop, "tea", 140, 1)
    observe(shop, "tea", 900, -1)  # not yet observed
    after = one(score_prices(shop, AS_OF, bundle, ["tea"]))
    # 800 * (140 / 120)^0.125 = 816; the rung 2.5% below, 795, is nearer to 800 than 816 is.
    assert (after["anchor_cents"], after["price_cents"]) == (816, 795)


def test_nothing_is_scored_for_nothing(shop) -> None:
    product(shop, "tea", "drinks", 600, "m")
    offer(shop, "s", "tea", 400, 1, 1)
    everything = score_prices(shop, AS_OF, None, None)
    assert score_prices(shop, AS_OF, None, []).equals(everything.clear())
    assert score_prices(shop, AS_OF, None, ["unknown"]).equals(everything.clear())


_SKUS = [f"k{number}" for number in range(9)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(200, 900), st.integers(100, 700), st.integers(0, 9)),
        min_size=len(_SKUS),
        max_size=len(_SKUS),
    ),
    st.lists(
        st.tuples(st.sampled_from(_SKUS), st.sampled_from("mn"), st.integers(1, 90), st.integers(0, 40))
    ),
    st.lists(st.tuples(st.sampled_from(_SKUS), st.integers(100, 900), st.integers(0, 800))),
    st.sets(st.sampled_from(_SKUS)),
    st.booleans(),
)
def test_some_skus_get_the_prices_of_a_run_over_all(
    bundle: Path, goods, sales, rivals, news, has_model
) -> None:
    with duckdb.connect() as shop:
        shop.execute(_TABLES)
        category = {}
        for sku, (group, list_price, cost, stock) in zip(_SKUS, goods, strict=True):
            category[sku] = f"c{group}"
            product(shop, sku, category[sku], list_price, "m", "n")
            offer(shop, "s", sku, cost, 99, stock)
            offer(shop, "t", sku, cost + 50, 99, 9 - stock)
        for sku, merchant, tenths, days in sales:
            sell(shop, merchant, sku, tenths / 10, AS_OF - timedelta(days=days))
        for sku, price, hours in rivals:
            observe(shop, sku, price, hours)
        model = bundle if has_model else None
        everything = score_prices(shop, AS_OF, model, None)
        told = {category[sku] for sku in news}
        wanted = [sku for sku in _SKUS if category[sku] in told]
        some = score_prices(shop, AS_OF, model, sorted(news))
        assert some.equals(everything.filter(pl.col("sku_id").is_in(wanted)))
        for row in some.iter_rows(named=True):
            assert json.loads(row["explanation"])[0]["step"] == "anchor"
