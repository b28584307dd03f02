"""Constants, defaults, maps of words and guests: values put in, exchanged or taken out. One function each."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.sources.mapping.columns import as_text


def with_constants(frame: pl.DataFrame, constants: Mapping[str, str]) -> pl.DataFrame:
    """The frame with the same text in every row of each named column."""
    return frame.with_columns(pl.lit(text, dtype=pl.String).alias(name) for name, text in constants.items())


def with_defaults(frame: pl.DataFrame, defaults: Mapping[str, str]) -> pl.DataFrame:
    """The frame with a text where a named column has no value."""
    columns = []
    for name, text in defaults.items():
        if name not in frame.columns:
            columns.append(pl.Series(name, [text], dtype=pl.String).new_from_index(0, frame.height))
            continue
        raw = frame[name]
        blank = as_text(raw).is_null()
        if blank.any():
            columns.append(raw.cast(pl.String, strict=False).set(blank, text))
    return frame.with_columns(columns)


def with_words(frame: pl.DataFrame, maps: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    """The frame with the file's words exchanged for the contract's; case and outer spaces do not matter.

    A word that no map names stays as it is.
    """
    columns = []
    for name, words in maps.items():
        if name in frame.columns:
            folded = {given.strip().casefold(): word for given, word in words.items()}
            text = as_text(frame[name]).str.to_lowercase()
            mapped = text.replace_strict(folded, default=None, return_dtype=pl.String)
            blank = folded.get("")
            if blank is not None:
                mapped = mapped.set(text.is_null(), blank)
            columns.append(mapped.fill_null(frame[name].cast(pl.String, strict=False)).alias(name))
    return frame.with_columns(columns)


def without_guests(frame: pl.DataFrame, column: str, guests: tuple[str, ...]) -> tuple[pl.DataFrame, int]:
    """The frame with nulls for the consumers that are nobody, and how many named somebody who is nobody."""
    if column not in frame.columns:
        return frame, 0
    words = [word.strip().casefold() for word in guests]
    nobody = as_text(frame[column]).str.to_lowercase().is_in(words).fill_null(False)
    if not nobody.any():
        return frame, 0
    return frame.with_columns(frame[column].set(nobody, None)), int(nobody.sum())
