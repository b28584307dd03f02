"""Rows with one fault, and what was refused of them."""

from pathlib import Path

from feed_folder import LINES, add_lines, write_csv

from pipelines.lake.tables import Lake
from pipelines.sources.refused.quarantine import read_quarantine


def write(folder: Path, table: str, rows: list[dict[str, str]]) -> Path:
    """Writes a table of a folder."""
    """Writes a table; each order has a line, without which it would be refused."""
    if table == "orders":
        add_lines(folder, *(row["order_id"] for row in rows))
    return write_csv(folder / f"{table}.csv", rows)


def lines_with(column: str, *texts: str) -> list[dict[str, str]]:
    """Lines of one order that differ in one column."""
    zero = {"list_price_cents": "0", "promo_discount_cents": "0", "net_paid_cents": "0"}
    return [{**LINES[0], **zero, "line_no": str(n), column: text} for n, text in enumerate(texts, 1)]


def refused(lake: Lake, table: str) -> list[tuple[str, str]]:
    """Value and reason of what was refused, by line."""
    return read_quarantine(lake, table).sort("line").select("value", "reason").rows()
