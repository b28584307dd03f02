"""What a feed's fields are, against what its declaration says. Pure.

A row without a field that is used is refused when it is read, with `reason_of`: an empty value in its place
would look like a fact. A field that nobody knows harms nothing and is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipelines.sources.connectors.declaration import Stream
from pipelines.sources.mapping.names import nearest


@dataclass(frozen=True)
class Drift:
    """How the fields of a pull differ from what is known.

    Attributes:
        lacking: Fields that are used, and how many rows are without; alternatives stand together.
        new: Fields that neither the declaration nor the first pull knows.
    """

    lacking: dict[str, int]
    new: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lacking or self.new)

    def lines(self) -> tuple[str, ...]:
        """One sentence each, with what a lacking field may be called now."""
        lacks = [
            f"{rows:,} rows lack {name!r}{nearest(name, self.new)}" for name, rows in self.lacking.items()
        ]
        return (*lacks, *((f"new fields: {', '.join(self.new)}",) if self.new else ()))


def drift_of(stream: Stream, rows: Iterable[dict[str, Any]], known: Iterable[str]) -> Drift:
    """Compares the fields of rows.

    Args:
        stream: The declaration.
        rows: Rows of a pull.
        known: Fields of the first pull; empty: this is the first.
    """
    lacking: Counter[str] = Counter()
    seen: dict[str, None] = {}
    for row in rows:
        seen.update(dict.fromkeys(row))
        lacking.update(" or ".join(group) for group in stream.needed if not row.keys() & set(group))
    before = frozenset(known)
    new = sorted(seen.keys() - before - stream.used) if before else []
    return Drift(dict(sorted(lacking.items())), tuple(new))


def reason_of(group: tuple[str, ...]) -> str:
    """Why a row without any field of a group is refused."""
    return (
        f"the feed no longer has the field {' or '.join(group)}; correct `columns` of its declaration, or "
        "name it under `may_lack`"
    )


def split_lacking(frame: pl.DataFrame, groups: Iterable[tuple[str, ...]]) -> tuple[pl.Series, pl.Series]:
    """Which rows are without a needed field, and the reason; a field that is there and null is blank text.

    Returns:
        Mask, and reason by row (null where there is none).
    """
    reason = pl.lit(None, pl.String)
    for group in reversed(list(groups)):
        there = [pl.col(name).is_not_null() for name in group if name in frame.columns]
        is_lacking = ~pl.any_horizontal(*there) if there else pl.lit(True)
        reason = pl.when(is_lacking).then(pl.lit(reason_of(group))).otherwise(reason)
    reasons = frame.select(pl.repeat(None, pl.len(), dtype=pl.Int8).alias("_"), reason.alias("reason"))[
        "reason"
    ]
    return reasons.is_not_null(), reasons
