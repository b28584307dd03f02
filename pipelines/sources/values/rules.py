"""How the values of a table are to be read where the value alone does not say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["plain", "id", "money", "quantity"]
"""What a column means, beside its type: ids are kept as written, money and quantities are scaled."""


@dataclass(frozen=True)
class ValueRules:
    """How to read values of one table.

    Attributes:
        time_zone: IANA zone of times without an offset.
        day_first: Whether 02/11/2026 is the second of November; None decides by the column, if it can.
        money: Unit of amounts as written: 'minor' (cents, fen) or 'major' (yuan with decimals).
    """

    time_zone: str = "UTC"
    day_first: bool | None = None
    money: Literal["minor", "major"] = "minor"


UTC_RULES = ValueRules()
"""Rules for rows that are already in contract terms."""
