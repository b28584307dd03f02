"""A fitted model as a folder: one JSON document, NumPy arrays, Parquet tables and texts; never a pickle.

A bundle is written beside its place and renamed: a crash leaves the old one or none, never half of one. What
the parts mean is the family's business.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from models.errors import BundleError, ModelError

DOCUMENT = "bundle.json"
_ARRAYS = "arrays.npz"
T = TypeVar("T")


@dataclass(frozen=True)
class Bundle:
    """What a folder held.

    Attributes:
        folder: The folder.
        document: What was written as `document`.
        arrays: NumPy arrays by name.
    """

    folder: Path
    document: dict[str, Any]
    arrays: dict[str, np.ndarray[Any, Any]]

    def table(self, name: str) -> pl.DataFrame:
        """A table of the bundle.

        Raises:
            BundleError: It is missing or damaged.
        """
        try:
            return pl.read_parquet(self.folder / f"{name}.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise BundleError(
                f"bundle {self.folder}: table {name} cannot be read ({error}); train again"
            ) from error

    def text(self, name: str) -> str:
        """A text of the bundle, e.g. a booster.

        Raises:
            BundleError: It is missing or damaged.
        """
        try:
            return (self.folder / f"{name}.txt").read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise BundleError(
                f"bundle {self.folder}: text {name} cannot be read ({error}); train again"
            ) from error

    def build(self, make: Callable[[Bundle], T]) -> T:
        """What a family makes of the bundle.

        Raises:
            BundleError: `make` met something that it did not expect.
        """
        try:
            return make(self)
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise BundleError(f"bundle {self.folder} is damaged ({error!r}); train again") from error


def write(
    folder: Path,
    kind: str,
    version: int,
    document: Mapping[str, Any],
    *,
    arrays: Mapping[str, np.ndarray[Any, Any]] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
    texts: Mapping[str, str] | None = None,
    files: Callable[[Path], None] | None = None,
) -> Path:
    """Write a bundle; one that lies there already is replaced.

    Args:
        folder: Where the bundle will lie; parents are made.
        kind: Which model, e.g. `lifecycle_churn`.
        version: Format of this kind; `read` refuses others.
        document: JSON-able settings and small results.
        arrays: By name; no objects.
        tables: By name.
        texts: By name.
        files: Writes what has a format of its own into the folder that it is given.

    Returns:
        `folder`.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if arrays:
        np.savez_compressed(partial / _ARRAYS, **dict(arrays))  # type: ignore[arg-type]
    for name, table in (tables or {}).items():
        table.write_parquet(partial / f"{name}.parquet")
    for name, text in (texts or {}).items():
        (partial / f"{name}.txt").write_text(text, encoding="utf-8")
    if files is not None:
        files(partial)
    whole = {"kind": kind, "format": version, "document": dict(document)}
    (partial / DOCUMENT).write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return folder


def read(folder: Path, kind: str, version: int) -> Bundle:
    """Read a bundle; nothing in it is executed or unpickled.

    Raises:
        BundleError: The folder is missing, unfinished, damaged, or of another kind or format.
    """
    try:
        whole = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        found = whole.get("kind"), whole.get("format")
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {folder} is missing or unfinished ({error}); train again") from error
    if found != (kind, version):
        raise BundleError(
            f"bundle {folder} is {found[0]} format {found[1]}, wanted {kind} format {version}; train again"
        )
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        if (folder / _ARRAYS).exists():
            with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        return Bundle(folder, dict(whole["document"]), arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise BundleError(f"bundle {folder} is damaged ({error!r}); train again") from error
