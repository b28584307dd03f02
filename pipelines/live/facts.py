"""New rows brought into the facts of the live store, by the SQL that builds the warehouse, over slices.

What lives here: how a cut is run and what it replaces. Which keys a cut has stands in `cuts`, what a model
computes in its own SQL. dbt is not imported. Everything is written in the caller's transaction; the slices
are temporary tables of the session.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from pipelines.live import tables
from pipelines.live.accepted import Accepted
from pipelines.live.cuts import CUTS, OWNERS, SINCE_VARIABLE, Cut, Replaced
from pipelines.sources.contract import TABLES, contract_table, empty
from pipelines.warehouse.compiled import AS_OF_VARIABLE, Compiled, CompiledModel

_PROMOTED_FOR = dt.timedelta(days=8)
"""A week and a day on either side of a line: the promotions of its local week."""


@dataclass(frozen=True)
class Applied:
    """What became of the facts.

    Attributes:
        changed: Rows taken out or put in, by model; models without any are left out.
        seconds: Wall time by cut, of those that had something to do.
    """

    changed: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether every model is as it was."""
        return not self.changed


def apply(
    connection: duckdb.DuckDBPyConnection,
    accepted: Accepted,
    *,
    as_of: dt.datetime,
    since: dt.datetime,
    compiled: Compiled,
    lake: Path,
) -> Applied:
    """Bring rows into the facts, and let what time alone changes change.

    Fills `live.touched(entity, entity_id)` of the store with every consumer, merchant, agent, sku and
    supplier that a changed row names or named; what it held before is gone.

    Args:
        connection: The live store, in a transaction that has written to no other database.
        accepted: What `intake` let in.
        as_of: Business time of this tick (UTC).
        since: Business time that the facts stand at: of the tick before, or of the build.
        compiled: The models that built the store's warehouse.
        lake: Root of the lake, for the promotions of the lines that came.

    Returns:
        What was replaced.

    Raises:
        duckdb.Error: Something is wrong with the store or a model; roll the transaction back.
    """
    store = _Store(connection)
    store.run("set TimeZone='UTC'")
    _prepare(store, compiled)
    store.set(AS_OF_VARIABLE, as_of)
    store.set(SINCE_VARIABLE, since)
    store.fill(accepted)
    if accepted.keys.get("order_lines", pl.DataFrame()).height:
        _fill_promotions(store, accepted, lake)
    changed: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for cut in CUTS:
        start = time.perf_counter()
        if not _has_keys(store, cut):
            continue
        for replaced in cut.models:
            rows = _replace(store, compiled, cut, replaced)
            if rows:
                changed[replaced.model] = rows
        seconds[cut.name] = round(time.perf_counter() - start, 4)
    _keep_lines(store)
    _tell_touched(store, changed)
    return Applied(changed, seconds)


class _Store:
    """The live store and the session's tables beside it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.quoted = tables.store_of(connection)

    def run(self, sql: str) -> duckdb.DuckDBPyConnection:
        """A statement in which `{live}` is the store."""
        return self.connection.execute(sql.replace("{live}", self.quoted))

    def count(self, relation: str) -> int:
        """Rows of a relation."""
        return int(_scalar(self.connection, f"select count(*) from {relation}"))

    def set(self, variable: str, moment: dt.datetime) -> None:
        """A moment for the SQL of the models."""
        self.connection.execute(f"set variable {variable} = '{moment.astimezone(dt.UTC).isoformat()}'")

    def fill(self, accepted: Accepted) -> None:
        """What came, as tables of the session."""
        for table in _live_tables():
            contract = contract_table(table)
            keys = {name: contract.dtypes[name] for name in contract.key}
            self.put(f"arrived_{table}", accepted.keys.get(table, pl.DataFrame(schema=keys)))
            self.put(f"raw_{table}", accepted.rows.get(table, empty(table)))
            if table in ("orders", "order_lines"):
                nothing = pl.DataFrame(schema=dict(contract.history_dtypes))
                self.put(f"history_{table}", accepted.history.get(table, nothing))

    def put(self, name: str, frame: pl.DataFrame) -> None:
        """Replace the rows of a table of the session."""
        self.connection.execute(f"delete from temp.{name}")
        if frame.height:
            self.connection.register("_frame", frame)
            self.connection.execute(f"insert into temp.{name} by name select * from _frame")
            self.connection.unregister("_frame")


@cache
def _live_tables() -> tuple[str, ...]:
    """Contract tables that a tick may bring rows of."""
    read = {name for cut in CUTS for name in cut.inputs}
    return tuple(table for table in TABLES if f"raw.{table}" in read)


def _prepare(store: _Store, compiled: Compiled) -> None:
    """Tables of the session, empty."""
    tables.make(store.connection)
    store.run(_session_tables())
    for cut in CUTS:
        for replaced in cut.models:
            relation = _relation(store, compiled.models[replaced.model])
            store.run(
                f"create or replace temp table changed_{replaced.model} as select * from {relation} limit 0"
            )


@cache
def _session_tables() -> str:
    """Statements that make the tables of what came."""
    frames = {f"raw_{table}": empty(table) for table in _live_tables()}
    for table in _live_tables():
        contract = contract_table(table)
        keys = {name: contract.dtypes[name] for name in contract.key}
        frames[f"arrived_{table}"] = pl.DataFrame(schema=keys)
        frames[f"history_{table}"] = pl.DataFrame(schema=dict(contract.history_dtypes))
    return "; ".join(
        f"create or replace temp table {name} ({tables.columns_of(frame)})" for name, frame in frames.items()
    )


def _select(store: _Store, compiled: Compiled, cut: Cut, model: str) -> str:
    """The SQL of a model over the slice of a cut: what it reads stands before it, each relation once."""
    relations: dict[str, str] = {}

    def add(name: str) -> str:
        one = compiled.models[name]
        for source in one.sources:
            for relation in (f"raw.{source}", f"raw.{source}_history"):
                if relation in cut.inputs:
                    relations.setdefault(relation, cut.inputs[relation])
        for history in (relation for relation in cut.inputs if relation.endswith("_history")):
            relations.setdefault(history, cut.inputs[history])
        for parent in one.parents:
            relation = f"{compiled.models[parent].schema}.{parent}"
            if relation not in relations:
                sql = cut.inputs.get(relation) or add(parent)
                relations[relation] = sql
        return _with_short_names(one.sql, compiled.catalog)

    sql = add(model)
    before = ", ".join(f'"{name}" as ({text})' for name, text in relations.items())
    return (f"with {before} select * from ({sql})" if before else sql).replace("{live}", store.quoted)


def _with_short_names(sql: str, catalog: str) -> str:
    """Relations of a model under one name each: `"schema.name"`."""
    return re.sub(rf'"{re.escape(catalog)}"\."(\w+)"\."(\w+)"', r'"\1.\2"', sql)


def _has_keys(store: _Store, cut: Cut) -> bool:
    """Fills the key tables of a cut; says whether any has a key."""
    for name, sql in cut.keys.items():
        store.run(f"create or replace temp table {name} as {sql}")
    return any(store.count(f"temp.{name}") for name in cut.keys)


def _replace(store: _Store, compiled: Compiled, cut: Cut, replaced: Replaced) -> int:
    """Run a model over the slice of its cut and replace what differs; returns the rows out and in."""
    model = compiled.models[replaced.model]
    relation = _relation(store, model)
    unit = ", ".join(replaced.unit)
    changed = f"temp.changed_{replaced.model}"
    chosen = ", ".join(
        f'cast("{name}" as {kind}) as "{name}"'
        for name, kind, *_ in store.run(f"describe {relation}").fetchall()
    )
    select = _select(store, compiled, cut, model.name)
    store.run(f"create or replace temp table fresh as select {chosen} from ({select})")
    covered = (
        f"select t.* from {relation} t"
        if replaced.keys is None
        else f"select t.* from {relation} t semi join temp.{replaced.keys} k using ({unit})"
    )
    store.run(f"create or replace temp table stale as {covered}")
    store.run(
        f"insert into {changed} (from temp.stale except all from temp.fresh)"
        " union all (from temp.fresh except all from temp.stale)"
    )
    rows = store.count(changed)
    if rows:
        store.run(f"create or replace temp table units as select distinct {unit} from {changed}")
        matches = " and ".join(f"t.{name} = u.{name}" for name in replaced.unit)
        store.run(f"delete from {relation} t using temp.units u where {matches}")
        store.run(
            f"insert into {relation} select f.* from temp.fresh f semi join temp.units u using ({unit})"
        )
    return rows


def _relation(store: _Store, model: CompiledModel) -> str:
    return f'{store.quoted}."{model.schema}"."{model.name}"'


def _fill_promotions(store: _Store, accepted: Accepted, lake: Path) -> None:
    """The promotions of the skus that were or are on the lines that came, around the weeks of those lines."""
    store.run("delete from temp.raw_promotions")
    lines = (
        "select sku_id, placed_at from {live}.core.fct_order_lines"
        " where order_id in (select order_id from temp.arrived_order_lines)"
        " union all select l.sku_id, o.placed_at"
        " from temp.raw_order_lines l join temp.raw_orders o using (order_id)"
    )
    store.run(f"create or replace temp table promoted as {lines}")
    first, last = store.run(
        "select epoch_us(min(placed_at)), epoch_us(max(placed_at)) from temp.promoted"
    ).fetchone() or (None, None)
    if first is None:
        return
    margin = int(_PROMOTED_FOR.total_seconds() * 1_000_000)
    files = f"{lake}/accepted/promotions/**/*.parquet"
    store.run(
        "insert into temp.raw_promotions by name"
        f" select * from read_parquet('{files}', hive_partitioning=false, union_by_name=true)"
        f" where starts_at <= make_timestamptz({last + margin})"
        f" and ends_at >= make_timestamptz({first - margin}) and sku_id in (select sku_id from temp.promoted)"
    )


def _keep_lines(store: _Store) -> None:
    """The order lines that came, as they came."""
    matches = "t.order_id = a.order_id and t.line_no = a.line_no"
    store.run(f"delete from {{live}}.{tables.TAIL} t using temp.arrived_order_lines a where {matches}")
    store.run(f"insert into {{live}}.{tables.TAIL} by name select * from temp.raw_order_lines")


def _tell_touched(store: _Store, changed: Mapping[str, int]) -> None:
    """The entities that changed rows name, into `live.touched`."""
    store.run("delete from {live}.live.touched")
    parts = []
    for model in changed:
        names = {row[0] for row in store.run(f"describe temp.changed_{model}").fetchall()}
        parts += [
            f"select '{entity}' as entity, {column} as entity_id from temp.changed_{model}"
            for column, entity in OWNERS.items()
            if column in names
        ]
    if parts:
        store.run(
            "insert into {live}.live.touched select distinct entity, entity_id from"
            f" ({' union all '.join(parts)}) where entity_id is not null order by 1, 2"
        )


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    row = connection.execute(sql).fetchone()
    return str(row[0]) if row else ""
