"""Every column of the contract for people: the last section of `docs/data-contract.md`.

Run `python -m pipelines.sources.columns_page` in the repository after a change of the schemas; a test fails
while the committed page is not current. What stands above the section is written by hand.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipelines.sources.contract import LOAD_COLUMNS, TABLES, ContractTable

PAGE_FILE = Path(__file__).resolve().parents[2] / "docs" / "data-contract.md"
HEADING = "## Every column"

_DERIVED = {"state": "told from `status`", "received_at": "the time of the event"}
"""Columns that nobody has to write, and what stands there then."""


def section() -> str:
    """The section as Markdown: a part for each table, a row for each column."""
    out = [
        HEADING,
        "",
        "Generated from `pipelines/sources/schemas` by `python -m pipelines.sources.columns_page`; do not",
        "edit from here on. A required column must have a value in every row. A column with a default, and",
        "an optional one, may be left out of a file. Amounts may be written in units with decimals where",
        "`muyun.yaml` says `money: major`. Times without an offset are of the zone that `muyun.yaml` or",
        "`MUYUN_TIME_ZONE` names.",
        "",
    ]
    for contract in TABLES.values():
        if not contract.is_book:
            out += _table(contract)
    return "\n".join(out)


def _table(contract: ContractTable) -> list[str]:
    required = " Required." if contract.is_required else ""
    return [
        f"### {contract.name}",
        "",
        f"{contract.description} Key: {', '.join(f'`{name}`' for name in contract.key)}.{required}",
        "",
        "| column | type | unit | needed | example | meaning |",
        "|---|---|---|---|---|---|",
        *(_row(contract, name) for name in contract.columns if name != "origin"),
        "",
    ]


def _row(contract: ContractTable, name: str) -> str:
    facts = contract.schema.columns()[name].metadata or {}
    written = str(facts.get("file_column", name))
    kind = "decimal, up to 3 places" if "scale" in facts else _kind(contract.dtypes[name])
    cells = (
        f"`{written}`",
        kind,
        str(facts.get("unit", "")),
        _needed(contract, name, facts.get("default")),
        f"`{facts['example']}`" if "example" in facts else "",
        contract.column_descriptions[name]
        .removesuffix(", in cents")
        .removesuffix(", in thousandths of the unit of sale"),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _needed(contract: ContractTable, name: str, default: object) -> str:
    if name in _DERIVED:
        return f"default: {_DERIVED[name]}"
    if default is not None:
        return f"default: {default}"
    return "optional" if name in contract.nullable and name not in LOAD_COLUMNS else "**required**"


def _kind(dtype: pl.DataType) -> str:
    if dtype == pl.String:
        return "text"
    if dtype.is_integer():
        return "whole number"
    if dtype.is_float():
        return "number"
    if dtype == pl.Boolean:
        return "true or false"
    return "date" if dtype == pl.Date else "time"


def page(current: str) -> str:
    """The whole page with a fresh section.

    Args:
        current: The page as it is.
    """
    return current.split(f"\n{HEADING}\n")[0].rstrip() + "\n\n" + section()


if __name__ == "__main__":
    PAGE_FILE.write_text(page(PAGE_FILE.read_text(encoding="utf-8")), encoding="utf-8")
