"""The published warehouse, for reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    import duckdb


class Warehouse:
    """The DuckDB file that readers open.

    Args:
        file: The published file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def published(self) -> Path:
        """The file, for a process that opens it itself.

        Raises:
            dg.Failure: The warehouse has not been published yet.
        """
        if not self.file.exists():
            raise dg.Failure(
                f"the warehouse {self.file} does not exist yet; materialise warehouse/published first"
            )
        return self.file

    def open(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection in UTC, bounded in memory and threads.

        Raises:
            dg.Failure: The warehouse has not been published yet.
        """
        from pipelines.warehouse.reading import connect

        return connect(self.published(), threads=2, memory="2GB")
