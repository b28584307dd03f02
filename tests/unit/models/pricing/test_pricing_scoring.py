"""Prices and markdown warnings end to end on small frames."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import LineMaker

from models.contracts import PUBLISHED_TABLES
from models.errors import BundleError, ModelError
from models.pricing.bundle import PricingBundle, load_bundle, save_bundle
from models.pricing.config import GuardConfig, PolicyConfig, PricingConfig
from models.pricing.inputs import count_unpriced
from models.pricing.rules.markdown import WARNING_SCHEMA, clearance_warnings, markdown_warnings
from models.pricing.scoring import price

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
UTC_TIME = pl.Datetime("us", "UTC")
CONFIG = PricingConfig(
    guards=GuardConfig(price_endings=(), change_budget_bps=10_000), policy=PolicyConfig(learning="greedy")
)


def listings(*rows: tuple) -> pl.DataFrame:
    schema = {
        "merchant_id": pl.String, "sku_id": pl.String, "list_price_cents": pl.Int64, "pricing_mode": pl.String
    }  # fmt: skip
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def offers(*rows: tuple) -> pl.DataFrame:
    schema = {
        "sku_id": pl.String, "supplier_id": pl.String, "supply_price_cents": pl.Int64, "on_hand_qty": pl.Int64
    }  # fmt: skip
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.with_columns(category_l3_id=pl.lit("l3-x"))


def competitors(*rows: tuple) -> pl.DataFrame:
    schema = {
        "sku_id": pl.String, "competitor": pl.String, "observed_at": UTC_TIME, "price_cents": pl.Int64
    }  # fmt: skip
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def sales(*rows: tuple) -> pl.DataFrame:
    """(merchant, sku, qty, days ago)"""
    return pl.DataFrame(
        {
            "merchant_id": [r[0] for r in rows],
            "sku_id": [r[1] for r in rows],
            "qty_milli": [r[2] * 1000 for r in rows],
            "placed_at": [AS_OF - timedelta(days=r[3]) for r in rows],
        },
        schema={
            "merchant_id": pl.String, "sku_id": pl.String, "qty_milli": pl.Int64, "placed_at": UTC_TIME
        },
    )  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Elasticity -2 for p1, -3 for category l3-x, -2.5 for all; certain."""
    skus = pl.DataFrame(
        {
            "sku_id": ["p1"], "category_l3_id": ["l3-x"], "category_l2_id": ["l2-x"],
            "elasticity": [-2.0], "deviation": [0.0],
        }
    )  # fmt: skip
    categories = pl.DataFrame(
        {
            "level": ["l3", "l2", "all"], "category_id": ["l3-x", "l2-x", "all"],
            "elasticity": [-3.0, -2.7, -2.5], "deviation": [0.0, 0.0, 0.0],
        }
    )  # fmt: skip
    save_bundle(PricingBundle(skus, categories, -0.1), tmp_path / "bundle", AS_OF, CONFIG)
    return tmp_path / "bundle"


def run(
    lists: pl.DataFrame,
    supply: pl.DataFrame,
    market: pl.DataFrame | None = None,
    sold: pl.DataFrame | None = None,
    model: Path | None = None,
    config: PricingConfig = CONFIG,
) -> pl.DataFrame:
    market = competitors() if market is None else market
    return price(lists, supply, market, sales() if sold is None else sold, AS_OF, model, config)


def steps(frame: pl.DataFrame, row: int = 0) -> dict[str, dict]:
    return {step["step"]: step for step in json.loads(frame["explanation"][row])}


def test_columns_are_those_of_the_published_table(bundle: Path) -> None:
    for frame in (
        run(listings(), offers()),
        run(listings(("m", "p1", 1000, "auto")), offers(("p1", "s", 500, 1))),
    ):
        assert frame.columns == [c.name for c in PUBLISHED_TABLES["prices"].columns]
        for column in PUBLISHED_TABLES["prices"].columns:
            assert column.nullable or frame[column.name].null_count() == 0
    assert run(listings(), offers(), model=bundle).height == 0


def test_cost_plus_without_a_model() -> None:
    got = run(listings(("m", "p1", 1000, "auto")), offers(("p1", "s", 760, 5)))
    row = got.row(0, named=True)
    # 760 * 1.35 = 1026, inside the 5% step.
    assert (row["anchor_cents"], row["price_cents"], row["action"]) == (1026, 1026, "publish")
    assert row["floor_cents"] == 798
    assert row["ceiling_cents"] == 1200
    assert row["elasticity"] == pytest.approx(-1 - 1 / 0.35)
    assert steps(got)["anchor"] == {
        "step": "anchor", "before_cents": 760, "after_cents": 1026, "rule": "cost_plus", "markup": 0.35,
        "current_cents": 1000,
    }  # fmt: skip


def test_index_with_a_model_by_hand(bundle: Path) -> None:
    market = competitors(
        ("p1", "a", AS_OF - timedelta(days=9), 100),
        ("p1", "a", AS_OF - timedelta(days=1), 120),
        ("p1", "b", AS_OF - timedelta(days=2), 130),
        ("p1", "b", AS_OF + timedelta(days=1), 999),
        ("p1", "c", AS_OF - timedelta(days=40), 999),
    )
    got = run(
        listings(("m", "p1", 1000, "auto")),
        offers(("p1", "s", 490, 50)),
        market,
        sales(("m", "p1", 10, 3)),
        model=bundle,
    )
    # R* = 1; D/S is the category's own median: scarcity 1; stock is plentiful: beta = 0.5 * 0.5 / 2 = 0.125;
    # Cp = (120 + 130) / 2 = 125, Cm = 350 / 3.
    anchor = 490 * 2 * (125 / (350 / 3)) ** 0.125
    row = got.row(0, named=True)
    assert row["anchor_cents"] == round(anchor)
    # 490 * 2 * (10 / 50) * (1 - 125 / 116.67)
    assert row["printed_formula_cents"] == round(490 * 2 * 0.2 * (1 - 125 / (350 / 3)))
    assert row["elasticity"] == -2.0
    assert abs(row["price_cents"] - 980) <= 13  # the best price is 980; rungs are 2.5% of the anchor apart


def test_new_skus_take_the_category_then_everything(bundle: Path) -> None:
    supply = offers(("p1", "s", 500, 9), ("p2", "s", 500, 9), ("p3", "s", 500, 9))
    elsewhere = pl.when(pl.col("sku_id") == "p3").then(pl.lit("l3-new")).otherwise("category_l3_id")
    got = run(
        listings(("m", "p1", 1000, "auto"), ("m", "p2", 1000, "auto"), ("m", "p3", 1000, "auto")),
        supply.with_columns(category_l3_id=elsewhere),
        model=bundle,
    )
    assert got["elasticity"].to_list() == pytest.approx([-2.0, -3.0, -2.5])


def test_cheapest_offer_in_stock_is_the_cost() -> None:
    supply = offers(
        ("p1", "s1", 400, 0),
        ("p1", "s2", 600, 3),
        ("p1", "s3", 550, 1),
        ("p2", "s1", 300, 0),
        ("p2", "s2", 0, 5),
    )
    got = run(listings(("m", "p1", 1000, "auto"), ("m", "p2", 1000, "auto")), supply)
    assert got["cost_cents"].to_list() == [550, 300]


def test_actions_follow_the_mode() -> None:
    got = run(
        listings(*((mode or "none", "p1", 1000, mode) for mode in ("auto", "approve", "fixed", None)),
                 ("same", "p2", 1000, "auto")),
        offers(("p1", "s", 760, 5), ("p2", "s", 741, 5)),
        config=replace(CONFIG, policy=replace(CONFIG.policy, cost_plus_markup=0.35)),
    )  # fmt: skip
    by_merchant = {r["merchant_id"]: (r["action"], r["price_cents"]) for r in got.iter_rows(named=True)}
    assert by_merchant == {
        "auto": ("publish", 1026),
        "approve": ("await_approval", 1026),
        "fixed": ("keep", 1000),
        "none": ("await_approval", 1026),
        "same": ("keep", 1000),
    }


def test_the_quality_brake_lets_nothing_cut_a_price() -> None:
    lists = listings(("m1", "dear", 2000, "auto"), ("m1", "cheap", 1150, "auto"))
    supply = offers(("dear", "s", 1000, 10), ("cheap", "s", 1000, 10))

    def priced(unpromoted: tuple[str, ...]) -> dict[str, dict]:
        frame = price(lists, supply, competitors(), sales(), AS_OF, None, CONFIG, unpromoted=unpromoted)
        return {row["sku_id"]: row for row in frame.iter_rows(named=True)}

    free, held = priced(()), priced(("dear", "cheap"))
    assert free["dear"]["price_cents"] < 2000
    assert (held["dear"]["price_cents"], held["dear"]["action"]) == (2000, "keep")
    told = [step["step"] for step in json.loads(held["dear"]["explanation"])]
    assert told[:3] == ["anchor", "policy", "quality_brake"]
    # What rises anyway is not touched.
    assert free["cheap"]["price_cents"] > 1150
    assert held["cheap"] == free["cheap"]
    assert priced(("cheap",))["dear"] == free["dear"]


def test_fixed_price_below_the_floor_asks_for_approval() -> None:
    got = run(listings(("m", "p1", 500, "fixed")), offers(("p1", "s", 500, 5)))
    assert got.select("price_cents", "floor_cents", "action").row(0) == (525, 525, "await_approval")
    assert list(steps(got)) == ["anchor", "fixed", "floor", "asks", "turnover"]
    assert steps(got)["asks"] == {
        "step": "asks", "before_cents": 525, "after_cents": 525, "cause": "below_floor", "current_cents": 500,
        "limit_cents": 525, "move_bps": 500, "cost_cents": 500, "cost_at_change_cents": None,
    }  # fmt: skip


def test_a_move_that_a_hard_rail_forces_asks_in_every_mode() -> None:
    modes = ("auto", "approve", "fixed")
    below = run(listings(*((mode, "p1", 1000, mode) for mode in modes)), offers(("p1", "s", 30_000, 5)))
    # The cost jumped thirtyfold: cost plus 5% is the only price inside, and a person says whether it is one.
    assert set(below["price_cents"]) == {31_500}
    assert set(below["action"]) == {"await_approval"}
    asks, ceiling = steps(below)["asks"], steps(below)["ceiling"]
    assert (asks["cause"], asks["limit_cents"], asks["move_bps"]) == ("below_floor", 31_500, 305_000)
    assert (ceiling["ceiling_bps"], ceiling["list_price_cents"], ceiling["is_lifted_to_floor"]) == (
        2000, 1000, True,
    )  # fmt: skip
    above = run(
        listings(("m", "p1", 1000, "auto")).with_columns(current_price_cents=pl.lit(1300)),
        offers(("p1", "s", 760, 5)),
    )
    assert above.select("price_cents", "action").row(0) == (1200, "await_approval")
    asks = steps(above)["asks"]
    assert (asks["cause"], asks["limit_cents"], asks["move_bps"]) == ("above_ceiling", 1200, -769)


def test_a_cost_that_jumped_since_the_last_change_is_the_cause() -> None:
    """1.3 times the cost of then is no jump, a cent more is one; without a cost of then nobody knows."""
    lists = pl.concat(
        listings((merchant, "p1", 1000, "auto")).with_columns(
            cost_at_change_cents=pl.lit(before, dtype=pl.Int64)
        )
        for merchant, before in (("jumped", 999), ("never_known", None), ("rose", 1000))
    )
    got = run(lists, offers(("p1", "s", 1300, 5)))
    assert [steps(got, row)["asks"]["cause"] for row in range(3)] == [
        "cost_jumped", "below_floor", "below_floor",
    ]  # fmt: skip
    assert steps(got)["asks"]["cost_at_change_cents"] == 999
    assert set(got["action"]) == {"await_approval"}


def test_whatever_waits_in_spite_of_its_mode_says_why() -> None:
    lists, supply, sold = many()
    for mode in ("fixed", "auto"):
        got = run(lists.with_columns(pricing_mode=pl.lit(mode)), supply, sold=sold)
        asked = got.filter(action="await_approval")
        assert asked.height
        for row in asked.iter_rows(named=True):
            (asks,) = [step for step in json.loads(row["explanation"]) if step["step"] == "asks"]
            assert asks["cause"] in ("below_floor", "above_ceiling")


def test_a_price_on_its_floor_still_moves_by_itself() -> None:
    got = run(listings(("m", "p1", 1050, "auto")), offers(("p1", "s", 1000, 5)))
    assert got.select("floor_cents", "price_cents", "action").row(0) == (1050, 1102, "publish")
    assert "asks" not in steps(got)


def test_every_clamp_is_explained() -> None:
    lists = listings(("m", "p1", 1000, "auto")).with_columns(
        valid_from=pl.lit(AS_OF - timedelta(days=2), UTC_TIME)
    )
    got = run(lists, offers(("p1", "s", 2000, 5)))
    chain = json.loads(got["explanation"][0])
    assert [s["step"] for s in chain] == ["anchor", "policy", "ceiling", "asks", "turnover"]
    assert chain[1]["before_cents"] == chain[0]["after_cents"] == 2700
    # The floor of 2100 lies above list price + 20%, so it is also the ceiling, whatever dwell says.
    assert chain[-1]["after_cents"] == got["price_cents"][0] == got["floor_cents"][0] == 2100
    dwelling = run(lists, offers(("p1", "s", 700, 5)))
    assert steps(dwelling)["dwell"]["after_cents"] == dwelling["price_cents"][0] == 1000


def test_optional_limits_of_a_listing_are_used() -> None:
    lists = listings(("m", "p1", 1000, "auto"), ("n", "p1", 1000, "auto")).with_columns(
        current_price_cents=pl.Series([900, None], dtype=pl.Int64),
        legal_max_cents=pl.Series([None, 1010], dtype=pl.Int64),
    )
    got = run(lists, offers(("p1", "s", 760, 5)))
    assert got["price_cents"].to_list() == [945, 1010]


def test_printed_formula_is_null_where_undefined() -> None:
    lists = listings(("m", "p1", 1000, "auto"), ("m", "p2", 1000, "auto"))
    got = run(
        lists,
        offers(("p1", "s", 500, 0), ("p2", "s", 500, 4)),
        sold=sales(("m", "p1", 3, 1), ("m", "p2", 3, 1)),
    )
    # Without competitor prices it is 0 by construction; without stock it is not finite.
    assert got["printed_formula_cents"].to_list() == [None, 0]


def test_unpriced_listings_are_counted() -> None:
    lists = listings(
        ("m", "p1", 1000, "auto"),
        ("m", "p2", 1000, "auto"),
        ("m", "p3", None, "auto"),
        ("m", "p4", 0, "auto"),
    )
    supply = offers(("p1", "s", 500, 1), ("p3", "s", 500, 1))
    assert run(lists, supply)["sku_id"].to_list() == ["p1"]
    assert count_unpriced(lists, supply) == {"without_list_price": 2, "without_offer": 1}
    assert run(lists, offers()).is_empty()
    assert count_unpriced(listings(), offers()) == {"without_list_price": 0, "without_offer": 0}


def test_a_listing_twice_is_an_error() -> None:
    with pytest.raises(ModelError, match="merchant m lists sku p1 twice"):
        run(listings(("m", "p1", 1000, "auto"), ("m", "p1", 1100, "auto")), offers(("p1", "s", 500, 1)))


def test_a_missing_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train again"):
        run(listings(("m", "p1", 1000, "auto")), offers(("p1", "s", 500, 1)), model=tmp_path / "none")


def many(n: int = 400) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(4)
    skus = [f"p{i:03d}" for i in range(n // 4)]
    cost = rng.integers(50, 900, len(skus))
    lists = listings(
        *(
            (f"m{m}", s, int(c * rng.uniform(0.8, 2.5)) + 1, str(rng.choice(["auto", "approve", "fixed"])))
            for m in range(4)
            for s, c in zip(skus, cost, strict=True)
        )
    )
    supply = offers(*((s, "s", int(c), int(rng.integers(0, 20))) for s, c in zip(skus, cost, strict=True)))
    sold = sales(*((f"m{i % 4}", s, int(rng.integers(1, 9)), i % 27) for i, s in enumerate(skus)))
    return lists, supply, sold


@pytest.mark.parametrize("has_model", [True, False])
@pytest.mark.parametrize("learning", ["greedy", "thompson"])
def test_published_prices_keep_floor_ceiling_and_budget(has_model: bool, learning: str, bundle: Path) -> None:
    lists, supply, sold = many()
    config = PricingConfig(policy=PolicyConfig(learning=learning))  # type: ignore[arg-type]
    got = run(lists, supply, sold=sold, model=bundle if has_model else None, config=config)
    assert got.height == 400
    assert got.filter(pl.col("price_cents") < pl.col("floor_cents")).is_empty()
    assert got.filter(pl.col("price_cents") > pl.col("ceiling_cents")).is_empty()
    assert got.filter(
        (pl.col("price_cents") != pl.col("list_price_cents")) == (pl.col("action") == "keep")
    ).is_empty()
    inside = pl.col("list_price_cents").is_between(pl.col("floor_cents"), pl.col("ceiling_cents"))
    free = got.filter(inside & (pl.col("action") != "keep"))
    assert free.height <= 400 * 0.2
    assert free.filter((pl.col("price_cents") / pl.col("list_price_cents") - 1).abs() > 0.05).is_empty()
    published = got.filter(pl.col("action") == "publish")
    assert published.height
    assert published.filter((pl.col("price_cents") / pl.col("list_price_cents") - 1).abs() > 0.05).is_empty()
    assert got.filter(inside.not_() & (pl.col("action") == "publish")).is_empty()
    for row in got.iter_rows(named=True):
        chain = json.loads(row["explanation"])
        assert chain[-1]["after_cents"] == row["price_cents"]
        assert chain[0]["step"] == "anchor"
    shuffled = run(lists.sample(fraction=1.0, shuffle=True, seed=1), supply.reverse(), sold=sold.reverse(),
                   model=bundle if has_model else None, config=config)  # fmt: skip
    assert shuffled.equals(got)


def test_sales_after_the_moment_do_not_count(bundle: Path) -> None:
    lists, supply, sold = many()
    later = pl.concat([sold, sales(("m1", "p001", 500, -1), ("m1", "p001", 500, 29))])
    assert run(lists, supply, sold=later, model=bundle).equals(run(lists, supply, sold=sold, model=bundle))


def test_a_trained_bundle_prices_listings(lines_of: LineMaker, tmp_path: Path) -> None:
    from models.pricing.config import ElasticityConfig
    from models.pricing.training import train

    config = replace(CONFIG, elasticity=ElasticityConfig(min_changes=50, min_moves=20))
    lines = lines_of([-4.0, -1.6] * 15, weeks=30)
    moment = lines["placed_at"].max()
    assert isinstance(moment, datetime)
    train(lines, moment, tmp_path / "b", config)
    lists = listings(("m1", "p0000", 2000, "auto"), ("m1", "p0001", 2000, "auto"))
    supply = offers(("p0000", "s", 1500, 10**6), ("p0001", "s", 1500, 10**6))
    sold = lines.select("merchant_id", "sku_id", "placed_at", qty_milli=pl.col("qty") * 1000)
    got = price(lists, supply, competitors(), sold, moment, tmp_path / "b", config)
    # The sku that reacts less to price carries the higher price.
    assert got["elasticity"][0] < got["elasticity"][1]
    assert got["anchor_cents"][0] < got["anchor_cents"][1]


def test_markdown_ladder_by_hand(bundle: Path) -> None:
    lists = listings(("m", "p1", 1000, "auto"), ("n", "p1", 1200, "auto"), ("m", "p2", 1000, "auto"))
    supply = offers(("p1", "s", 800, 100), ("p2", "s", 800, 10))
    sold = sales(("m", "p1", 15, 10), ("m", "p1", 99, 31), ("m", "p2", 9, 1))
    got = markdown_warnings(lists, supply, sold, AS_OF, load_bundle(bundle), CONFIG)
    assert got.schema == pl.Schema(WARNING_SCHEMA)
    # p1: 15 / 115 = 13% < 15%; p2: 9 / 19 = 47%.
    assert got["sku_id"].unique().to_list() == ["p1"]
    assert got["cut_bps"].to_list() == [500, 1000, 2000, 3000]
    row = got.row(2, named=True)
    assert row["turnover_rate"] == pytest.approx(15 / 115)
    assert (row["price_cents"], row["cut_price_cents"]) == (1100, 880)
    # Half a unit a day; at -20% and elasticity -2, 0.5 / 0.64 a day.
    assert row["expected_daily_qty"] == pytest.approx(0.5 / 0.64)
    assert row["days_to_clear_now"] == pytest.approx(200)
    assert row["days_to_clear"] == pytest.approx(128)
    assert row["margin_cost_cents"] == 220 * 100
    assert got["is_below_floor"].to_list() == [False, False, False, True]  # the floor is 840


def test_markdown_without_sales_or_stock_or_model() -> None:
    lists = listings(("m", "p1", 1000, "auto"))
    got = markdown_warnings(lists, offers(("p1", "s", 500, 7)), sales(), AS_OF, None, CONFIG)
    assert got["on_hand_qty"].to_list() == [7] * 4
    assert got["days_to_clear"].null_count() == 4
    assert markdown_warnings(lists, offers(("p1", "s", 500, -2)), sales(), AS_OF, None, CONFIG).is_empty()
    empty = markdown_warnings(listings(), offers(), sales(), AS_OF, None, CONFIG)
    assert empty.schema == pl.Schema(WARNING_SCHEMA)


def test_every_stock_is_judged_for_clearance_by_hand(bundle: Path) -> None:
    stock = pl.DataFrame(
        {
            "supplier_id": ["a", "a", "b", "b", "b"],
            "sku_id": ["p1", "p9", "p1", "p2", "p3"],
            "category_l3_id": [None] * 5,
            "on_hand_qty": [100, 7, 85, 10, 0],
            "cost_cents": [800, None, 800, 800, 800],
            "sold_qty": [15.0, None, 15.0, 9.0, 0.0],
        },
        schema_overrides={"category_l3_id": pl.String},
    )
    lists = listings(("m", "p1", 1000, "auto"), ("n", "p1", 1200, "auto"), ("m", "p2", 1000, "auto"))
    got = clearance_warnings(stock, lists, load_bundle(bundle), CONFIG)
    # 15 / 115 is low; 15 / 100 is exactly the limit and not below it; 9 / 19 is not; no stock, no warning.
    assert got.select("supplier_id", "sku_id").rows() == [("a", "p1"), ("a", "p9")]
    warned = got.row(0, named=True)
    assert (warned["on_hand_qty"], warned["sold_qty"], warned["window_days"]) == (100, 15, 30)
    assert (warned["turnover_rate"], warned["days_to_clear_now"], warned["price_cents"]) == (
        0.1304,
        200,
        1100,
    )
    # At -20% and elasticity -2 half a unit a day becomes 0.5 / 0.64: 128 days; the floor is 840.
    assert [tuple(cut.values()) for cut in json.loads(warned["cuts"])] == [
        (500, 1045, 180.5, 5500, False),
        (1000, 990, 162.0, 11_000, False),
        (2000, 880, 128.0, 22_000, False),
        (3000, 770, 98.0, 33_000, True),
    ]
    unlisted = got.row(1, named=True)
    assert (unlisted["sold_qty"], unlisted["days_to_clear_now"], unlisted["price_cents"]) == (0, None, None)
    assert [tuple(cut.values())[1:] for cut in json.loads(unlisted["cuts"])] == [(None,) * 4] * 4
    assert clearance_warnings(stock.head(0), lists, None, CONFIG).is_empty()


def test_slow_turnover_is_the_last_step_of_the_explanation(bundle: Path) -> None:
    lists = listings(*((m, s, 1000, "auto") for m in ("m", "n") for s in ("p1", "p2", "p3")))
    supply = offers(("p1", "s", 800, 100), ("p2", "s", 800, 10), ("p3", "s", 800, 4))
    sold = sales(("m", "p1", 15, 10), ("m", "p2", 9, 1))
    got = run(lists, supply, sold=sold, model=bundle)
    said = {
        (row["merchant_id"], row["sku_id"]): json.loads(row["explanation"])[-1]
        for row in got.iter_rows(named=True)
    }
    for merchant in ("m", "n"):
        step = said[merchant, "p1"]
        assert step["step"] == "turnover"
        # 15 of 115 are 13%; 100 / (15 / 30) = 200 days; at -20%, 0.64 of them; the floor is 840.
        assert (step["turnover_rate"], step["window_days"], step["on_hand_qty"]) == (0.1304, 30, 100)
        assert step["days_to_clear_now"] == 200
        assert [tuple(cut.values()) for cut in step["cuts"]] == [
            (500, 950, 180.5, 5000, False),
            (1000, 900, 162.0, 10_000, False),
            (2000, 800, 128.0, 20_000, True),
            (3000, 700, 98.0, 30_000, True),
        ]
        assert list(step["cuts"][0]) == [
            "cut_bps", "price_cents", "days_to_clear", "margin_cost_cents", "is_below_floor",
        ]  # fmt: skip
        assert step["before_cents"] == step["after_cents"]
        assert said[merchant, "p2"]["step"] != "turnover"
        unsold = said[merchant, "p3"]
        assert (unsold["turnover_rate"], unsold["on_hand_qty"], unsold["days_to_clear_now"]) == (0, 4, None)
        assert {cut["days_to_clear"] for cut in unsold["cuts"]} == {None}


def test_a_price_holds_within_the_week_without_news(bundle: Path) -> None:
    lists, supply, sold = many()
    monday = datetime(2018, 1, 8, 12, tzinfo=UTC)
    config = PricingConfig()
    unsure = load_bundle(bundle)
    deviation = pl.lit(0.8).alias("deviation")
    save_bundle(
        PricingBundle(unsure.skus.with_columns(deviation), unsure.categories.with_columns(deviation), -0.1),
        bundle, AS_OF, config,
    )  # fmt: skip
    still = sold.filter(pl.col("placed_at") > monday - timedelta(days=20))
    week = [
        price(lists, supply, competitors(), still, moment, bundle, config)
        for moment in (monday, monday + timedelta(days=2), monday + timedelta(days=7))
    ]
    assert week[0].equals(week[1])
    assert not week[0]["price_cents"].equals(week[2]["price_cents"])
