"""Where public data sets lie. They are no part of the product."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MUYUN_BENCH_DATA"


class MissingDataError(FileNotFoundError):
    """A public data set is not there; the message names it and the remedy."""


def public_file(folder: str, name: str) -> Path:
    """A file of a public data set.

    Args:
        folder: Folder of the data set.
        name: File in it.

    Returns:
        Its path in the folder that `MUYUN_BENCH_DATA` names, `../shared/data` beside the repository if none.

    Raises:
        MissingDataError: It is not there.
    """
    default = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get(VARIABLE) or default) / folder / name
    if not path.is_file():
        raise MissingDataError(f"{path} is missing; set {VARIABLE} to the folder that holds {folder}/{name}")
    return path
