"""No file of a finished run names a consumer where the list of places does not look."""

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines.erasure.places import PLACES, files_of
from pipelines.erasure.rules import ARRAYS, DOCUMENT, NAMED, OWNERS, mentioned

pytestmark = pytest.mark.xdist_group("world")

APART = {"postgres", "live", "aside", "dagster"}
WITHOUT_ROWS = {
    "erasures.json",
    "", ".toml", ".lock", ".db", ".duckdb", ".yaml", ".yml", ".msgpack", ".css", ".js", ".svg", ".png",
    ".ttf", ".otf", ".woff", ".woff2", ".gif", ".ico", ".ipynb", ".sql", ".pt", ".key",
    ".gpickle",
}  # fmt: skip
"""Kinds of files that no step writes rows of consumers into; their bytes are searched all the same."""


def names_in(file, consumers):
    """Columns, by table for a DuckDB file, with the id of a consumer in them."""
    if file.suffix == ".parquet":
        rows = pl.read_parquet(file, hive_partitioning=False)
        texts = [name for name, dtype in rows.schema.items() if dtype == pl.String()]
        found = {name for name in texts if rows[name].is_in(consumers.implode()).any()}
        if rows.height and "tags" in texts and mentioned(rows["tags"]).is_in(consumers.implode()).any():
            found.add(DOCUMENT)
        return found
    found = set()
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.register("people", pl.DataFrame({"id": consumers}))
        columns = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() join duckdb_tables()"
            " using (database_oid, schema_oid, table_oid, schema_name, table_name)"
            " where data_type = 'VARCHAR'"
        ).fetchall()
        for schema, table, column in columns:
            held = connection.execute(
                f'select 1 from "{schema}"."{table}" where "{column}" in (select id from people) limit 1'
            ).fetchone()
            if held:
                found.add(column)
    return found


def test_every_file_that_names_a_consumer_is_looked_at(world, first):
    home = world.home
    consumers = pl.read_parquet(home / "lake/accepted/consumers/part-0.parquet")["consumer_id"]
    looked = {place.kind: set() for place in PLACES}
    for place in PLACES:
        looked[place.kind] |= set(files_of(home, place))
    searched = {*OWNERS, *NAMED, DOCUMENT}
    held, unknown, astray = 0, set(), set()
    for file in home.rglob("*"):
        if not file.is_file() or file.relative_to(home).parts[0] in APART:
            continue
        if file.suffix in (".parquet", ".duckdb"):
            columns = names_in(file, consumers) - {"row_json", "value"}
            kind = "duckdb" if file.suffix == ".duckdb" else "rows"
            held += bool(columns)
            if columns and (file not in looked[kind] or not columns <= searched):
                astray.add((str(file.relative_to(home)), *columns))
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as stored:
                texts = {name: stored[name] for name in stored.files if stored[name].dtype.kind == "U"}
            named = {name for name, text in texts.items() if np.isin(text, consumers.to_numpy()).any()}
            assert named <= ARRAYS, file
            held += bool(named)
            if named and file not in looked["arrays"]:
                astray.add((str(file.relative_to(home)),))
        elif file not in looked["text"] and not {file.suffix, file.name} & WITHOUT_ROWS:
            unknown.add(str(file.relative_to(home)))
    assert held > 20, held
    assert astray == set()
    assert unknown == set(), "say in PLACES how such a file is cleared, or here that it never has rows"


def test_every_quarantine_file_is_looked_at(world, first):
    home = world.home
    looked = {file for place in PLACES if place.kind == "quarantine" for file in files_of(home, place)}
    assert looked
    assert looked == set((home / "lake" / "quarantine").rglob("*.parquet"))
