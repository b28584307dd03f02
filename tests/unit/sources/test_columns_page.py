"""The list of columns in docs/data-contract.md is complete and current."""

from pipelines.sources.columns_page import PAGE_FILE, page, section
from pipelines.sources.contract import TABLES


def test_the_page_is_current() -> None:
    current = PAGE_FILE.read_text(encoding="utf-8")
    assert page(current) == current, "run python -m pipelines.sources.columns_page"


def test_every_column_that_a_file_may_have_is_listed_with_an_example() -> None:
    parts = {part.splitlines()[0]: part for part in section().split("\n### ")[1:]}
    assert set(parts) == {name for name, table in TABLES.items() if not table.is_book}
    for name, part in parts.items():
        rows = [line for line in part.splitlines() if line.startswith("| `")]
        assert len(rows) == len(TABLES[name].columns) - 1  # not origin
        assert all(len(row.split(" | ")) == 6 and row.split(" | ")[4].startswith("`") for row in rows)


def test_units_defaults_and_needs_are_told() -> None:
    text = section()
    assert "| `qty` | decimal, up to 3 places | units of sale in files | **required** | `1.25` |" in text
    assert "| `freight_cents` | whole number | minor units (cents, fen) | default: 0 | `1999` |" in text
    assert "| `consumer_id` | text |  | optional | `c-1001` | who bought; null for a guest |" in text
    assert "settlement_legs" not in text  # nobody hands in the platform's own books
