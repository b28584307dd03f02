"""What a tick brings into the facts, by contract table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class Accepted:
    """Rows of contract tables, whole for every key that came.

    Attributes:
        keys: Keys of the rows that came, by table: key columns, each key once. Every older row of such a key
            goes; it stands again only where `rows` has it.
        rows: The rows that stand now, in the columns and types of the contract.
        history: Their versions that no longer stand, in the contract's `history_dtypes`.
    """

    keys: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    history: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came."""
        return not any(frame.height for frame in self.keys.values())
