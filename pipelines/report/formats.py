"""How numbers become text in the report: separators, money, shares, times. No layout lives here."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TypeGuard

from pipelines.currencies import minor_digits

NOTHING = "–"
"""Shown where there is no value."""

_MINUS = "−"


def count(value: float | None) -> str:
    """A whole number with thousands separators.

    >>> count(1469307)
    '1,469,307'
    """
    return NOTHING if not is_number(value) else _signed(f"{round(value):,}")


def decimal(value: float | None, digits: int = 4) -> str:
    """A number with a fixed number of decimals.

    >>> decimal(1234.56789, 2)
    '1,234.57'
    """
    return NOTHING if not is_number(value) else _signed(f"{value:,.{digits}f}")


def short(value: float) -> str:
    """An axis label: at most three significant digits, `k` and `M` for thousands and millions.

    >>> short(20940529), short(1500), short(0.25)
    ('20.9M', '1.5k', '0.25')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return _signed(f"{value / unit:.3g}{name}")
    return _signed(f"{value:.3g}")


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent.

    >>> percent(0.0274)
    '2.7%'
    """
    return NOTHING if not is_number(value) else _signed(f"{100 * value:.{digits}f}%")


def signed_percent(value: float | None, digits: int = 1) -> str:
    """A change as percent, with its sign.

    >>> signed_percent(0.05)
    '+5.0%'
    """
    if not is_number(value):
        return NOTHING
    return _signed(f"{100 * value:+.{digits}f}%")


def amount(minor: float | None, currency: str) -> str:
    """Minor units as an amount of the currency, without its code.

    Args:
        minor: Minor units, e.g. cents.
        currency: ISO code; decides how many decimals a unit has.

    >>> amount(123456, "USD"), amount(-5, "CNY"), amount(1200, "JPY")
    ('1,234.56', '−0.05', '1,200')
    """
    if not is_number(minor):
        return NOTHING
    digits = minor_digits(currency)
    return _signed(f"{minor / 10**digits:,.{digits}f}")


def money(minor: float | None, currency: str) -> str:
    """Minor units as an amount with the currency's code.

    >>> money(123456, "USD")
    'USD 1,234.56'
    """
    return NOTHING if not is_number(minor) else f"{currency} {amount(minor, currency)}"


def duration(seconds: float | None) -> str:
    """A wall time.

    >>> duration(0.17), duration(71.4), duration(286.6)
    ('0.17 s', '71.4 s', '4 min 47 s')
    """
    if not is_number(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def memory(mebibytes: float | None) -> str:
    """Resident memory given in MiB.

    >>> memory(376.1), memory(3327.0)
    ('376 MB', '3.2 GB')
    """
    if not is_number(mebibytes):
        return NOTHING
    return f"{mebibytes / 1024:.1f} GB" if mebibytes >= 1024 else f"{mebibytes:.0f} MB"


def moment(value: datetime | str | None) -> str:
    """A moment to the minute, in UTC.

    >>> moment("2018-01-01T04:01:20+00:00")
    '2018-01-01 04:01 UTC'
    """
    if not value:
        return NOTHING
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(value: date | datetime | None) -> str:
    """A calendar day."""
    return NOTHING if value is None else f"{value:%Y-%m-%d}"


def plain_name(code: str) -> str:
    """A code as words: `change_budget` becomes `change budget`."""
    return code.replace("_", " ")


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer than `length`."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def _signed(text: str) -> str:
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text
