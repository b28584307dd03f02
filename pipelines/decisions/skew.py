"""Whether a logged vector can be made again: the same tags at the same moment, from what is known today.

A difference means that serving read something else than training would: a tag table of another moment, a
definition that looks ahead, a row that came without its time of receipt.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from feature_store.point_in_time import training_set
from feature_store.registry import load_registry

FINGERPRINT = "schema_fingerprint"


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
    differences = 0
    examples: list[str] = []
    for name in names:
        differs = logged[name].ne_missing(again[name])
        differences += int(differs.sum())
        for row in differs.arg_true()[: 5 - len(examples)]:
            who = logged["consumer_id"][row]
            examples.append(f"{who} {name}: {logged[name][row]}, {again[name][row]}")
    return Skew(logged.height, len(names), differences, examples)
