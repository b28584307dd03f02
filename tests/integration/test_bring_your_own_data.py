"""docs/bring-your-own-data.md, walked from its first line to its last: every file it shows, every command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "bring-your-own-data.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, `make` replaced by what the Makefile does."""
    words = shlex.split(line)
    settings = {"MUYUN_HOME": str(folder / "var"), "PYTHONPATH": str(REPOSITORY)}
    while "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        settings[name] = value
    program, command, *rest = words
    if program == "make":
        settings |= {f"MUYUN_{name}": value for name, value in (word.split("=", 1) for word in rest)}
        rest = []
    else:
        assert program == "muyun", line
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MUYUN_", "DAGSTER_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", command, *rest],
        cwd=folder,
        env=inherited | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_of_the_page_does_what_it_says(private_folder: Path) -> None:
    (private_folder / "shop").mkdir()
    ran = []
    for kind, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "csv":
            (private_folder / "shop" / "export.csv").write_text(text, encoding="utf-8")
        elif kind == "yaml":
            guessed = yaml.safe_load((private_folder / "shop" / "muyun.yaml").read_text(encoding="utf-8"))
            said = yaml.safe_load(text)
            # What the page completes by hand is what nobody can guess; the guesses themselves hold.
            for table in ("orders", "order_lines", "products"):
                for column, source in guessed[table]["columns"].items():
                    assert said[table]["columns"][column] == source
            (private_folder / "shop" / "muyun.yaml").write_text(text, encoding="utf-8")
        elif kind == "sh":
            for line in text.strip().splitlines():
                done = _run(line, private_folder)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                ran.append(line)
    assert ran == [
        "make check-data DATA=shop",
        "make check-data DATA=shop",
        "make run DATA=shop",
        "muyun template example",
        "muyun check-data example",
    ]
    assert (private_folder / "var" / "report" / "index.html").is_file()
    with duckdb.connect(
        str(private_folder / "var" / "warehouse" / "muyun.duckdb"), read_only=True
    ) as warehouse:
        assert warehouse.sql(
            "select sum(net_paid_cents), sum(orders), sum(guest_net_paid_cents) from analyst.mart_sales_daily"
        ).fetchone() == (6795, 3, 2390)
        lines = warehouse.sql(
            "select sku_id, is_merchandise, qty, is_return from core.fct_order_lines "
            "where sku_id = 'POST' or is_return"
        ).fetchall()
        assert sorted(lines) == [("10002", True, -2.0, True), ("POST", False, 1.0, False)]


def test_every_key_of_the_document_is_explained() -> None:
    from pipelines.sources.mapping.model import Document, TableDocument

    keys = {*Document.model_fields, *TableDocument.model_fields} - {"tables"}
    table = PAGE.read_text(encoding="utf-8").split("## The keys of muyun.yaml")[1]
    explained = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert keys - explained == set()


@pytest.mark.parametrize("name", ["docs/data-contract.md"])
def test_the_page_is_linked(name: str) -> None:
    assert "bring-your-own-data.md" in (REPOSITORY / name).read_text(encoding="utf-8")
