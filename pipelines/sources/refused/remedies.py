"""What to do about a refused row: remedies by the reason that the door gave."""

from __future__ import annotations

import re

_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"unknown key: not in consumers",
        "add these members to consumers, or name the ids that mean a guest in muyun.yaml",
    ),
    (r"unknown key: not in (?P<parent>\w+)", "add the missing rows to {parent}"),
    (r"a total row", "nothing: the totals of a file are no rows of it"),
    (r"has no accepted line", "add the lines of the order, or leave the order out"),
    (r"in the future", "correct the clock of the system that wrote it, or name the time zone in muyun.yaml"),
    (
        r"before the (?P<time>\w+) of its row in (?P<parent>\w+)",
        "correct the clock of the system that wrote it, or the {time} in {parent}",
    ),
    (r"unset clock", "correct the clock of the system that wrote it, or leave the row out"),
    (r"the column is missing", "name the column that holds {column} in muyun.yaml, or a constant for it"),
    (r"not one of", "map your words to ours in muyun.yaml: {table}.values.{column}"),
    (r"float|scientific", "export {column} as text"),
    (r"not a .*(date|time)", "name the form of {column} in muyun.yaml, or correct the rows"),
    (r"not a .*(number|amount)", "correct the rows, or name the unit of {column} in muyun.yaml"),
    (
        r"duplicate key",
        "leave the repeated rows out; where they are newer versions, name changed_at in muyun.yaml",
    ),
    (r"number of fields|fields instead of", "quote the texts that hold the delimiter, and export again"),
    (r"missing value|empty", "fill in {column}, or name a constant or a guest rule in muyun.yaml"),
)
"""Patterns of reasons, the first that fits decides."""


def remedy(table: str, column: str, reason: str) -> str:
    """What to do about rows refused for a reason.

    Args:
        table: Their table.
        column: The column that was named.
        reason: What the door said; a reason that names its remedy, after a semicolon, keeps it.
    """
    if "muyun.yaml" in reason or "; " in reason:
        return reason.split("; ")[-1]
    for pattern, text in _REMEDIES:
        found = re.search(pattern, reason)
        if found is not None:
            return text.format(table=table, column=column, **found.groupdict())
    return "correct the rows at their source"
