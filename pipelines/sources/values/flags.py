"""Yes and no, as programs and people write them."""

from __future__ import annotations

import polars as pl

from pipelines.sources.values.numbers import is_missing
from pipelines.sources.values.problems import Parsed, Problems

_TRUE = ("true", "t", "yes", "y", "1", "1.0", "on", "是", "真", "对", "有")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "off", "否", "假", "不", "不是", "错", "没有")


def read_flag(raw: pl.Series) -> Parsed:
    """Flags out of booleans, 0 and 1, and words."""
    problems = Problems(len(raw))
    if raw.dtype == pl.Boolean:
        return Parsed(raw)
    if raw.dtype != pl.String and not raw.dtype.is_numeric():
        flag = pl.Series(raw.name, [None], dtype=pl.Boolean).new_from_index(0, len(raw))
        problems.add_rest(raw, flag, "not true or false")
        return Parsed(flag, problems.take())
    word = raw.cast(pl.String).str.to_lowercase()
    word = word.set(is_missing(word), None)
    flag = word.is_in(_TRUE)
    flag = flag.set(~(flag | word.is_in(_FALSE)).fill_null(True), None)
    problems.add_rest(word, flag, "not true or false")
    return Parsed(flag, problems.take())
