"""From published rows to what COPY takes: checked by column, ranked tables folded. No database code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias, get_args, runtime_checkable

import msgspec

from models.contracts import PublishedTable
from serving.errors import PublicationRejectedError
from serving.scores.documents import Action, Lane
from serving.scores.folding import FOLDED

BATCH_ROWS = 20_000
# The words that the API documents as the only ones.
_WORDS = {
    ("recommendations", "lane"): frozenset(get_args(Lane)),
    ("prices", "action"): frozenset(get_args(Action)),
}
Row: TypeAlias = tuple[Any, ...]


@runtime_checkable
class ArrowStream(Protocol):
    """Anything that exports an Arrow stream: pyarrow tables and readers, polars frames, DuckDB results."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream capsule."""
        ...


RowSource: TypeAlias = Iterable[Row] | ArrowStream


def database_columns(table: PublishedTable) -> tuple[str, ...]:
    """Columns of the PostgreSQL table after `snapshot_id`, in the order of `database_rows`."""
    if table.name in FOLDED:
        return (*FOLDED[table.name], "item_count", "items")
    return tuple(column.name for column in table.columns)


def database_rows(table: PublishedTable, source: RowSource) -> Iterator[Row]:
    """The rows to copy.

    Args:
        table: Schema of the source.
        source: Row tuples in the order of `table.columns`, or an Arrow stream with those columns by name.

    Raises:
        PublicationRejectedError: A column is missing, a value is null or not finite where it may not be, or
            the ranks of a list are not 1..N.
    """
    batches = (
        _arrow_batches(table, source) if isinstance(source, ArrowStream) else _tuple_batches(table, source)
    )
    checked = (_checked(table, columns) for columns in batches)
    if table.name in FOLDED:
        return _folded(table, checked)
    return (row for columns in checked for row in zip(*columns, strict=True))


def _arrow_batches(table: PublishedTable, source: ArrowStream) -> Iterator[list[Sequence[Any]]]:
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(source)
    missing = [column.name for column in table.columns if column.name not in reader.schema.names]
    if missing:
        raise PublicationRejectedError(f"table {table.name}: columns {missing} are missing")
    for batch in reader:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            yield [part.column(column.name).to_pylist() for column in table.columns]


def _tuple_batches(table: PublishedTable, source: Iterable[Row]) -> Iterator[list[Sequence[Any]]]:
    iterator = iter(source)
    while batch := list(islice(iterator, BATCH_ROWS)):
        widths = {len(row) for row in batch}
        if widths != {len(table.columns)}:
            raise PublicationRejectedError(
                f"table {table.name}: rows have {sorted(widths)} values, its columns are {len(table.columns)}"
            )
        yield list(zip(*batch, strict=True))


def _checked(table: PublishedTable, columns: list[Sequence[Any]]) -> list[Sequence[Any]]:
    for index, (column, values) in enumerate(zip(table.columns, columns, strict=True)):
        if not column.nullable and None in values:
            row = _row_name(table, columns, values.index(None))
            raise PublicationRejectedError(f"table {table.name}: {column.name} is null in {row}")
        if column.type == "float":
            present = [value for value in values if value is not None]
            # A sum is finite unless an addend is not: one pass in C for the good case.
            if not math.isfinite(sum(present)):
                bad = next((i for i, v in enumerate(values) if v is not None and not math.isfinite(v)), None)
                if bad is not None:
                    row = _row_name(table, columns, bad)
                    raise PublicationRejectedError(
                        f"table {table.name}: {column.name} is {values[bad]} in {row}"
                    )
        elif (allowed := _WORDS.get((table.name, column.name))) and not allowed.issuperset(values):
            bad = next(i for i, value in enumerate(values) if value not in allowed)
            row = _row_name(table, columns, bad)
            raise PublicationRejectedError(
                f"table {table.name}: {column.name} is {values[bad]!r} in {row}, "
                f"it must be one of {', '.join(sorted(allowed))}"
            )
        elif column.type == "json":
            columns[index] = [_json_text(value) for value in values]
    return columns


def _json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _row_name(table: PublishedTable, columns: list[Sequence[Any]], index: int) -> str:
    names = [column.name for column in table.columns]
    return "row " + ", ".join(f"{name}={columns[names.index(name)][index]!r}" for name in table.key)


def _folded(table: PublishedTable, batches: Iterable[list[Sequence[Any]]]) -> Iterator[Row]:
    names = [column.name for column in table.columns]
    key_positions = [names.index(name) for name in FOLDED[table.name]]
    item_positions = [position for position in range(len(names)) if position not in key_positions]
    item_names = [names[position] for position in item_positions]
    rank_in_item = item_names.index("rank")
    lists: dict[Row, list[Row]] = {}
    for columns in batches:
        keys = zip(*(columns[position] for position in key_positions), strict=True)
        items = zip(*(columns[position] for position in item_positions), strict=True)
        for key, item in zip(keys, items, strict=True):
            lists.setdefault(key, []).append(item)
    encoder = msgspec.json.Encoder()
    for key in sorted(lists):
        ranked = sorted(lists.pop(key), key=lambda item: item[rank_in_item])
        if [item[rank_in_item] for item in ranked] != list(range(1, len(ranked) + 1)):
            raise PublicationRejectedError(
                f"table {table.name}: the ranks of {dict(zip(FOLDED[table.name], key, strict=True))} "
                f"are not 1..{len(ranked)} without gaps or repeats"
            )
        document = encoder.encode([dict(zip(item_names, item, strict=True)) for item in ranked])
        yield (*key, len(ranked), document.decode())
