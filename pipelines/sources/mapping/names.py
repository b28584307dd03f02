"""Names that a document may use: columns of the contract as files write them, time zones, nearest matches."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterable
from functools import cache

from pipelines.sources.contract import contract_table


@cache
def file_columns(table: str) -> dict[str, str]:
    """Every name a file may give a column of the table, with the contract's name for it.

    `origin` is left out: it is what the load says it is.
    """
    contract = contract_table(table)
    schema = contract.schema.columns()
    names = {name: name for name in contract.columns if name != "origin"}
    for name, column in schema.items():
        written = (column.metadata or {}).get("file_column")
        if written is not None:
            names[str(written)] = name
    return names


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name that looks most like this one, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def zone(value: object) -> object:
    """The name of a time zone, checked.

    Raises:
        ValueError: There is no such zone.
    """
    if isinstance(value, str):
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            close = nearest(value, zoneinfo.available_timezones())
            raise ValueError(
                f"there is no time zone {value!r}{close or '; use a name like Europe/London'}"
            ) from None
    return value
