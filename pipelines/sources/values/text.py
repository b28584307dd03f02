"""Texts and ids. An id is kept as it was written, less what programs put around it; two ids never become one.

A spreadsheet or a data frame that takes a long id for a number loses its last digits and writes it with an
exponent: such an id is refused, since two orders may share what is left.
"""

from __future__ import annotations

import polars as pl

from pipelines.sources.values.problems import Parsed, Problems

EXACT_FLOAT = 2**53
"""Whole numbers up to here are exact as floats."""

CONTROL = "a control character (such as NUL) in the text; remove it at the source"
WENT_THROUGH_FLOAT = "the id went through a float and lost digits; export the column as text"

_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
_BAD_IN_TEXT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_BAD_IN_ID = r"[\x00-\x1f\x7f]"
_GUARDED = r"^[=']|[\"“”‘’]|" + _INVISIBLE + "|" + _BAD_IN_ID
_EXPONENT = r"^[+-]?(?:\d(?:[.,]\d+)?[eE]\+\d+|\d[.,]\d+[eE]\d+|\d+[eE]\d{2,})$"
_WHOLE_FLOAT = r"^\d+\.0$"


def read_text(raw: pl.Series) -> Parsed:
    """Free text; a control character other than a tab or a line end is refused.

    Args:
        raw: Trimmed text.
    """
    problems = Problems(len(raw))
    bad = raw.str.contains(_BAD_IN_TEXT)
    problems.add(bad, CONTROL)
    if bad.any():
        raw = raw.set(bad.fill_null(False), None)
    return Parsed(raw, problems.take())


def read_id(raw: pl.Series) -> Parsed:
    """Ids out of text.

    Args:
        raw: Trimmed text.
    """
    problems = Problems(len(raw))
    values = raw
    odd = raw.str.contains(_GUARDED).fill_null(False)
    if odd.any():
        rows = odd.arg_true()
        values = raw.clone().scatter(rows, _unguarded(raw.gather(rows)))
        bad = values.str.contains(_BAD_IN_ID)
        problems.add(bad, CONTROL)
        problems.add(
            values.is_null() & raw.is_not_null(), "an id of nothing but quotes and invisible characters"
        )
        values = values.set(bad.fill_null(False), None)
    lost = values.str.contains(_EXPONENT)
    problems.add(lost, WENT_THROUGH_FLOAT)
    values = values.set(lost.fill_null(False), None)
    head = values.drop_nulls().head(1)
    if (
        len(head)
        and head.str.contains(_WHOLE_FLOAT).all()
        and values.drop_nulls().str.contains(_WHOLE_FLOAT).all()
    ):
        # A data frame writes whole ids beside missing ones as 17.0; the column as a whole tells.
        values = values.str.strip_suffix(".0")
        lost = values.cast(pl.Float64, strict=False) >= EXACT_FLOAT
        problems.add(lost, WENT_THROUGH_FLOAT)
        values = values.set(lost.fill_null(False), None)
    return Parsed(values, problems.take())


def _unguarded(text: pl.Series) -> pl.Series:
    """Ids without invisible characters, and without the quotes, apostrophes and `="..."` around them."""
    bare = (
        text.str.replace_all(_INVISIBLE, "")
        .str.strip_chars()
        .str.replace(r'^=\s*"(.*)"$', "${1}")
        .str.replace(r"^['‘’](.*?)['’]?$", "${1}")
        .str.replace(r'^["“”]+(.*?)["“”]*$', "${1}")
        .str.replace(r"^['‘’](.*?)['’]?$", "${1}")
        .str.strip_chars()
    )
    return bare.set(bare == "", None)


def typed_as_text(raw: pl.Series) -> Parsed:
    """Ids and texts out of typed columns: whole numbers, dates and times as they print."""
    problems = Problems(len(raw))
    if raw.dtype.is_integer() or raw.dtype.is_temporal():
        return Parsed(raw.cast(pl.String))
    if raw.dtype.is_decimal():
        text = raw.cast(pl.String).str.replace(r"\.0+$", "")
        broken = text.str.contains(".", literal=True)
        problems.add(broken, "not a whole number: an id has no decimals")
        return Parsed(text.set(broken.fill_null(False), None), problems.take())
    if raw.dtype.is_float():
        # Ids that met a null in a data frame arrive as 1095275.0; they are still the id 1095275.
        number = raw.cast(pl.Float64)
        whole = number.cast(pl.Int64, strict=False)
        exact = EXACT_FLOAT if raw.dtype == pl.Float64 else 2**24
        is_exact = ((whole.cast(pl.Float64) == number) & (number.abs() < exact)).fill_null(False)
        values = whole.set(~is_exact, None).cast(pl.String)
        problems.add_rest(raw, values, WENT_THROUGH_FLOAT)
        return Parsed(values, problems.take())
    values = pl.Series(raw.name, [None], dtype=pl.String).new_from_index(0, len(raw))
    problems.add_rest(raw, values, "not a text")
    return Parsed(values, problems.take())
