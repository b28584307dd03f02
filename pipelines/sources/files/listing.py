"""Which files of a folder belong to which table, and which files are not read and why.

A file belongs to a table by its name (`orders.csv`, `ORDERS.CSV`, `orders.csv.gz`), by lying in a folder of
that name, or because `muyun.yaml` says so. Nothing is left out in silence: what is not read is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.sources.contract import TABLES, SourceError
from pipelines.sources.files.form import SUFFIXES, kind_of_file, stem_of_file
from pipelines.sources.mapping.document import FILE_NAME

_STRANGERS_NAMED = 20
_UNFINISHED = (".crdownload", ".part", ".partial", ".tmp", ".download", ".swp", ".lock")
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "ehthumbs.db", ".ds_store")
_PACKED = (".zip", ".rar", ".7z", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".z")
_FOREIGN = (
    ".db", ".sqlite", ".accdb", ".mdb", ".sql", ".dbf", ".feather", ".arrow", ".avro", ".orc", ".xml",
    ".html", ".htm", ".numbers", ".et", ".pkl", ".rds", ".dta", ".sav", ".dat", ".gz",
)  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """What lies in a folder.

    Attributes:
        files: The files of each table that has some, in the order in which they are read.
        left_out: Files that are not read, by the table they lie at, each with the reason.
        unmatched: Names in the folder that belong to no table, such as a misspelt one.
    """

    files: Mapping[str, tuple[Path, ...]]
    left_out: Mapping[str, tuple[str, ...]]
    unmatched: tuple[str, ...]


def list_folder(folder: Path, named: Mapping[str, tuple[Path, ...]], own: frozenset[str]) -> Listing:
    """Lists a folder.

    Args:
        folder: The folder.
        named: Files that the owner names for a table; they stand for all of its files.
        own: Names in the folder that are no data.

    Raises:
        SourceError: If there is no such folder, or a table's folder holds data in a form that is not read.
    """
    if not folder.is_dir():
        raise SourceError(f"the source folder {folder} does not exist; create it or change the setting")
    files: dict[str, list[Path]] = {table: list(paths) for table, paths in named.items()}
    left_out: dict[str, list[str]] = {}
    unmatched: list[str] = []
    taken = {path for paths in named.values() for path in paths}
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.name in own or path in taken:
            continue
        table = _table_of(path)
        if table is None:
            unmatched += _strangers(path, folder, taken)
            continue
        for part in _parts(path):
            name = str(part.relative_to(folder))
            why = None if part in taken else _why_left_out(part, path, name, is_named=table in named)
            if why is not None:
                left_out.setdefault(table, []).append(f"{name} ({why})")
            elif part not in taken:
                files.setdefault(table, []).append(part)
    return Listing(
        {table: tuple(paths) for table, paths in files.items()},
        {table: tuple(names) for table, names in left_out.items()},
        tuple(unmatched),
    )


def _parts(path: Path) -> list[Path]:
    """A file, or all files below a folder, in name order."""
    return sorted(part for part in path.rglob("*") if not part.is_dir()) if path.is_dir() else [path]


def _why_left_out(path: Path, top: Path, name: str, *, is_named: bool) -> str | None:
    """Why a file that lies where a table's files lie is not read; None for those that are.

    Raises:
        SourceError: If it most likely holds rows, in a form that is not read.
    """
    inside = path.relative_to(top).parts
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in inside)
    why = why_not_read(path) or ("hidden file" if is_hidden else None)
    if why is not None:
        return why
    if is_named:
        return f"{FILE_NAME} names other files"
    if kind_of_file(path) is not None and path.is_file():
        return None
    _refuse_data(path, name)
    return f"not a table: {path.suffix or 'no suffix'}"


def _strangers(path: Path, folder: Path, taken: set[Path]) -> list[str]:
    """Names of what belongs to no table: a file, or a folder with the first of its files."""
    if not path.is_dir():
        why = why_not_read(path)
        return [path.name if why is None else f"{path.name} ({why})"]
    inside = [str(part.relative_to(folder)) for part in _parts(path) if part not in taken]
    if len(inside) > _STRANGERS_NAMED:
        return [*inside[:_STRANGERS_NAMED], f"and {len(inside) - _STRANGERS_NAMED} more in {path.name}/"]
    return inside


def why_not_read(path: Path) -> str | None:
    """Why a file is never data: hidden, a lock, not finished, or left behind by a system; None for others."""
    name = path.name.lower()
    if name in _LEFT_BEHIND:
        return "left behind by the system"
    if name.startswith((".~lock", "~$")) or name.endswith(".lock"):
        return "a lock of an open document"
    if name.startswith(".") or name.endswith("~"):
        return "hidden file"
    if name.endswith(_UNFINISHED):
        return "a download that is not finished"
    return None


def _table_of(path: Path) -> str | None:
    """The table a name speaks of, whatever stands around it to say that the file is not data."""
    name = path.name.lower()
    if path.is_dir():
        return name if name in TABLES else None
    bare = re.sub(r"^(?:\.~lock\.|~\$|\.)", "", name).rstrip("#~")
    for end in _UNFINISHED:
        bare = bare.removesuffix(end)
    stem = stem_of_file(Path(bare))
    return stem if stem in TABLES else None


def _refuse_data(path: Path, name: str) -> None:
    """Raises when a file in a table's folder most likely holds rows in a form that is not read."""
    suffix = path.suffix.lower()
    if suffix in _PACKED:
        raise SourceError(f"{name} is packed ({suffix}); unpack it there, or pack each file with gzip (.gz)")
    if not path.is_file():
        raise SourceError(f"{name} is no file, or a link that leads nowhere; put the file itself there")
    if suffix in _FOREIGN and kind_of_file(path) is None:
        kinds = ", ".join(SUFFIXES)
        raise SourceError(
            f"{name} is no kind of file that can be read; export it as one of {kinds} (each also .gz), "
            f"or move it out of the folder"
        )
