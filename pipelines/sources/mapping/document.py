"""`muyun.yaml` of a folder: reads it, checks it against the contract and answers what it says of a table.

What lives here: the one object that the rest of the adapter asks. What does not: the keys (`model`), YAML
with line numbers (`yaml_lines`), and doing to rows what is said (`apply`).
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.currencies import minor_digits
from pipelines.sources.contract import TABLES, SourceError, contract_table
from pipelines.sources.mapping.apply import MappedTable
from pipelines.sources.mapping.model import Document, TableDocument
from pipelines.sources.mapping.names import file_columns, nearest
from pipelines.sources.mapping.yaml_lines import checked, parse_yaml, text_of
from pipelines.sources.values.rules import ValueRules

FILE_NAME = "muyun.yaml"
SUGGESTED_NAME = "muyun.yaml.suggested"
"""What `muyun check-data` writes where a document of the user's own is there already."""


class TextForm(NamedTuple):
    """Encoding, delimiter and line of the header of a table's text files; None: not said."""

    encoding: str | None
    delimiter: str | None
    header_line: int | None


_MINOR_DIGITS = 2
"""Decimals of a unit of money that can be read."""


@dataclass(frozen=True)
class Mapping:
    """What a folder's document says; an empty document where there is none.

    Attributes:
        document: The checked document.
        path: Where it lies; None where there is none.
    """

    document: Document = field(default_factory=Document)
    path: Path | None = None

    def files(self, folder: Path, table: str) -> tuple[Path, ...] | None:
        """Files that the document names for a table, in name order; None where it names none.

        Raises:
            SourceError: A name or pattern fits no file.
        """
        patterns = self.document.table(table).file
        if not patterns:
            return None
        found: dict[Path, None] = {}
        for pattern in patterns:
            fitting = _fitting(folder, pattern)
            if fitting is None:
                raise SourceError(
                    f"{FILE_NAME}: {table}.file: {pattern!r} is no name or pattern inside the folder"
                )
            if not fitting:
                names = [path.name for path in folder.iterdir()]
                raise SourceError(
                    f"{FILE_NAME}: {table}.file: no file fits {pattern!r}{nearest(pattern, names)}"
                )
            found.update(dict.fromkeys(fitting))
        return tuple(found)

    def table(self, name: str) -> MappedTable:
        """A fresh pass over one table; it remembers what it saw, so take one for every pass."""
        return MappedTable(name, self.document, self.rules_for(name))

    def rules_for(self, table: str, default_zone: str = "UTC") -> ValueRules:
        """How values of a table are to be read.

        Args:
            table: Contract table.
            default_zone: Zone of times without an offset where the document names none.
        """
        said = self.document.table(table)
        money = said.money or self.document.money or "minor"
        if self.document.currency is not None and minor_digits(self.document.currency) == 0:
            money = "minor"  # a yen has no smaller unit: both are the same
        return ValueRules(
            time_zone=said.time_zone or self.document.time_zone or default_zone,
            day_first=said.day_first if said.day_first is not None else self.document.day_first,
            money=money,
        )

    def text_form(self, table: str) -> TextForm:
        """What the owner says of the form of a table's text files."""
        said, document = self.document.table(table), self.document
        return TextForm(
            encoding=said.encoding or document.encoding,
            delimiter=said.delimiter or document.delimiter,
            header_line=said.header_line or document.header_line,
        )

    def changed_at(self, table: str) -> str | None:
        """Column of the mapped rows that says when a row was last changed; None where nothing is said."""
        return self.document.table(table).changed_at

    def deleted_when(self, table: str) -> AbstractMapping[str, tuple[str, ...]]:
        """Columns of the mapped rows and the values that mark a row as deleted."""
        return self.document.table(table).deleted_when

    @property
    def status_words(self) -> AbstractMapping[str, str]:
        """The user's own words for states of an order, in lower case."""
        said = self.document.table("orders").values.get("status", {})
        return {word.strip().casefold(): state for word, state in said.items()}


def _fitting(folder: Path, pattern: str) -> list[Path] | None:
    """Files of a folder that a name or a pattern fits; None for what could lie outside."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        return None
    if (folder / pattern).is_file():
        return [folder / pattern]  # a name such as `sales [1].csv` is no pattern
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except ValueError:
        return None


def load_mapping(folder: Path) -> Mapping:
    """The document of a folder.

    Raises:
        SourceError: There is one and something in it is wrong; every problem is named with its line.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return Mapping()
    return Mapping(parse_document(text_of(path), path.name), path)


def parse_document(text: str, name: str = FILE_NAME) -> Document:
    """Reads and checks a document.

    Args:
        text: The YAML.
        name: What to call it in messages.

    Raises:
        SourceError: It is no YAML, has an unknown key or a value that cannot stand there; every problem is
            named with its line and the nearest key that exists.
    """
    content, lines = parse_yaml(text, name)
    tables = {key: content.pop(key) for key in list(content) if key in TABLES}
    top = (*(field for field in Document.model_fields if field != "tables"), *TABLES)
    problems = []
    if "tables" in content:
        content.pop("tables")
        problems.append(lines.problem(("tables",), "tables stand at the top, without the key 'tables'"))
    document, found = checked(Document, content, lines, (), top)
    problems += found
    parts: dict[str, TableDocument] = {}
    for name, said in tables.items():
        part, found = checked(TableDocument, said or {}, lines, (name,), tuple(TableDocument.model_fields))
        problems += found
        if part is not None:
            problems += [lines.problem((name, *where), text) for where, text in misfits(name, part)]
            parts[name] = part
    if document is not None and document.currency and minor_digits(document.currency) > _MINOR_DIGITS:
        problems += [
            lines.problem(
                where, f"amounts in thousandths of {document.currency} must be written as minor units"
            )
            for where in (("money",), *((name, "money") for name in parts))
            if (parts[where[0]] if len(where) > 1 else document).money == "major"
        ]
    if problems or document is None:
        raise SourceError(f"{name}: " + f"\n{name}: ".join(problems))
    return document.model_copy(update={"tables": parts})


def misfits(table: str, said: TableDocument) -> list[tuple[tuple[str, ...], str]]:
    """What a table's part says of columns or words that the contract does not have."""
    known = file_columns(table)
    named: dict[str, AbstractMapping[str, Any]] = {
        "columns": said.columns,
        "constants": said.constants,
        "defaults": said.defaults,
        "values": said.values,
        "one_row_per": dict.fromkeys(said.one_row_per),
    }
    found: list[tuple[tuple[str, ...], str]] = []
    for key, columns in named.items():
        where = (key,) if key == "one_row_per" else None
        found += [
            (where or (key, column), f"{table} has no column {column!r}{nearest(column, known)}")
            for column in columns
            if column not in known
        ]
    schema = contract_table(table).schema.columns()
    for key, column, word, at in _written_words(said):
        allowed = (schema[column].metadata or {}).get("values") if column in schema else None
        if allowed is not None and word not in allowed:
            found.append(((key, *at), f"{column} cannot be {word!r}; it is one of {', '.join(allowed)}"))
    return found


def _written_words(said: TableDocument) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Every word the document itself puts into a column: key, column, word, where."""
    words: list[tuple[str, str, str, tuple[str, ...]]] = [
        ("constants", column, word, (column,)) for column, word in said.constants.items()
    ]
    words += [("defaults", column, word, (column,)) for column, word in said.defaults.items()]
    words += [
        ("values", column, word, (column, given))
        for column, mapped in said.values.items()
        for given, word in mapped.items()
    ]
    return words
