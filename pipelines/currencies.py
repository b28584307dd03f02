"""Facts about currencies, each in one place."""

from __future__ import annotations

_NO_MINOR_UNITS = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "VND", "XAF", "XOF"})
_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def minor_digits(currency: str) -> int:
    """Decimals of one unit of a currency (ISO 4217)."""
    code = currency.upper()
    return 0 if code in _NO_MINOR_UNITS else 3 if code in _THOUSANDTHS else 2
