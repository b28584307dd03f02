"""The printable statement: figures as text, the chart, and what a hostile name does to it."""

import datetime as dt
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.ledger.accounts import Party
from serving.settlement.reports.statement_page import balance_chart, daily_balances, statement_page, yuan
from serving.settlement.reports.statements import (
    AccountFigures,
    DayFigures,
    Movement,
    Period,
    Statement,
    StatementError,
)

JANUARY = Period(2026, 1)


def made(days=(), opening=0, party_id="S1"):
    closing = days[-1].closing_cents if days else opening
    account = AccountFigures(
        "supplier_available", opening, (Movement("release", closing - opening, len(days)),), closing
    )
    return Statement(
        Party("supplier", party_id), JANUARY, False, None, opening, closing, (account,), tuple(days)
    )


def day(number, moved, closing):
    return DayFigures(dt.date(2026, 1, number), moved, closing)


@pytest.mark.parametrize(
    ("cents", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123456789, "1,234,567.89"), (-100, "-1.00")]
)
def test_yuan(cents, text):
    assert yuan(cents) == text


@given(st.integers(-(10**14), 10**14))
def test_yuan_reads_back_to_the_fen(cents):
    whole, _, rest = yuan(cents).replace(",", "").lstrip("-").partition(".")
    assert (int(whole) * 100 + int(rest)) * (-1 if yuan(cents).startswith("-") else 1) == cents


def test_a_day_without_movement_keeps_the_balance():
    days = [day(2, 300, 400), day(4, -500, -100)]
    assert daily_balances(100, days, 1, 5) == [100, 400, 400, -100, -100]


def test_the_chart_has_a_bar_for_every_day_and_the_range_of_the_axis():
    chart = ET.fromstring(balance_chart(made([day(2, 30_000, 30_000), day(20, -40_000, -10_000)])))
    bars = chart.findall("rect")
    assert len(bars) == 31
    texts = {text.text for text in chart.findall("text")}
    assert texts >= {"300.00", "0.00", "-100.00", "1", "31"}
    above = [bar for bar in bars if bar.get("fill") == "#1f6f5c"]
    below = [bar for bar in bars if bar.get("fill") == "#a33c2b"]
    zero = {int(bar.get("y")) + int(bar.get("height")) for bar in above[1:]}
    assert len(zero) == 1
    assert {int(bar.get("y")) for bar in below} == zero
    assert len(below) == 12
    # 300.00 is three times 100.00, up to the pixel.
    assert abs(int(above[5].get("height")) - 3 * int(below[0].get("height"))) <= 3


def test_a_month_without_movement_has_a_page_too():
    page = statement_page(made())
    assert "Nothing moved." in page
    assert "provisional" in page


def test_the_page_loads_nothing_and_a_hostile_id_stays_text():
    page = statement_page(made([day(3, 5, 5)], party_id='<script src="//x">'))
    assert "<script" not in page
    assert "&lt;script" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<svg") == 1


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "26-01-01", "", "2026-01-01"])
def test_what_is_no_month(text):
    with pytest.raises(StatementError, match="write it like"):
        Period.parse(text)


@given(st.integers(1900, 2100), st.integers(1, 12))
def test_months_follow_each_other(year, month):
    period = Period(year, month)
    assert Period.parse(str(period)) == period
    following = Period.of(period.end.date())
    assert following.start == period.end
    assert 28 <= (period.end - period.start).days <= 31
