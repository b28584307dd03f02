"""Guesses: which column of a file is which column of the contract, and which table a file is. Names only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from pipelines.sources.contract import TABLES, contract_table
from pipelines.sources.mapping.names import file_columns

UNIT_PRICE = "unit_price"
"""A guess that is no column of the contract: the price of one unit, from which a line's amount is made."""

_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")
_BETWEEN = re.compile(r"[\s_\-./:#]+")


def folded(name: str) -> str:
    """A name as it is compared: no case, blanks, signs, width or unit in brackets."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return _BETWEEN.sub("", _BRACKETS.sub("", text)) or _BETWEEN.sub("", text)


@cache
def _synonyms() -> Mapping[str, Mapping[str, Sequence[str]]]:
    text = files("pipelines.check_data").joinpath("synonyms.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@cache
def known_headers() -> frozenset[str]:
    """Every name that a header may have, as written in the list and in the contract."""
    names = {name for table in TABLES for name in file_columns(table)}
    for table, columns in _synonyms().items():
        if table != "channels":
            names |= {str(word) for words in columns.values() for word in words}
    return frozenset(names)


@cache
def channel_words() -> Mapping[str, str]:
    """Words of sales channels, folded, to the contract's."""
    return {
        folded(str(word)): channel for channel, words in _synonyms()["channels"].items() for word in words
    }


@cache
def _candidates(table: str) -> Mapping[str, tuple[str, ...]]:
    """For each column of a table the names it may have in a file, best first, folded."""
    general, special = _synonyms()["all"], _synonyms().get(table, {})
    columns = list(file_columns(table))
    columns += [UNIT_PRICE] if table == "order_lines" else []
    columns += ["changed_at"]
    return {
        column: tuple(
            dict.fromkeys(
                folded(word) for word in (column, *special.get(column, ()), *general.get(column, ()))
            )
        )
        for column in columns
    }


def guess(table: str, columns: Sequence[str]) -> dict[str, str]:
    """Column of the contract (or `unit_price`, `changed_at`) to the column of a file that seems to be it.

    Names of the contract come first, then the plainer a name the later; no column of the file is used twice.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(folded(column), column)
    found: dict[str, str] = {}
    used: set[str] = set()
    wanted = _candidates(table)
    for exact in (True, False):
        for column, names in wanted.items():
            if column in found:
                continue
            for name in names[:1] if exact else names[1:]:
                match = by_name.get(name)
                if match is not None and match not in used:
                    found[column] = match
                    used.add(match)
                    break
    return found


@dataclass(frozen=True)
class Feed:
    """One table that a file seems to feed.

    Attributes:
        table: Contract table.
        columns: Column of the contract to column of the file.
        one_row_per: Columns of which the file repeats the values.
    """

    table: str
    columns: Mapping[str, str]
    one_row_per: tuple[str, ...] = ()


def is_order_lines(columns: Mapping[str, str]) -> bool:
    """Whether guesses make a table of order lines."""
    amount = "net_paid_cents" in columns or UNIT_PRICE in columns
    return {"order_id", "sku_id"} <= columns.keys() and ("qty" in columns or amount)


def feeds_of(columns: Sequence[str]) -> tuple[Feed, ...]:
    """Tables that a file with these columns seems to feed, by its columns alone; none if it fits no table.

    A file of order lines that also says when the order was placed can feed the orders and the products too.
    """
    lines = guess("order_lines", columns)
    products = guess("products", columns)
    if "sku_id" not in lines and "title" in products:
        lines["sku_id"] = products["title"]
        products["sku_id"] = products["title"]
    orders = guess("orders", columns)
    if is_order_lines(lines):
        found = [Feed("order_lines", lines)]
        if "placed_at" in orders:
            found.append(Feed("orders", _without_amounts(orders), ("order_id",)))
        return (*found, Feed("products", products, ("sku_id",)))
    if {"order_id", "placed_at"} <= orders.keys():
        return (Feed("orders", orders),)
    if "order_id" in orders:
        return ()
    best = max((feed for feed in map(_as_feed(columns), TABLES) if feed), key=_fit, default=None)
    return (best,) if best else ()


def _without_amounts(orders: Mapping[str, str]) -> dict[str, str]:
    """Columns of an order made of lines; amounts of a line are no amounts of the order."""
    return {column: name for column, name in orders.items() if not column.endswith("_cents")}


def _as_feed(columns: Sequence[str]) -> Any:
    def feed(table: str) -> Feed | None:
        contract = contract_table(table)
        if contract.is_book or table in ("orders", "order_lines"):
            return None
        found = guess(table, columns)
        return Feed(table, found) if needed(table) <= found.keys() and len(found) > 1 else None

    return feed


def needed(table: str) -> frozenset[str]:
    """Columns without which no row of a table can be accepted, as files write them."""
    contract = contract_table(table)
    schema = contract.schema.columns()
    written = {name: file for file, name in file_columns(table).items()}
    return frozenset(
        written[name]
        for name in contract.columns
        if name in written
        and name not in contract.nullable
        and name not in ("received_at", "state")
        and (schema[name].metadata or {}).get("default") is None
    )


def _fit(feed: Feed) -> tuple[int, int]:
    return len(needed(feed.table)), len(feed.columns)
