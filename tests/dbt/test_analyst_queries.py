"""Every query of docs/analyst.md runs against a built warehouse file and finds something."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "analyst.md"
SECTION = re.compile(r"^## (\d+)\. (.+?)\n\n(.+?)\n\n```sql\n(.+?)```", re.DOTALL | re.MULTILINE)
SECTIONS = SECTION.findall(PAGE.read_text(encoding="utf-8"))


def test_the_page_holds_twenty_numbered_queries_and_no_other_sql() -> None:
    assert [int(number) for number, *_ in SECTIONS] == list(range(1, 21))
    assert PAGE.read_text(encoding="utf-8").count("```sql") == 20


@pytest.mark.parametrize("section", SECTIONS, ids=[title for _, title, *_ in SECTIONS])
def test_the_query_returns_rows(section: tuple[str, ...], warehouse: duckdb.DuckDBPyConnection) -> None:
    *_, sql = section
    assert len(warehouse.sql(sql).fetchall()) >= 1


def test_the_retention_of_the_first_month_is_one(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.sql(SECTIONS[9][3]).fetchall()
    assert {retention for _, month, _, retention in rows if month == 0} == {1.0}
    assert all(0 < retention <= 1 for *_, retention in rows)
