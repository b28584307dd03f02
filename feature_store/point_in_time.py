"""Training sets: tags of any entities at any moments, as they could have been known then.

A source row counts at t when its event time is <= t, it was received at <= t, no newer version of it had come
by t, and (for a tag with a window) its event time is > t - window. How tags become SQL is in
`feature_store.compiler`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import duckdb
import polars as pl

from feature_store.compiler import ENTITIES, CompiledTags, compile_tags, population_sql
from feature_store.errors import EntityFrameError, SourceTableError
from feature_store.language.definitions import Source
from feature_store.registry import Registry, load_registry

MAX_JOINED_ROWS = 4_000_000
"""Entity rows are computed in chunks of about this many joined source rows: it bounds memory."""

_UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")


def training_set(
    con: duckdb.DuckDBPyConnection,
    entities: pl.DataFrame,
    tags: Iterable[str] | None = None,
    *,
    time_zone: str = "UTC",
    registry: Registry | None = None,
    max_joined_rows: int = MAX_JOINED_ROWS,
) -> pl.DataFrame:
    """Tags of every entity row, in the order of the rows handed in.

    Args:
        con: A connection that sees the source tables (read-only is enough).
        entities: The registry's id column, such as `consumer_id` (str), and `as_of`
            (`Datetime('us', 'UTC')`); rows may repeat.
        tags: Names of the tags; all by default.
        time_zone: IANA zone of local hours and days.
        registry: The registry; the packaged one by default.
        max_joined_rows: Size of a chunk, in joined source rows.

    Returns:
        The id column, `as_of` and one column a tag; money in minor units, shares as 0..1.

    Raises:
        EntityFrameError: The entity rows have another shape or hold nulls.
        SourceTableError: A source table is missing or lacks a column.
        UnknownTagError: A tag is not in the registry.

    Note:
        A population-relative tag (quintiles, lifts) needs every entity at that moment: it costs one
        full computation a distinct `as_of`, so hand in few distinct moments when asking for one.
    """
    registry = registry or load_registry()
    rows = entity_rows(entities, registry)
    wanted = registry.select(tags)
    relative = [tag.name for tag in wanted if registry.is_population_relative(tag)]
    direct = [tag.name for tag in wanted if tag.name not in set(relative)]
    result = rows
    if direct:
        query = compile_tags(registry, direct, time_zone=time_zone)
        check_tables(con, query.sources)
        height = _chunk_height(con, query.sources, max_joined_rows)
        parts = [run(con, query, chunk) for chunk in _chunks(rows, height)]
        result = result.join(
            pl.concat(parts).drop(registry.id_column, "as_of"), on="row_id", how="left", maintain_order="left"
        )
    if relative:
        query = compile_tags(registry, relative, time_zone=time_zone)
        check_tables(con, [*query.sources, *registry.population_sources()])
        parts = [run(con, query, rows.clear())]
        for (moment,), group in rows.group_by("as_of", maintain_order=True):
            crowd = _with_population(con, registry, group, moment)
            asked = pl.col(registry.id_column).is_in(group[registry.id_column].implode())
            parts.append(run(con, query, crowd).filter(asked))
        result = result.join(
            pl.concat(parts).drop("row_id"),
            on=[registry.id_column, "as_of"],
            how="left",
            maintain_order="left",
        )
    names = [tag.name for tag in wanted]
    return result.sort("row_id").select(
        registry.id_column, pl.col("as_of").dt.replace_time_zone("UTC"), *names
    )


def entity_rows(entities: pl.DataFrame, registry: Registry) -> pl.DataFrame:
    """The entity rows numbered, with naive UTC moments: `row_id`, the id column, `as_of`.

    Raises:
        EntityFrameError: A column is missing, of another type, or holds nulls.
    """
    expected: dict[str, pl.DataType] = {registry.id_column: pl.String(), "as_of": _UTC}
    for name, kind in expected.items():
        if name not in entities.columns:
            raise EntityFrameError(f"Entity rows lack the column {name!r}; they have {entities.columns}.")
        if entities.schema[name] != kind:
            raise EntityFrameError(f"Entity column {name!r} must be {kind}, not {entities.schema[name]}.")
        if nulls := entities[name].null_count():
            raise EntityFrameError(f"Entity column {name!r} holds {nulls} null(s); drop those rows first.")
    return entities.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("row_id"),
        registry.id_column,
        pl.col("as_of").dt.replace_time_zone(None),
    )


def population_at(con: duckdb.DuckDBPyConnection, registry: Registry, moment: datetime) -> list[str]:
    """Ids of the entities known at a moment (naive UTC), sorted."""
    found = con.execute(population_sql(registry), {"as_of": moment}).fetchall()
    return sorted(row[0] for row in found)


def run(con: duckdb.DuckDBPyConnection, query: CompiledTags, rows: pl.DataFrame) -> pl.DataFrame:
    """The statement over numbered entity rows: `row_id`, the id column, `as_of` (naive), tags."""
    con.register(ENTITIES, rows)
    try:
        return con.execute(query.sql).pl().with_columns(pl.col("as_of").cast(_NAIVE))
    finally:
        con.unregister(ENTITIES)


def check_tables(con: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    """Checks that every table a source reads exists with the declared columns.

    Raises:
        SourceTableError: It does not; the message names source, table and column.
    """
    for source in sources:
        own = {source.entity, source.time, *source.columns}
        own |= {name for name in (source.received, source.superseded) if name is not None}
        wanted = [(source.table, own)]
        wanted += [(join.table, {join.key, *join.columns}) for join in source.joins]
        for table, columns in wanted:
            try:
                con.execute(f"SELECT {', '.join(sorted(columns))} FROM {table} LIMIT 0")
            except (duckdb.CatalogException, duckdb.BinderException) as error:
                raise SourceTableError(
                    f"Tag source {source.name!r} cannot read {table}: {str(error).splitlines()[0]} "
                    "Build the warehouse first; an optional feed must exist as an empty table."
                ) from error


def _chunk_height(con: duckdb.DuckDBPyConnection, sources: Sequence[Source], limit: int) -> int:
    """Entity rows a chunk, from the mean number of rows an entity has in the biggest source."""
    heaviest = 1.0
    for source in sources:
        counts = f"SELECT COUNT({source.entity}), COUNT(DISTINCT {source.entity}) FROM {source.table}"
        counted = con.execute(counts).fetchone()
        if counted and counted[1]:
            heaviest = max(heaviest, counted[0] / counted[1])
    return max(1, int(limit / heaviest))


def _chunks(rows: pl.DataFrame, height: int) -> Iterator[pl.DataFrame]:
    """Slices of the rows; one empty slice when there are none, so that the columns are known."""
    if rows.is_empty():
        yield rows
    yield from rows.iter_slices(height)


def _with_population(
    con: duckdb.DuckDBPyConnection, registry: Registry, group: pl.DataFrame, moment: object
) -> pl.DataFrame:
    """The entity rows of one moment, widened to everybody known then; one row an entity."""
    if not isinstance(moment, datetime):
        raise EntityFrameError(f"as_of must be a moment, not {moment!r}.")
    everybody = sorted({*population_at(con, registry, moment), *group[registry.id_column].to_list()})
    return pl.DataFrame(
        {"row_id": range(len(everybody)), registry.id_column: everybody},
        schema={"row_id": pl.Int64, registry.id_column: pl.String},
    ).with_columns(pl.lit(moment, dtype=_NAIVE).alias("as_of"))
