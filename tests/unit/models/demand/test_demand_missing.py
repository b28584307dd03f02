"""Weeks in which nothing of a category could be bought are missing: in series, in training, in judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from demand_samples import FIRST_MONDAY, after, lines_of

from models.contracts import Candidate
from models.demand.config import BOOSTED, LSTM, POOLED_MERCHANT, STACKED, DemandConfig
from models.demand.horizons.together import correlation
from models.demand.judging import conformal, leaderboard
from models.demand.judging.backtest import Rolled, actuals, plan_origins, roll_rules, rule_forecast
from models.demand.judging.figures import fans
from models.demand.judging.levels import CategoryLevels
from models.demand.panel.general import general
from models.demand.panel.missing import filled
from models.demand.panel.pooling import dispersion
from models.demand.panel.series import Panel, build_panel, weekly_sales
from models.demand.panel.vintages import moment_of, vintages
from models.demand.panel.windows import cut_windows, training_pairs
from models.demand.scoring import forecast, outlook
from models.demand.training import train
from models.demand.weekly import lstm_fit, stacking
from models.demand.weekly.baselines import RULES
from models.errors import InsufficientDataError
from models.out_of_stock import OUT_OF_STOCK

WEEKS = 40
GAP = (36, 37, 38)
"""Weeks without stock; the newest, 39, has some again."""

Sold = Mapping[tuple[str, str], Sequence[int]]


def sold(units: Sold) -> pl.DataFrame:
    """Lines of (sku, merchant) by week; what stands before the dash of a sku is its category."""
    parts = [
        lines_of({(sku.split("-")[0], merchant): series}).with_columns(sku_id=pl.lit(sku))
        for (sku, merchant), series in units.items()
    ]
    return pl.concat(parts)


def out(config: DemandConfig, *spells: tuple[str, float, float]) -> pl.DataFrame:
    """(sku, begin, end) in weeks from the first local Monday on."""
    first = moment_of(FIRST_MONDAY, config)
    rows = [(sku, first + timedelta(weeks=a), first + timedelta(weeks=b)) for sku, a, b in spells]
    return pl.DataFrame(rows, schema=OUT_OF_STOCK, orient="row")


def without(level: int, gone: Sequence[int], weeks: int = WEEKS) -> list[int]:
    return [0 if week in gone else level for week in range(weeks)]


@pytest.fixture(scope="module")
def shop() -> pl.DataFrame:
    """Tea of two skus that nobody had in `GAP`, 5 units each else, beside bread, all at one merchant."""
    rng = np.random.default_rng(3)
    return sold(
        {
            ("tea-1", "m1"): without(5, GAP),
            ("tea-2", "m1"): without(5, GAP),
            ("bread-1", "m1"): list(rng.poisson(20, WEEKS) + 1),
        }
    )


@pytest.fixture(scope="module")
def gone(small_config: DemandConfig) -> pl.DataFrame:
    return out(small_config, ("tea-1", 36, 39), ("tea-2", 36, 39))


def panel_of(
    lines: pl.DataFrame, stock: pl.DataFrame | None, config: DemandConfig, as_of: datetime | None = None
) -> Panel:
    weekly = weekly_sales(lines, as_of or after(WEEKS), config, stock)
    return build_panel(weekly, pl.DataFrame(schema=NO_PROMOTIONS), config)


NO_PROMOTIONS = {
    "category_l2_id": pl.String,
    "merchant_id": pl.String,
    "week_start_on": pl.Date,
    "display_sku_count": pl.UInt32,
    "mailer_sku_count": pl.UInt32,
}


def missing(panel: Panel, category: str = "tea", merchant: str = "m1") -> list[int]:
    row = list(zip(panel.category_id, panel.merchant_id, strict=True)).index((category, merchant))
    return [int(week) for week in np.flatnonzero(np.isnan(panel.qty[row]))]


def test_weeks_without_any_stock_are_missing_and_others_are_not(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig
) -> None:
    panel = panel_of(shop, gone, small_config)
    assert missing(panel) == list(GAP)
    assert missing(panel, "bread") == []
    row = panel.category_id.index("tea")
    np.testing.assert_array_equal(np.delete(panel.qty[row], GAP), 10.0)
    plain = panel_of(shop, None, small_config)
    np.testing.assert_array_equal(plain.qty[row, list(GAP)], 0.0)
    np.testing.assert_array_equal(panel.filled[row], 10.0)


@pytest.mark.parametrize(
    ("spells", "more", "expected"),
    [
        ([("tea-1", 36, 39), ("tea-2", 36, 38)], {}, [36, 37]),
        ([("tea-1", 36, 39), ("tea-2", 36.01, 39)], {}, [37, 38]),
        ([("tea-1", 36, 39), ("tea-2", 36, 38.99)], {}, [36, 37]),
        ([("tea-1", 36, 39)], {}, []),
        # A sale wins over what was stated, whoever made it.
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-1", "m1"): {37: 1}}, [36, 38]),
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-1", "m2"): {37: 1}}, [36, 38]),
        # What the merchant once sold could be bought as well, what it began to sell later could not.
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-3", "m1"): {2: 1}}, []),
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-3", "m1"): {39: 1}}, [36, 37, 38]),
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-3", "m1"): {37: 1}}, [36]),
        # Another merchant's sku, and another category, are not its own.
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("tea-3", "m2"): {2: 1}}, [36, 37, 38]),
        ([("tea-1", 36, 39), ("tea-2", 36, 39)], {("milk-1", "m1"): {2: 1}}, [36, 37, 38]),
        # Two spells without a gap are the reader's one; with one a week lies in neither.
        ([("tea-1", 36, 37.5), ("tea-1", 37.6, 39), ("tea-2", 36, 39)], {}, [36, 38]),
    ],
)
def test_what_counts_as_nothing_to_buy(
    shop: pl.DataFrame,
    small_config: DemandConfig,
    spells: list[tuple[str, float, float]],
    more: dict[tuple[str, str], dict[int, int]],
    expected: list[int],
) -> None:
    also = {key: [units.get(week, 0) for week in range(WEEKS)] for key, units in more.items()}
    lines = pl.concat([shop, sold(also)]) if also else shop
    assert missing(panel_of(lines, out(small_config, *spells), small_config)) == expected


def test_nothing_is_missing_before_the_first_sale(small_config: DemandConfig) -> None:
    lines = sold({("tea-1", "m1"): [0] * 10 + [5] * 30, ("bread-1", "m1"): [5] * WEEKS})
    panel = panel_of(lines, out(small_config, ("tea-1", 2, 10)), small_config)
    assert missing(panel) == []


def test_the_newest_week_is_missing_when_it_counts_as_complete(small_config: DemandConfig) -> None:
    """An hour before the week ends nothing is in stock yet; what the reader tells ends at that hour."""
    lines = sold({("tea-1", "m1"): without(5, range(37, 40)), ("bread-1", "m1"): [5] * WEEKS})
    as_of = moment_of(FIRST_MONDAY + timedelta(weeks=WEEKS), small_config) - timedelta(hours=1)
    hour = 1 / 7 / 24
    open_end = out(small_config, ("tea-1", 37, WEEKS - hour))
    assert missing(panel_of(lines, open_end, small_config, as_of)) == [37, 38, 39]
    # Two hours before it there was stock again.
    over = out(small_config, ("tea-1", 37, WEEKS - 2 * hour))
    assert missing(panel_of(lines, over, small_config, as_of)) == [37, 38]


def test_a_pool_is_missing_when_all_of_it_is(small_config: DemandConfig) -> None:
    config = replace(small_config, min_weekly_units=100.0, pool_weeks=20)
    lines = sold(
        {
            ("tea-1", "m1"): without(4, range(30, 40)),
            ("tea-2", "m2"): without(6, range(38, 40)),
            ("tea-3", "m3"): [0] * 39 + [3],
        }
    )
    stock = out(config, ("tea-1", 30, 40), ("tea-2", 38, 40))
    panel = panel_of(lines, stock, config)
    assert panel.merchant_id == (POOLED_MERCHANT,)
    # Week 39 has a sale of a third merchant.
    assert missing(panel, merchant=POOLED_MERCHANT) == [38]
    # Of the newest 20 weeks m1 sold 4 in each of 10, m2 6 in each of 18: rates of 4, 6 and 3 / 20 a week.
    shares = dict(panel.members.select("merchant_id", "share").iter_rows())
    assert shares == pytest.approx({"m1": 4 / 10.15, "m2": 6 / 10.15, "m3": 0.15 / 10.15})
    plain = dict(panel_of(lines, None, config).members.select("merchant_id", "share").iter_rows())
    assert plain["m1"] == pytest.approx(40 / (40 + 108 + 3))


def test_a_series_is_chosen_by_what_it_sells_in_weeks_with_stock(small_config: DemandConfig) -> None:
    """4 units in each of 20 weeks and none in 20 others: 2 a week with all of them."""
    config = replace(small_config, min_weekly_units=3.0)
    lines = sold({("tea-1", "m1"): without(4, range(15, 35)), ("bread-1", "m1"): [5] * WEEKS})
    assert panel_of(lines, None, config).merchant_id == ("m1", POOLED_MERCHANT)
    assert panel_of(lines, out(config, ("tea-1", 15, 35)), config).merchant_id == ("m1", "m1")


def test_filling_looks_back_only() -> None:
    nan = np.nan
    qty = np.array([[0, 4, 6, nan, nan, 20, nan], [2, 2, 2, 2, 2, 2, 2]])
    start = np.array([1, 0])
    units = filled(qty, start)
    np.testing.assert_allclose(units[0], [0, 4, 6, 5, 5, 20, 8])
    np.testing.assert_array_equal(units[1], qty[1])
    for origin in range(1, 7):
        np.testing.assert_array_equal(filled(qty[:, :origin], start), units[:, :origin])
    whole = qty[1:]
    assert filled(whole, start[1:]) is whole, "where nothing is missing nothing is touched"


@pytest.mark.parametrize("ago", [0, 1])
@pytest.mark.parametrize("name", sorted(RULES))
def test_no_rule_is_dragged_down(name: str, ago: int) -> None:
    """Ten a week, missing in three weeks that end now or a week ago, beside the same with zeros."""
    rng = np.random.default_rng(1)
    qty = rng.poisson(10, (50, 40)).astype(np.float64)
    zeros = qty.copy()
    zeros[:, 37 - ago : 40 - ago] = 0.0
    gaps = np.where(zeros == 0, np.nan, qty)
    start = np.zeros(50, dtype=np.int64)
    told, dragged = (RULES[name](units, start, 4).mean() for units in (gaps, zeros))
    assert told == pytest.approx(RULES[name](qty, start, 4).mean(), rel=0.1)
    if (name, ago) in {("naive", 1), ("sba", 0)}:
        assert told == dragged, "neither reads those weeks: the newest alone, and intervals that have ended"
    elif name == "median_13w":
        assert told >= dragged
    else:
        assert told > 1.02 * dragged


def test_the_category_keeps_its_level(small_config: DemandConfig) -> None:
    """Ten categories; all of the first is out of stock in three of the newest weeks."""
    rng = np.random.default_rng(2)
    units = {(f"c{k}-1", f"m{j}"): list(rng.poisson(20, WEEKS) + 1) for k in range(10) for j in range(2)}
    for j in range(2):
        units["c0-1", f"m{j}"] = [
            n if week not in GAP else 0 for week, n in enumerate(units["c0-1", f"m{j}"])
        ]
    stock = out(small_config, ("c0-1", 36, 39))
    levels = {
        kind: CategoryLevels(panel_of(sold(units), given, small_config), 4)
        for kind, given in (("missing", stock), ("zero", None))
    }
    for origin in (39, 40):
        told, dragged = (levels[kind].at(origin)[0] for kind in ("missing", "zero"))
        assert told == pytest.approx(4 * 42, rel=0.15)
        assert dragged < 0.95 * told
    # What was missing is not what a regression learns, nor what the two ways are judged by.
    others = levels["missing"].at(40)[1:], levels["zero"].at(40)[1:]
    assert np.abs(others[0] / 168 - 1).max() < 0.2
    assert not np.array_equal(*others), "the zeros had taught the others as well"
    assert not levels["missing"]._is_judged(35)[0]
    assert levels["missing"]._is_judged(35)[1:].all()
    assert levels["missing"]._is_judged(32).all()


def test_no_window_has_a_missing_target_and_inputs_are_filled(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig
) -> None:
    panel = panel_of(shop, gone, small_config)
    row = panel.category_id.index("tea")
    series, origins = training_pairs(panel, 40, small_config)
    of_tea = set(origins[series == row].tolist())
    assert max(of_tea) == 32, "33 to 36 reach a missing week"
    assert max(origins[series != row].tolist()) == 36
    w = cut_windows(panel, np.array([row]), np.array([39]), small_config)
    np.testing.assert_array_equal(w.qty, 10.0)
    assert w.scale[0] == 10.0
    assert np.isnan(cut_windows(panel, np.array([row]), np.array([35]), small_config).target[0]).tolist() == [
        False,
        True,
        True,
        True,
    ]
    assert np.isnan(general(panel).target[row, list(GAP)]).all()


def test_a_fit_that_nothing_can_stop_says_so(small_config: DemandConfig) -> None:
    lines = sold({("tea-1", "m1"): without(5, GAP)})
    panel = panel_of(lines, out(small_config, ("tea-1", 36, 39)), small_config)
    with pytest.raises(InsufficientDataError, match="every series misses a week of 36 to 39"):
        lstm_fit.fit(panel, 40, small_config)
    found = lstm_fit.predict(lstm_fit.fit(panel, 40, small_config, epochs=1), panel, 40)
    assert np.isfinite(found.quantiles).all()


def rolled(values: np.ndarray) -> Rolled:
    quantiles = np.stack([values * 0.8, values, values * 1.2], axis=-1)
    return Rolled(values, values, quantiles, quantiles[..., [0, -1]], 0, conformal.unshifted())


def test_nobody_is_judged_by_missing_weeks(small_panel: Panel) -> None:
    """Whatever was forecast of them: the same numbers, the same gate, the same rule, the same calibration."""
    rng = np.random.default_rng(4)
    actual = rng.poisson(12, (3, small_panel.n_series, 4)).astype(np.float64)
    actual[1, 2:5, 1:3] = np.nan
    gap = np.isnan(actual)

    def told(factor: float, there: float) -> Rolled:
        return rolled(np.where(gap, there, np.nan_to_num(actual) * factor))

    def judged(there: float) -> tuple[object, ...]:
        rules = {"far": told(1.4, there), "near": told(1.2, there)}
        candidate, champion = told(1.01, there), told(1.05, there)
        return (
            leaderboard.scores(actual, candidate, small_panel, "x"),
            leaderboard.gate(actual, candidate, rules, small_panel, champion=champion, max_bias=0.03),
            leaderboard.best_rule(actual, rules, small_panel),
            conformal.calibrate(actual, candidate.quantiles).as_json(),
        )

    scores, gate, best, _ = judged(12.0)
    assert judged(9000.0) == (scores, gate, best, judged(12.0)[3])
    assert gate.promoted
    assert best == "near"
    assert all(np.isfinite(row["value"]) for row in scores)
    # With a true zero there it is another story.
    zero = leaderboard.gate(
        np.nan_to_num(actual), told(1.01, 9000.0), {"near": told(1.2, 12.0)}, small_panel, max_bias=0.03
    )
    assert not zero.promoted


def test_weights_of_the_stack_without_a_week_to_learn_from(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig
) -> None:
    panel = panel_of(shop.filter(category_l2_id="tea"), gone, small_config)
    by_rule = {name: {36: stacking.rule(name, panel, 36, 3)} for name in stacking.RULES}
    assert set(stacking.learn(by_rule, panel, [36], 3).by_class["smooth"]) == {0.5}
    assert stacking.kinds(panel, 40).tolist() == ["smooth"]


def test_what_is_known_of_a_gap_at_an_origin(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig
) -> None:
    """A sale of week 36 came at the begin of week 38: the week was missing before, and counts since."""
    late = sold({("tea-1", "m1"): [7 if week == 36 else 0 for week in range(WEEKS)]})
    never = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    came = pl.lit(moment_of(FIRST_MONDAY + timedelta(weeks=38), small_config))
    lines = pl.concat(
        [
            shop.with_columns(received_at=pl.col("placed_at"), superseded_at=never),
            late.with_columns(received_at=came, superseded_at=never),
        ]
    )
    weekly = weekly_sales(lines, after(WEEKS), small_config, gone)
    none = pl.DataFrame(schema=NO_PROMOTIONS)
    found = vintages(lines, weekly, none, (34, 37, 38, 40 - 1), small_config, gone)
    assert {origin: missing(panel) for origin, panel in found.known.items()} == {
        34: [],
        37: [36],
        38: [37],
        39: [37, 38],
    }
    assert missing(found.standing) == [37, 38]


def test_spread_and_correlation_leave_missing_weeks_out(small_config: DemandConfig) -> None:
    rng = np.random.default_rng(6)
    units = list(rng.poisson(10, WEEKS) + 1)
    cut = [n if week not in GAP else 0 for week, n in enumerate(units)]
    panel = panel_of(sold({("tea-1", "m1"): cut}), out(small_config, ("tea-1", 36, 39)), small_config)
    seen = np.delete(np.array(units[-26:], dtype=float), [22, 23, 24])
    assert dispersion(panel) == pytest.approx(max(1.0, seen.var(ddof=1) / seen.mean()))
    assert 0 <= correlation(panel, 4) <= 1
    assert correlation(panel, 4) != correlation(panel_of(sold({("tea-1", "m1"): cut}), None, small_config), 4)


@pytest.mark.parametrize("kind", ["rule", "level of the best rule", "days and months"])
def test_what_is_published_is_not_dragged_down(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig, kind: str
) -> None:
    none = pl.DataFrame(schema=NO_PROMOTIONS)

    def told(stock: pl.DataFrame | None) -> float:
        name = "mean_4w" if kind == "rule" else "none"
        weeks = forecast(shop, none, after(WEEKS), None, name, config=small_config, out_of_stock=stock)
        if kind != "days and months":
            return float(weeks.filter(category_id="tea")["mean_qty"].sum())
        months = outlook(shop, weeks, after(WEEKS), config=small_config, out_of_stock=stock)
        return float(months.filter(category_id="tea", grain="month").sort("ends_on")["mean_qty"][0]) * 28 / 31

    assert told(gone) == pytest.approx(40, rel=0.1)
    assert told(None) < 36


@pytest.fixture(scope="module")
def trained_with_gap(
    small_weekly: dict[tuple[str, str], list[int]],
    small_config: DemandConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[pl.DataFrame, pl.DataFrame, list[Candidate], Path]:
    """Nobody had anything of l2-1 in three of the newest weeks, some by which models are judged."""
    units = {
        key: [0 if key[0] == "l2-1" and week in GAP else n for week, n in enumerate(series)]
        for key, series in small_weekly.items()
    }
    lines = lines_of(units)
    stock = out(small_config, ("l2-1-sku", 36, 39))
    folder = tmp_path_factory.mktemp("with_gap")
    none = pl.DataFrame(schema=NO_PROMOTIONS)
    found = train(lines, none, after(WEEKS), folder, small_config, out_of_stock=stock)
    return lines, stock, found, folder


def test_training_with_missing_weeks(
    trained_with_gap: tuple[pl.DataFrame, pl.DataFrame, list[Candidate], Path],
) -> None:
    _, _, candidates, folder = trained_with_gap
    assert {c.name for c in candidates} == {LSTM, BOOSTED, STACKED}
    for candidate in candidates:
        assert candidate.metrics["missing_weeks"] == 12, "three weeks of four merchants"
        assert all(np.isfinite(row["value"]) for row in candidate.leaderboard), candidate.name
    drawn = pl.read_parquet(folder / "fans.parquet")
    assert drawn["actual"].is_nan().sum() == 0
    assert set(drawn.filter(pl.col("actual").is_null())["category_id"]) == {"l2-1"}


@pytest.mark.parametrize("name", [LSTM, BOOSTED, STACKED])
def test_every_model_keeps_the_level(
    trained_with_gap: tuple[pl.DataFrame, pl.DataFrame, list[Candidate], Path],
    small_weekly: dict[tuple[str, str], list[int]],
    name: str,
) -> None:
    lines, stock, _, folder = trained_with_gap
    none = pl.DataFrame(schema=NO_PROMOTIONS)

    def units(of: pl.DataFrame, given: pl.DataFrame | None) -> float:
        served = forecast(of, none, after(WEEKS), folder / name, name, out_of_stock=given)
        return float(served.filter(category_id="l2-1")["mean_qty"].sum())

    level = 4 * np.mean([series[:36] for key, series in small_weekly.items() if key[0] == "l2-1"]) * 4
    assert units(lines, stock) == pytest.approx(level, rel=0.1)
    # Read as zeros the weeks lead astray: of the way back up a regression makes a trend.
    assert units(lines, None) != pytest.approx(level, rel=0.2)


def test_without_a_week_that_counts_nothing_changes_to_the_byte(
    small_weekly: dict[tuple[str, str], list[int]], small_config: DemandConfig, tmp_path: Path
) -> None:
    """No statement, and spells in which something was sold, without a whole week, or of what nobody sold."""
    lines, none = lines_of(small_weekly), pl.DataFrame(schema=NO_PROMOTIONS)
    spells = ("l2-1-sku", 10, 20), ("l2-0-sku", 4.1, 4.9), ("other-sku", 0, 40)
    stocks = {"nothing": None, "no week": out(small_config, *spells)}
    found = {
        kind: train(lines, none, after(WEEKS), tmp_path / kind, small_config, out_of_stock=stock)
        for kind, stock in stocks.items()
    }

    def files(kind: str) -> dict[str, bytes]:
        folder = tmp_path / kind
        return {
            str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
        }

    def told(kind: str, name: str | None) -> list[pl.DataFrame]:
        bundle, stock = (None if name is None else tmp_path / kind / name), stocks[kind]
        weeks = forecast(
            lines, none, after(WEEKS), bundle, name or "none", config=small_config, out_of_stock=stock
        )
        return [weeks, outlook(lines, weeks, after(WEEKS), config=small_config, out_of_stock=stock)]

    for what in ("leaderboard", "decision", "metrics"):
        assert [getattr(one, what) for one in found["no week"]] == [
            getattr(one, what) for one in found["nothing"]
        ]
    assert files("no week") == files("nothing")
    for name in (None, LSTM, BOOSTED, STACKED):
        for here, there in zip(told("no week", name), told("nothing", name), strict=True):
            assert here.equals(there)


def test_the_backtest_knows_the_gap(
    shop: pl.DataFrame, gone: pl.DataFrame, small_config: DemandConfig
) -> None:
    """Rules that read the gap as filled are right of every week that is judged of tea."""
    lines = shop.filter(category_l2_id="tea")
    weekly = weekly_sales(lines, after(WEEKS), small_config, gone)
    origins = plan_origins(WEEKS, small_config)
    panels = vintages(lines, weekly, pl.DataFrame(schema=NO_PROMOTIONS), origins.all, small_config, gone)
    truth = actuals(panels.standing, origins.tested, 4)
    assert np.isnan(truth).any()
    told = roll_rules(panels, origins, 4)
    errors = {name: np.nanmax(np.abs(truth - one.mean)) for name, one in told.items() if name != "sba"}
    assert max(errors.values()) < 1e-6, errors
    row = [r for r in leaderboard.scores(truth, told["ses"], panels.standing, "ses") if r["metric"] == "wape"]
    assert all(r["value"] == pytest.approx(0, abs=1e-9) for r in row)
    drawn = fans(panels.standing, origins, {"ses": told["ses"]})
    assert drawn.filter(pl.col("actual").is_null()).height == 3
    assert rule_forecast(RULES["tsb"], panels.standing, WEEKS, 4).mean.tolist() == [[pytest.approx(10)] * 4]
