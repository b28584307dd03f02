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

    def open(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection in UTC, bounded in memory and threads.

        Raises:
            dg.Failure: The warehouse has not been published yet.
        """
        import duckdb

        if not self.file.exists():
            raise dg.Failure(
                f"the warehouse {self.file} does not exist yet; materialise warehouse/published first"
            )
        connection = duckdb.connect(str(self.file), read_only=True)
        connection.execute("SET memory_limit='2GB'; SET threads=2; SET TimeZone='UTC'")
        return connection
