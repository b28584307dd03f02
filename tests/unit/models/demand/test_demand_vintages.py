"""What a backtest of the forecasters sees at an origin: what was known then, in the rows of what stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from demand_samples import FIRST_MONDAY, MakeLines, after

from models.demand import training
from models.demand.config import BOOSTED, DemandConfig
from models.demand.judging.backtest import plan_origins, roll_rules
from models.demand.panel.series import Panel, build_panel, weekly_sales
from models.demand.panel.vintages import Vintages, moment_of, vintages
from models.demand.weekly.baselines import RULES
from models.demand.weekly.forecasts import Forecast

Weekly = dict[tuple[str, str], list[int]]
NEVER = pl.lit(None, dtype=pl.Datetime("us", "UTC"))


def states(frame: pl.DataFrame, received: pl.Expr | None = None, until: pl.Expr = NEVER) -> pl.DataFrame:
    """The lines as one state each."""
    came = pl.col("placed_at") if received is None else received
    return frame.with_columns(received_at=came, superseded_at=until)


def seen(lines: pl.DataFrame, promotions: pl.DataFrame, config: DemandConfig, weeks: int = 40) -> Vintages:
    weekly = weekly_sales(lines, after(weeks), config)
    return vintages(lines, weekly, promotions, plan_origins(weeks, config).all, config)


def test_without_late_rows_every_origin_sees_what_stands(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    lines = make_lines(small_weekly)
    found = seen(lines, no_promotions, small_config)
    first = min(found.known)
    weekly = weekly_sales(lines, after(40), small_config)
    standing = build_panel(weekly, no_promotions, small_config, cut=first)
    for origin, panel in found.known.items():
        assert (panel.category_id, panel.merchant_id) == (standing.category_id, standing.merchant_id)
        for name in ("qty", "log_price", "category_qty", "merchant_qty"):
            values, expected = getattr(panel, name), getattr(standing, name)
            np.testing.assert_array_equal(values[:, :origin], expected[:, :origin], err_msg=name)
        assert not panel.qty[:, origin:].any()
        np.testing.assert_array_equal(panel.start, np.where(standing.start < origin, standing.start, 40))


def test_a_late_row_and_a_correction_are_seen_from_then_on_only(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    """The sale of week 30 of one series came at the begin of week 33; another was told as 900 until then."""
    lines = make_lines(small_weekly)
    came = pl.lit(moment_of(FIRST_MONDAY + timedelta(weeks=33), small_config))
    week = pl.col("week_start_on") == FIRST_MONDAY + timedelta(weeks=30)
    late = week & (pl.col("category_l2_id") == "l2-0") & (pl.col("merchant_id") == "m1")
    wrong = week & (pl.col("category_l2_id") == "l2-1") & (pl.col("merchant_id") == "m2")
    told = pl.concat(
        [
            states(lines, pl.when(late | wrong).then(came).otherwise("placed_at")),
            states(lines.filter(wrong).with_columns(qty=pl.lit(900, dtype=pl.Int64)), until=came),
        ]
    )
    found = seen(told, no_promotions, small_config)
    rows = list(zip(found.standing.category_id, found.standing.merchant_id, strict=True))
    a, b = rows.index(("l2-0", "m1")), rows.index(("l2-1", "m2"))
    true_a, true_b = small_weekly["l2-0", "m1"][30], small_weekly["l2-1", "m2"][30]
    for origin, panel in found.known.items():
        if origin > 30:
            expected = (0, 900) if origin < 33 else (true_a, true_b)
            assert (panel.qty[a, 30], panel.qty[b, 30]) == expected, origin
    assert (found.standing.qty[a, 30], found.standing.qty[b, 30]) == (true_a, true_b)
    origins = plan_origins(40, small_config)
    assert {one for one in origins.all if one > 30} >= {32, 34}


def test_an_order_that_was_cancelled_since_had_a_row_and_chose_its_series(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    gone = make_lines({("l2-9", "m1"): [9] * 40})
    lines = pl.concat([states(make_lines(small_weekly)), states(gone, until=pl.lit(after(39)))])
    found = seen(lines, no_promotions, small_config)
    row = found.standing.category_id.index("l2-9")
    assert not found.standing.is_pooled[row]
    assert not found.standing.qty[row].any()
    first = min(found.known)
    assert found.known[first].qty[row, :first].tolist() == [9.0] * first


def test_rules_calibrate_on_what_was_known(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_weekly: Weekly, small_config: DemandConfig
) -> None:
    """Lines of the newest ten weeks that come after everything change what is judged and no forecast."""
    lines = make_lines(small_weekly)
    origins = plan_origins(40, small_config)
    more = make_lines({("l2-0", "m1"): [0] * 30 + [500] * 10})
    late = pl.concat([states(lines), states(more, pl.lit(after(40)))])
    without, with_late = (seen(one, no_promotions, small_config) for one in (states(lines), late))
    here, there = (roll_rules(one, origins, 4, RULES)["ses"] for one in (without, with_late))
    np.testing.assert_array_equal(here.quantiles, there.quantiles)
    assert with_late.standing.qty.sum() == without.standing.qty.sum() + 5000


def test_training_fits_and_forecasts_from_what_was_known_and_serves_what_stands(
    make_lines: MakeLines,
    no_promotions: pl.DataFrame,
    small_weekly: Weekly,
    small_config: DemandConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything of week 20 came at the begin of week 31; the learner writes down what it is shown."""
    week = pl.col("week_start_on") == FIRST_MONDAY + timedelta(weeks=20)
    came = pl.lit(moment_of(FIRST_MONDAY + timedelta(weeks=31), small_config))
    shown: list[tuple[str, int, bool]] = []

    def fit(panel: Panel, cut: int, config: DemandConfig, *_: object) -> training._Fitted:
        shown.append(("fit", cut, bool(panel.qty[:, 20].any())))

        def predict(panel: Panel, origin: int, hide: bool) -> Forecast:
            shown.append(("forecast", origin, bool(panel.qty[:, 20].any())))
            return Forecast(np.ones((panel.n_series, 4)), np.ones((panel.n_series, 4, 3)))

        return training._Fitted(predict, lambda folder: None)

    judge = training.leaderboard.gate
    monkeypatch.setattr(training, "_FIT", {BOOSTED: fit})
    monkeypatch.setattr(
        training.leaderboard, "gate", lambda *told, **more: replace(judge(*told, **more), promoted=True)
    )
    lines = states(make_lines(small_weekly), pl.when(week).then(came).otherwise("placed_at"))
    config = replace(small_config, refit_weeks=8)
    training.train(lines, no_promotions, after(40), tmp_path, config)
    origins = plan_origins(40, small_config)
    anew = origins.fit_cut + config.refit_weeks
    cuts = {cut: is_seen for step, cut, is_seen in shown if step == "fit"}
    assert cuts == {origins.fit_cut: False, anew: False, 40: True}
    forecasts = {(origin, is_seen) for step, origin, is_seen in shown if step == "forecast"}
    assert forecasts == {(origin, origin >= 31) for origin in origins.all}


def test_the_moment_of_an_origin_is_local_midnight() -> None:
    assert moment_of(FIRST_MONDAY, DemandConfig(utc_offset_hours=-5)) == datetime.fromisoformat(
        "2017-01-02T05:00:00+00:00"
    )
