from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from demand_samples import FIRST_MONDAY, PROMOTIONS_SCHEMA, MakeLines, after, lines_of

from models.demand.config import POOLED_MERCHANT, DemandConfig, from_json
from models.demand.panel.calendar import calendar_inputs, holidays_of, last_complete_week
from models.demand.panel.series import build_panel, weekly_sales
from models.errors import InsufficientDataError


def week(k: int) -> date:
    return FIRST_MONDAY + timedelta(weeks=k)


def test_panel_by_hand(make_lines: MakeLines, small_config: DemandConfig) -> None:
    weekly = {
        ("l2-a", "m1"): [0, 4, 0, 2, 6, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        ("l2-a", "m2"): [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ("l2-a", "m3"): [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
    }
    promotions = pl.DataFrame(
        {
            "category_l2_id": ["l2-a", "l2-a", "l2-a"],
            "merchant_id": ["m1", "m2", "m3"],
            "week_start_on": [week(4), week(4), week(4)],
            "display_sku_count": [2, 1, 4],
            "mailer_sku_count": [0, 7, 0],
        },
        schema=PROMOTIONS_SCHEMA,
    )
    panel = build_panel(weekly_sales(make_lines(weekly), after(16), small_config), promotions, small_config)
    assert panel.merchant_id == (POOLED_MERCHANT, "m1")
    assert panel.weeks == tuple(week(k) for k in range(20))
    np.testing.assert_array_equal(panel.qty[1], weekly["l2-a", "m1"])
    np.testing.assert_array_equal(panel.qty[0], [1, *[0] * 14, 4])
    np.testing.assert_array_equal(panel.start, [0, 1])
    # The pool splits 1:1+... over the newest 26 weeks: m2 sold 2, m3 sold 3.
    assert panel.members.select("merchant_id", "share").rows() == [("m2", 0.4), ("m3", 0.6)]
    assert panel.plan_known.tolist() == [k == 4 for k in range(20)]
    np.testing.assert_allclose(panel.promo[1, 4], np.log1p([2, 0]), rtol=1e-6)
    np.testing.assert_allclose(panel.promo[0, 4], np.log1p([5, 7]), rtol=1e-6)
    np.testing.assert_allclose(panel.category_qty[1], np.sum(list(weekly.values()), axis=0))


def test_incomplete_edges_are_dropped(make_lines: MakeLines, small_config: DemandConfig) -> None:
    full = make_lines({("l2-a", "m1"): [5] * 6})
    # The data begin on a Sunday: that first week is not complete.
    early = full.head(1).with_columns(
        placed_on=pl.lit(date(2017, 1, 1)),
        week_start_on=pl.lit(date(2016, 12, 26)),
        placed_at=pl.col("placed_at") - pl.duration(days=1),
    )
    sales = weekly_sales(pl.concat([early, full]), after(5), small_config)
    assert sales.weeks == tuple(week(k) for k in range(5))
    assert sales.frame["qty"].to_list() == [5] * 5


def test_other_lines_and_later_lines_do_not_count(make_lines: MakeLines, small_config: DemandConfig) -> None:
    lines = make_lines({("l2-a", "m1"): [5, 5, 5]})
    fuel = lines.with_columns(is_merchandise=pl.lit(value=False), qty=pl.lit(1000, dtype=pl.Int64))
    sales = weekly_sales(pl.concat([lines, fuel]), after(2), small_config)
    assert sales.frame["qty"].to_list() == [5, 5]


def test_a_week_without_any_sale_stays_in_the_panel(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_config: DemandConfig
) -> None:
    sales = weekly_sales(make_lines({("l2-a", "m1"): [5, 0, 0, 5]}), after(5), small_config)
    panel = build_panel(sales, no_promotions, small_config)
    np.testing.assert_array_equal(panel.qty, [[5, 0, 0, 5, 0]])


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC), date(2017, 12, 25)),
        (datetime(2018, 1, 1, 3, 0, 0, tzinfo=UTC), date(2017, 12, 25)),
        (datetime(2018, 1, 1, 2, 59, 59, tzinfo=UTC), date(2017, 12, 18)),
        (datetime(2018, 1, 3, 12, 0, 0, tzinfo=UTC), date(2017, 12, 25)),
    ],
)
def test_last_complete_week_with_two_hours_of_grace(as_of: datetime, expected: date) -> None:
    assert last_complete_week(as_of, DemandConfig(utc_offset_hours=-5)) == expected


def test_as_of_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        last_complete_week(datetime(2018, 1, 1), DemandConfig())  # noqa: DTZ001


def test_choice_of_series_does_not_look_past_the_cut(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_config: DemandConfig
) -> None:
    dying = {("l2-a", "m1"): [5] * 20 + [0] * 20, ("l2-a", "m2"): [0] * 19 + [9] * 21}
    sales = weekly_sales(make_lines(dying), after(40), small_config)
    early = build_panel(sales, no_promotions, small_config, cut=20)
    assert early.merchant_id == (POOLED_MERCHANT, "m1")
    late = build_panel(sales, no_promotions, replace(small_config, min_weekly_units=4.0))
    assert late.merchant_id == (POOLED_MERCHANT, "m2")


def test_relative_price_is_carried_and_causal(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_config: DemandConfig
) -> None:
    lines = make_lines({("l2-a", "m1"): [2, 0, 2, 2]}).with_columns(
        net_paid_cents=pl.Series([200, 100, 200], dtype=pl.Int64)
    )
    panel = build_panel(weekly_sales(lines, after(4), small_config), no_promotions, small_config)
    # Unit prices 100, -, 50, 100; means so far 100, -, 75, 83.3.
    np.testing.assert_allclose(panel.log_price[0], np.log([1, 1, 50 / 75, 100 / (500 / 6)]), rtol=1e-5)


def test_no_lines_give_no_weeks(make_lines: MakeLines, no_promotions: pl.DataFrame) -> None:
    sales = weekly_sales(make_lines({}), after(10), DemandConfig())
    assert sales.weeks == ()
    with pytest.raises(InsufficientDataError, match="no complete week"):
        build_panel(sales, no_promotions, DemandConfig())


@pytest.mark.parametrize(
    ("country", "day", "is_known"),
    [
        ("US", date(2017, 7, 4), True),
        ("US", date(2017, 11, 23), True),
        ("US", date(2026, 2, 17), False),
        ("CN", date(2026, 2, 17), True),  # Spring Festival follows the moon
        ("CN", date(2025, 1, 29), True),
        ("CN", date(2026, 9, 25), True),  # Mid-Autumn
        ("CN", date(2026, 10, 1), True),
        ("CN", date(2026, 11, 11), True),
        ("CN", date(2026, 6, 18), True),
        ("CN", date(2026, 7, 4), False),
        ("DE", date(2026, 4, 6), True),  # Easter Monday
        ("none", date(2026, 1, 1), False),
    ],
)
def test_holidays_against_the_almanac(country: str, day: date, is_known: bool) -> None:
    assert (day in holidays_of(country, [day.year])) is is_known


def test_calendar_inputs() -> None:
    weeks = [date(2017, 12, 18), date(2017, 12, 25), date(2018, 1, 8)]
    config = DemandConfig(holidays="US")
    short = calendar_inputs(weeks, 52, config)
    np.testing.assert_allclose(short[:, 0], [0, 1, 0])
    np.testing.assert_allclose(short[:, 1], [1, 1, 1])  # the third for 15 January
    np.testing.assert_allclose(short[:, 2], [0, 0, 0])
    np.testing.assert_allclose(calendar_inputs([date(2018, 1, 1)], 52, config)[0, 2], 1)
    assert (short[:, 3:] == 0).all()
    assert (calendar_inputs(weeks, 104, config)[:, 3:] != 0).any()
    none = calendar_inputs(weeks, 52, DemandConfig(holidays="none", extra_holidays=(date(2018, 1, 9),)))
    np.testing.assert_allclose(none[:, 0], [0, 0, 1])


def test_config_round_trip_and_checks() -> None:
    config = DemandConfig(extra_holidays=(date(2018, 2, 16),), seed=3)
    assert from_json(config.as_json()) == config
    with pytest.raises(ValueError, match="horizon"):
        DemandConfig(horizon=0)
    with pytest.raises(ValueError, match="holidays"):
        DemandConfig(holidays="XX")
    with pytest.raises(ValueError, match="surprise"):
        from_json({"surprise": 1})


def test_quantities_with_fractions_are_summed_and_not_cut() -> None:
    """Three lines of 0.345 kg a week are 1.035 kg, not 0 and not 3."""
    third = lines_of({("fruit", "m1"): [1] * 8}).with_columns(qty=pl.lit(0.345))
    weekly = weekly_sales(pl.concat([third] * 3), after(8), DemandConfig())
    assert weekly.frame["qty"].to_list() == pytest.approx([1.035] * 8)
    assert build_panel(
        weekly, pl.DataFrame(schema=PROMOTIONS_SCHEMA), DemandConfig()
    ).qty.sum() == pytest.approx(8 * 1.035)
