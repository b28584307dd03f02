"""Whether a logged vector can be made again: the same values at the same moment, from what is known today.

A difference means that serving read something else than training would: a tag table of another moment, a
definition that looks ahead, a row that came without its time of receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from feature_store.point_in_time import training_set
from feature_store.registry import load_registry

FINGERPRINT = "schema_fingerprint"
_SAME = 1e-5
"""Relative distance of two float32 of one sum whose terms were added in another order."""


@dataclass(frozen=True)
class Skew:
    """A logged file against its recomputation.

    Attributes:
        rows: Vectors compared.
        tags: Tags compared.
        differences: Values that differ; null equals null alone.
        examples: Up to five of them as `consumer tag: logged, recomputed`.
        note: Why nothing was compared, if nothing was.
    """

    rows: int
    tags: int
    differences: int
    examples: list[str]
    note: str = ""


def vectors(moments: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """Vectors as they are logged: `consumer_id`, `as_of`, the fingerprint of the tags' schema, the tags.

    Args:
        moments: `consumer_id` and `as_of` (UTC).
        tags: Their tags, row for row.
    """
    fingerprint = load_registry().profile_schema(tags.columns).fingerprint
    return moments.select("consumer_id", "as_of", pl.lit(fingerprint).alias(FINGERPRINT)).hstack(tags)


def recomputed(connection: duckdb.DuckDBPyConnection, logged: pl.DataFrame, time_zone: str) -> Skew:
    """Compare logged vectors with the training set at their moments.

    Args:
        connection: A DuckDB that sees the warehouse.
        logged: From `vectors`, perhaps with further columns that are no tags.
        time_zone: IANA zone of local hours and days.
    """
    registry = load_registry()
    names = [name for name in logged.columns if name in registry.tags]
    if logged.is_empty() or not names:
        return Skew(0, len(names), 0, [], "no decision was made from tags")
    if logged[FINGERPRINT].unique().to_list() != [registry.profile_schema(names).fingerprint]:
        return Skew(0, len(names), 0, [], "logged under another schema of the tags")
    moments = logged.select("consumer_id", pl.col("as_of").dt.convert_time_zone("UTC"))
    again = training_set(connection, moments, names, time_zone=time_zone)
    return _compared(logged, again, ["consumer_id"], names)


def again(
    logged: pl.DataFrame, features: pl.DataFrame, keys: list[str], names: Sequence[str], model: str
) -> Skew:
    """Compare logged features of a model's own with the same features, made again.

    Args:
        logged: `keys` and features as they were logged.
        features: `keys` and the features at the same moment, from what is known today; a pair that is missing
            has nulls, and therefore differs.
        keys: What a row is about.
        names: Features that the model reads today.
        model: Name of the model, for the note.
    """
    if logged.is_empty():
        return Skew(0, len(names), 0, [], f"{model} decided nothing")
    if set(names) - set(logged.columns):
        return Skew(0, len(names), 0, [], f"{model} was logged with other features")
    made = logged.select(keys).join(features, on=keys, how="left", maintain_order="left")
    return _compared(logged, made, keys, names, _SAME)


def bounded(vectors: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many rows: whoever has the smallest hashes of their ids, so that a log does not grow.

    Args:
        vectors: With `consumer_id`.
        most: Rows.
    """
    if vectors.height <= most:
        return vectors
    return vectors.sort(pl.col("consumer_id").hash(seed=0), maintain_order=True).head(most)


def _compared(
    logged: pl.DataFrame,
    made: pl.DataFrame,
    keys: Sequence[str],
    names: Sequence[str],
    tolerance: float = 0.0,
) -> Skew:
    """Compare value by value; null equals null alone, numbers within a relative tolerance."""
    differences = 0
    examples: list[str] = []
    a, b = pl.col("logged"), pl.col("made")
    for name in names:
        pair = pl.DataFrame({"logged": logged[name], "made": made[name]})
        differs = a.ne_missing(b)
        if tolerance and pair.schema["logged"].is_float():
            near = (a - b).abs() <= tolerance * pl.max_horizontal(a.abs(), b.abs())
            differs &= ~near.fill_null(value=False)
        found = pair.select(differs.alias("differs"))["differs"]
        differences += int(found.sum())
        for row in found.arg_true()[: 5 - len(examples)]:
            who = " ".join(str(logged[key][row]) for key in keys)
            examples.append(f"{who} {name}: {pair['logged'][row]}, {pair['made'][row]}")
    return Skew(logged.height, len(names), differences, examples)
