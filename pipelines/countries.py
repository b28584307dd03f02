"""Facts about countries: in which one a time zone lies, and which ones have a calendar of holidays."""

from __future__ import annotations

from functools import cache
from importlib import resources

NO_HOLIDAYS = "none"
"""In place of a country: no holidays are known."""


def is_country(code: str) -> bool:
    """Whether a code (ISO 3166, upper case) has a calendar of holidays."""
    from holidays import list_supported_countries

    return code in list_supported_countries()


def country_of(zone: str) -> str | None:
    """The country (ISO 3166) of an IANA zone; None for zones of no country, and where there is no calendar.

    >>> country_of("Asia/Shanghai"), country_of("Etc/UTC")
    ('CN', None)
    """
    code = _countries().get(zone)
    return code if code is not None and is_country(code) else None


@cache
def _countries() -> dict[str, str]:
    """Zone to country, as the time zone database lists them."""
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {zone: country for country, _, zone, *_ in lines}
