"""What a file looks like: its kind, encoding, delimiter and header, found in its first lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dialect:
    """What an owner says of the files of a table; None means: found out.

    Attributes:
        encoding: Name of the encoding, such as `gb18030`.
        delimiter: The one character between two fields.
        header_line: Number of the line that names the columns, from 1.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None


@dataclass(frozen=True)
class Found:
    """What a file turned out to be.

    Attributes:
        kind: 'csv', 'json', 'parquet' or 'xlsx'.
        encoding: Encoding of a text file; None for others.
        delimiter: Delimiter of a delimited file; None for others.
        header_line: Line that names the columns, from 1; 0 for files without such a line.
        columns: Names of the columns, as the file has them.
        skipped_lines: Lines before the header, as text.
        line_end: 'LF', 'CRLF', 'CR' or '' for files without lines.
    """

    kind: str
    encoding: str | None
    delimiter: str | None
    header_line: int
    columns: tuple[str, ...]
    skipped_lines: tuple[str, ...]
    line_end: str


def sniff(path: Path, hints: Dialect) -> Found:
    """Finds out what a file is.

    Args:
        path: The file.
        hints: What is known already.

    Raises:
        SourceError: If nothing can be made of it; the message names the file and the remedy.
    """
    raise NotImplementedError
