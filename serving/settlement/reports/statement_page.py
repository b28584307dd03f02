"""A statement as one printable HTML page with its chart inside; it loads nothing. Figures: `statements`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from serving.settlement.reports.statements import DayFigures, Statement

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 12, 12, 26


def statement_page(shown: Statement) -> str:
    """The page, in UTF-8."""
    return _template().render(
        period=str(shown.period),
        party_type=shown.party.party_type,
        party_id=shown.party.party_id,
        state=_state(shown),
        first_day=shown.period.first_day,
        last_day=shown.period.next_first_day - timedelta(days=1),
        opening=yuan(shown.opening_cents),
        moved=yuan(shown.closing_cents - shown.opening_cents),
        closing=yuan(shown.closing_cents),
        chart=Markup(balance_chart(shown)),  # made of numbers and dates only
        accounts=[
            {
                "name": account.kind.replace("_", " "),
                "opening": yuan(account.opening_cents),
                "closing": yuan(account.closing_cents),
                "movements": [
                    {
                        "name": movement.kind.replace("_", " "),
                        "entries": f"{movement.entries:,}",
                        "yuan": yuan(movement.cents),
                        "is_debit": movement.cents < 0,
                    }
                    for movement in account.movements
                ],
            }
            for account in shown.accounts
        ],
        days=[
            {
                "on": day.on,
                "moved": yuan(day.moved_cents),
                "closing": yuan(day.closing_cents),
                "is_debit": day.moved_cents < 0,
            }
            for day in shown.days
        ],
    )


def yuan(cents: int) -> str:
    """Fen as yuan with thousands separators.

    >>> yuan(-123456789)
    '-1,234,567.89'
    """
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}.{rest:02d}"


def daily_balances(opening_cents: int, days: Sequence[DayFigures], first: int, last: int) -> list[int]:
    """The balance at the end of each day of a month, fen; a day without movement keeps the one before.

    Args:
        opening_cents: Before the first day.
        days: The days that moved something, in order.
        first: First day of the month.
        last: Last day of the month.
    """
    closing = {day.on.day: day.closing_cents for day in days}
    balances = []
    balance = opening_cents
    for day in range(first, last + 1):
        balance = closing.get(day, balance)
        balances.append(balance)
    return balances


def balance_chart(shown: Statement) -> str:
    """The balance by day as an SVG: one bar a day from zero, with the range of the axis written beside it."""
    last = (shown.period.end - timedelta(days=1)).day
    balances = daily_balances(shown.opening_cents, shown.days, 1, last)
    high, low = max(0, *balances), min(0, *balances)
    span = max(1, high - low)
    width = (_WIDTH - _LEFT - _RIGHT) // last
    height = _HEIGHT - _TOP - _BOTTOM

    def place(cents: int) -> int:
        return _TOP + (high - cents) * height // span

    zero = place(0)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Balance by day: {yuan(balances[0])} on day 1, {yuan(balances[-1])} on day {last}">'
    ]
    for cents in sorted({high, 0, low}):
        y = place(cents)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#d8dde4"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{yuan(cents)}</text>'
        )
    for number, cents in enumerate(balances):
        top, bottom = sorted((place(cents), zero))
        colour = "#a33c2b" if cents < 0 else "#1f6f5c"
        parts.append(
            f'<rect x="{_LEFT + number * width + 1}" y="{top}" width="{width - 2}" height="{bottom - top}"'
            f' fill="{colour}"><title>{number + 1}: {yuan(cents)}</title></rect>'
        )
    for day in (1, 10, 20, last):
        x = _LEFT + (day - 1) * width + width // 2
        parts.append(f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{day}</text>')
    return "".join([*parts, "</svg>"])


def _state(shown: Statement) -> str:
    if not shown.is_closed:
        return "provisional: the month is open"
    return f"closed {shown.closed_at:%Y-%m-%d %H:%M} UTC" if shown.closed_at else "closed"


@cache
def _template() -> Template:
    text = Path(__file__).with_name("statement.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
