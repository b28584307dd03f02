"""Fixtures: a healthy folder that tests break in one place, a lake, and a load of one into the other."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from feed_folder import AS_OF, LINES, LOADED_AT, ORDERS, PRODUCTS, write_csv

from pipelines.lake.tables import Lake
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import IngestReport, ingest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the three required tables, all rows good."""
    path = tmp_path / "feeds"
    path.mkdir()
    write_csv(path / "products.csv", PRODUCTS)
    write_csv(path / "orders.csv", ORDERS)
    write_csv(path / "order_lines.csv", LINES)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in which every table exists."""
    lake = Lake(tmp_path / "lake")
    lake.create()
    return lake


@pytest.fixture
def load(lake: Lake) -> Callable[..., dict[str, IngestReport]]:
    """Loads a folder into the lake, all tables or those up to the one named."""

    def run(
        folder: Path,
        until: str | None = None,
        window: tuple[dt.date, dt.date] | None = None,
        loaded_at: dt.datetime = LOADED_AT,
        **options: str,
    ) -> dict[str, IngestReport]:
        source = Files(folder, **options)
        reports = {}
        for table in source.tables():
            reports[table] = ingest(source, table, lake, as_of=AS_OF, window=window, loaded_at=loaded_at)
            report = reports[table]
            assert report.received == report.accepted + report.quarantined
            if window is None:
                assert lake.read(table).height == report.current
                assert lake.scan_history(table).collect().height == report.history + report.kept
            assert json.loads(lake.report_path(f"ingest/{table}").read_text())["accepted"] == report.accepted
            if table == until:
                break
        return reports

    return run


@pytest.fixture
def loaded(folder: Path, lake: Lake) -> Callable[..., IngestReport]:
    """Loads the folder in a zone, up to a table; gives the report of that table."""

    def run(until: str = "order_lines", zone: str = "Asia/Shanghai") -> IngestReport:
        source = Files(folder, time_zone=zone)
        for table in source.tables():
            report = ingest(source, table, lake, as_of=AS_OF, window=None, loaded_at=LOADED_AT)
            assert report.received == report.accepted + report.quarantined
            assert lake.read(table).height == report.accepted
            if table == until:
                return report
        raise AssertionError(until)

    return run
