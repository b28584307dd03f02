"""The lake: Parquet files by table name, written whole or not at all.

What lives here: where each table's files are, how they are written (temporary name, then rename, so a reader
never meets a half-written file), and how they are read back. What does not: rules on rows
(`sources.validation`), what a table means (`sources.contract`), and anything of an orchestrator.

Layout under the root: `accepted/<table>/`, `history/<table>/` (versions of rows that no longer
stand, in the partition of the newest one), `quarantine/<table>/`, `derived/<key>.parquet`,
`published/<version>/`, `reports/`. Daily tables keep one `day=YYYY-MM-DD/part-0.parquet` per day with rows,
promotions one `week=...`. A partitioned table also keeps one file without rows under the year 1, so that
readers by pattern find a schema even when there is no row. The folder key is not a column of the files.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.lake.files import (
    LakeError,
    atomic_path,
    partition_of,
    remove_partition,
    scan_files,
    writer_is_alive,
)
from pipelines.sources.contract import TABLES, ContractTable, contract_table, empty

__all__ = ["NO_ROWS_DAY", "Lake", "LakeError", "atomic_path"]

NO_ROWS_DAY = dt.date.min
"""Folder key of the file without rows that every partitioned table keeps."""

_KEY_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]*(/[A-Za-z0-9_][A-Za-z0-9_.=-]*)*")


class Lake:
    """Reads and writes the Parquet files of one home folder. Opening it touches no file."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def create(self) -> None:
        """Makes every contract table exist, empty where nothing was loaded; clears what killed runs left."""
        for leftover in self.root.rglob(".*.tmp"):
            if writer_is_alive(leftover):
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)
        for table in TABLES.values():
            self._keep_anchor(table)
            if table.has_history:
                self._keep_history_anchor(table)

    # Accepted tables

    def accepted_path(self, table: str) -> Path:
        """Folder of an accepted table."""
        return self.root / "accepted" / contract_table(table).name

    def accepted_files(self, table: str) -> list[Path]:
        """Every Parquet file of an accepted table, in partition order."""
        return sorted(self.accepted_path(table).rglob("*.parquet"))

    def scan(self, table: str) -> pl.LazyFrame:
        """A lazy frame over an accepted table, with the contract's columns; no rows if nothing was loaded."""
        return self._scan_files(table, self.accepted_files(table))

    def scan_days(self, table: str, first_day: dt.date, last_day: dt.date) -> pl.LazyFrame:
        """A lazy frame over the partitions from `first_day` to `last_day`, both included."""
        return self._scan_files(
            table,
            [path for path in self.accepted_files(table) if first_day <= partition_of(path) <= last_day],
        )

    def scan_other_days(self, table: str, first_day: dt.date, last_day: dt.date) -> pl.LazyFrame:
        """A lazy frame over the partitions outside a window, which a load of the window does not replace."""
        return self._scan_files(
            table,
            [path for path in self.accepted_files(table) if not first_day <= partition_of(path) <= last_day],
        )

    def read(self, table: str, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """An accepted table in memory.

        Args:
            table: Contract table.
            columns: Columns to read; all if None.
        """
        frame = self.scan(table)
        return (frame if columns is None else frame.select(list(columns))).collect()

    def days(self, table: str) -> list[dt.date]:
        """Partition days (or week starts) of a partitioned table that have rows, ascending."""
        if not contract_table(table).is_partitioned:
            raise LakeError(f"table '{table}' is kept in one file and has no days")
        return [day for path in self.accepted_files(table) if (day := partition_of(path)) != NO_ROWS_DAY]

    def replace(self, table: str, frame: pl.DataFrame) -> None:
        """Replaces a table that is kept in one file.

        Raises:
            LakeError: If the table is partitioned, the columns differ from the contract, or the disk is full.
        """
        contract = contract_table(table)
        if contract.is_partitioned:
            raise LakeError(f"table '{table}' is partitioned; use replace_days or replace_week_file")
        self._write(_conform(frame, contract).sort(contract.key), self._anchor(contract))

    def replace_days(
        self,
        table: str,
        frame: pl.DataFrame,
        time_column: str | None = None,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
    ) -> None:
        """Replaces the daily partitions of a window: days with rows are written, the others removed.

        Args:
            table: A table with daily partitions.
            frame: Its rows; may carry the time column when that belongs to the parent (order lines).
            time_column: Time that decides the UTC day; the contract's own if None.
            first_day: First day of the window; open if None.
            last_day: Last day of the window, included; open if None.

        Raises:
            LakeError: If a row lies outside the window, the columns differ, or the disk is full.
        """
        contract = contract_table(table)
        if not contract.is_partitioned or contract.is_weekly:
            raise LakeError(f"table '{table}' has no daily partitions; use replace or replace_week_file")
        time_column = time_column or contract.time_column
        low, high = first_day or dt.date.min, last_day or dt.date.max
        keyed = frame.with_columns(pl.col(str(time_column)).dt.date().alias("_day"))
        outside = keyed.filter(~pl.col("_day").is_between(low, high)).height
        if outside or keyed["_day"].null_count():
            raise LakeError(
                f"{outside} rows of '{table}' lie outside {low} to {high}; load them with their own window"
            )
        rows = _conform(keyed, contract, extra=("_day",)).sort("_day", *contract.key)
        folder = self.accepted_path(table)
        self._keep_anchor(contract)
        written = set()
        for (day,), part in rows.partition_by("_day", as_dict=True, include_key=False).items():
            self._write(part, folder / f"day={day}" / "part-0.parquet")
            written.add(day)
        for path in self.accepted_files(table):
            day = partition_of(path)
            if low <= day <= high and day not in written and day != NO_ROWS_DAY:
                remove_partition(path)

    def replace_week_file(self, table: str, frame: pl.DataFrame, week: dt.date) -> None:
        """Replaces one weekly partition, rows in their order; a frame without rows removes it.

        Raises:
            LakeError: If the table is not weekly, the columns differ from the contract, or the disk is full.
        """
        contract = contract_table(table)
        if not contract.is_weekly:
            raise LakeError(f"table '{table}' has no weekly partitions; use replace or replace_days")
        self._keep_anchor(contract)
        path = self.accepted_path(table) / f"week={week}" / "part-0.parquet"
        if frame.height:
            self._write(_conform(frame, contract), path)
        elif path.exists():
            remove_partition(path)

    def remove_weeks(self, table: str, weeks: Iterable[dt.date]) -> None:
        """Removes weekly partitions that a load did not write again."""
        for week in weeks:
            self.replace_week_file(table, empty(table), week)

    # Versions that no longer stand

    def history_path(self, table: str) -> Path:
        """Folder of the versions of a table that no longer stand."""
        return self.root / "history" / contract_table(table).name

    def history_files(self, table: str) -> list[Path]:
        """Every Parquet file of a table's history, in partition order."""
        return sorted(self.history_path(table).rglob("*.parquet"))

    def scan_history(
        self, table: str, first_day: dt.date = dt.date.min, last_day: dt.date = dt.date.max
    ) -> pl.LazyFrame:
        """A lazy frame over versions that no longer stand, where the newest one lies in a window."""
        contract = contract_table(table)
        files = [
            path
            for path in self.history_files(table)
            if not contract.is_partitioned or first_day <= partition_of(path) <= last_day
        ]
        return scan_files(files, dict(contract.history_dtypes))

    def replace_history(
        self,
        table: str,
        frame: pl.DataFrame,
        time_column: str,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
    ) -> None:
        """Replaces the history of a window of days, or of a table that is kept in one file.

        Args:
            table: A table with a history.
            frame: `history_dtypes` and the time column.
            time_column: Time that decides the UTC day: that of the newest version of the row.
            first_day: First day of the window; open if None.
            last_day: Last day of the window, included; open if None.
        """
        contract = contract_table(table)
        if not contract.has_history:
            return
        self._keep_history_anchor(contract)
        columns = [pl.col(name).cast(dtype) for name, dtype in contract.history_dtypes.items()]
        keyed = frame.select(*columns, pl.col(time_column).dt.date().alias("_day")).sort(
            *contract.key, "superseded_at", "received_at", nulls_last=True
        )
        if not contract.is_partitioned:
            self._write(keyed.drop("_day"), self._history_anchor(contract))
            return
        low, high = first_day or dt.date.min, last_day or dt.date.max
        written = set()
        for (day,), part in keyed.partition_by("_day", as_dict=True, include_key=False).items():
            self._write(part, self.history_path(table) / f"day={day}" / "part-0.parquet")
            written.add(day)
        for path in self.history_files(table):
            day = partition_of(path)
            if low <= day <= high and day not in written and day != NO_ROWS_DAY:
                remove_partition(path)

    def forget_elsewhere(self, table: str, keys: pl.DataFrame, first_day: dt.date, last_day: dt.date) -> None:
        """Removes rows and versions with these keys from the daily partitions outside a window."""
        for files, schema in (
            (self.accepted_files(table), dict(contract_table(table).dtypes)),
            (self.history_files(table), dict(contract_table(table).history_dtypes)),
        ):
            for path in files:
                if first_day <= partition_of(path) <= last_day:
                    continue
                key = keys.columns
                rows = scan_files([path], schema)
                if not rows.select(key).join(keys.lazy(), on=key, how="semi").head(1).collect().height:
                    continue
                left = rows.join(keys.lazy(), on=key, how="anti", maintain_order="left").collect()
                if left.height:
                    self._write(left, path)
                else:
                    remove_partition(path)

    # Quarantine

    def quarantine_path(self, table: str) -> Path:
        """Folder of the quarantined rows of a table."""
        return self.root / "quarantine" / contract_table(table).name

    def write_quarantine(
        self, table: str, frame: pl.DataFrame, load: str | None = None, part: int = 0
    ) -> None:
        """Writes quarantined rows of one load.

        Args:
            table: Contract table.
            frame: Rows in the quarantine schema.
            load: Name of a windowed load; None for a load of the whole table.
            part: Number of the file, for loads that quarantine too much for one.
        """
        self._write(frame, self.quarantine_path(table) / f"{load or 'all'}-part-{part}.parquet")

    def keep_quarantine_parts(self, table: str, parts: int, load: str | None = None) -> None:
        """Removes what a load replaces: its own surplus files, and for a whole load those of every window."""
        kept = {f"{load or 'all'}-part-{part}.parquet" for part in range(parts)}
        for path in self.quarantine_path(table).glob(
            "*.parquet" if load is None else f"{load}-part-*.parquet"
        ):
            if path.name not in kept:
                path.unlink()

    def read_quarantine(self, table: str) -> pl.DataFrame:
        """Every quarantined row of a table; an empty frame without columns if no load has run."""
        files = sorted(self.quarantine_path(table).glob("*.parquet"))
        frames = [pl.read_parquet(path) for path in files]
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()

    # Frames between steps

    def derived_path(self, key: str) -> Path:
        """File of a named frame, such as 'features/user_tags'."""
        return self.root / "derived" / f"{_checked(key)}.parquet"

    def put(self, key: str, frame: pl.DataFrame) -> Path:
        """Writes a named frame, replacing the one before; rows keep their order."""
        path = self.derived_path(key)
        self._write(frame, path)
        return path

    def get(self, key: str) -> pl.DataFrame:
        """Reads a named frame.

        Raises:
            LakeError: If no step has written it.
        """
        return self.scan_key(key).collect()

    def scan_key(self, key: str) -> pl.LazyFrame:
        """A lazy frame over a named frame.

        Raises:
            LakeError: If no step has written it.
        """
        path = self.derived_path(key)
        if not path.exists():
            raise LakeError(f"'{key}' has not been written yet ({path}); run the step that makes it first")
        return pl.scan_parquet(path, hive_partitioning=False)

    # Published versions and reports

    def published_dir(self, version: str) -> Path:
        """Folder of one published version."""
        return self.root / "published" / _checked(version)

    def published_path(self, version: str, table: str) -> Path:
        """File of one table of a published version."""
        return self.published_dir(version) / f"{_checked(table)}.parquet"

    def write_published(self, version: str, table: str, frame: pl.DataFrame) -> Path:
        """Writes one table of a published version; rows keep their order."""
        path = self.published_path(version, table)
        self._write(frame, path)
        return path

    def report_path(self, key: str) -> Path:
        """File of a JSON report, such as 'ingest/orders'."""
        return self.root / "reports" / f"{_checked(key)}.json"

    def write_report(self, key: str, content: dict[str, Any]) -> Path:
        """Writes a JSON report, replacing the one before."""
        path = self.report_path(key)
        text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return path

    def read_report(self, key: str) -> dict[str, Any] | None:
        """A JSON report, or None if there is none."""
        path = self.report_path(key)
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    # How files are laid out

    def _anchor(self, table: ContractTable) -> Path:
        folder = self.accepted_path(table.name)
        if not table.is_partitioned:
            return folder / "part-0.parquet"
        return folder / f"{'week' if table.is_weekly else 'day'}={NO_ROWS_DAY}" / "part-0.parquet"

    def _keep_anchor(self, table: ContractTable) -> None:
        self._keep(self._anchor(table), dict(table.dtypes), table.is_partitioned)

    def _history_anchor(self, table: ContractTable) -> Path:
        day = (f"day={NO_ROWS_DAY}",) if table.is_partitioned else ()
        return self.history_path(table.name).joinpath(*day, "part-0.parquet")

    def _keep_history_anchor(self, table: ContractTable) -> None:
        self._keep(self._history_anchor(table), dict(table.history_dtypes), table.is_partitioned)

    def _keep(self, anchor: Path, schema: dict[str, pl.DataType], is_partitioned: bool) -> None:
        """Keeps the file that gives readers the schema; one of an older contract is written anew."""
        is_stale = is_partitioned and anchor.exists() and pl.read_parquet_schema(anchor) != schema
        if is_stale or not anchor.exists():
            self._write(pl.DataFrame(schema=schema), anchor)

    def _scan_files(self, table: str, files: list[Path]) -> pl.LazyFrame:
        return scan_files(files, dict(contract_table(table).dtypes))

    def _write(self, frame: pl.DataFrame, path: Path) -> None:
        with atomic_path(path) as temporary:
            frame.write_parquet(temporary, compression="zstd", compression_level=3, statistics=True)


def _conform(frame: pl.DataFrame, table: ContractTable, extra: tuple[str, ...] = ()) -> pl.DataFrame:
    missing = [name for name in table.columns if name not in frame.columns]
    if missing:
        raise LakeError(f"rows for '{table.name}' lack the columns {', '.join(missing)}")
    chosen = frame.select(*table.columns, *extra)
    wrong = [
        f"{name} is {chosen.schema[name]} instead of {dtype}"
        for name, dtype in table.dtypes.items()
        if chosen.schema[name] != dtype
    ]
    if wrong:
        raise LakeError(f"rows for '{table.name}' have wrong types: {'; '.join(wrong)}")
    return chosen


def _checked(key: str) -> str:
    if not _KEY_PATTERN.fullmatch(key):
        raise LakeError(
            f"'{key}' is not a usable name: letters, digits, '_', '-', '.', '=' and '/' between parts"
        )
    return key
