"""A first `muyun.yaml` for a folder, guessed from the names of its columns and its first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl
import yaml

from pipelines.check_data.headers import UNIT_PRICE, Feed, channel_words, feeds_of, folded, guess
from pipelines.check_data.look import Look
from pipelines.sources.contract import INGEST_ORDER
from pipelines.sources.mapping.columns import as_text
from pipelines.sources.schemas.trade import CHANNELS
from pipelines.sources.states import states

_SIGNS = {"£": "GBP", "€": "EUR", "￥": "CNY", "¥": "CNY", "元": "CNY", "$": "USD"}
_FALLBACKS: Mapping[str, Mapping[str, str]] = {
    "consumers": {"merchant_id": "shop", "consent_marketing": "false", "consent_profiling": "true"},
    "suppliers": {"channel": "other", "region_code": "unknown", "is_active": "true"},
    "merchants": {"scene": "general", "region_code": "unknown"},
    "products": {},
}
"""What is put into required columns that a file does not have and for which there is an honest answer."""


@dataclass
class Said:
    """What the suggestion says of one table."""

    files: list[str] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    one_row_per: tuple[str, ...] = ()
    money: str | None = None
    changed_at: str | None = None
    remarks: list[str] = field(default_factory=list)


class Guess(NamedTuple):
    """Something that was guessed.

    Attributes:
        key: Name of the text that says it (group `guess` of the messages).
        table: Table of the contract; empty where it is about a file.
        column: Column of the contract; empty where it is about a table.
        source: Column of the file, or columns.
        file: The file.
    """

    key: str
    table: str = ""
    column: str = ""
    source: str = ""
    file: str = ""


@dataclass(frozen=True)
class Suggestion:
    """A first document.

    Attributes:
        text: The YAML.
        guesses: What was guessed.
        unmatched: Files that fit no table.
    """

    text: str
    guesses: tuple[Guess, ...]
    unmatched: tuple[str, ...]


def suggest(looks: Sequence[Look]) -> Suggestion:
    """The document that the files ask for.

    Args:
        looks: Every file that was looked at.
    """
    said: dict[str, Said] = {}
    guesses: list[Guess] = []
    unmatched: list[str] = []
    readable = [look for look in looks if look.columns]
    found = {look.name: _feeds(look) for look in readable}
    own = {look.table for look in readable if look.table is not None}
    own |= {feed.table for feeds in found.values() for feed in feeds if not feed.one_row_per}
    for look in readable:
        if not found[look.name]:
            unmatched.append(look.name)
        for feed in found[look.name]:
            # Orders and products are made of lines only where no file of their own was found.
            if not feed.one_row_per or feed.table not in own:
                _take(said.setdefault(feed.table, Said()), feed, look, guesses)
    return Suggestion(_document(said, _currency(readable)), tuple(dict.fromkeys(guesses)), tuple(unmatched))


def _feeds(look: Look) -> tuple[Feed, ...]:
    if look.table is not None:
        return (Feed(look.table, guess(look.table, look.columns)),)
    return feeds_of(look.columns)


def _take(said: Said, feed: Feed, look: Look, guesses: list[Guess]) -> None:
    if look.table is None:
        said.files.append(look.name)
        guesses.append(Guess("feeds", feed.table, file=look.name))
    said.one_row_per = said.one_row_per or feed.one_row_per
    for column, source in feed.columns.items():
        if column == "changed_at":
            said.changed_at = source
        elif column == UNIT_PRICE:
            _from_price(said, feed, source, look, guesses)
        elif column == "title" and feed.one_row_per:
            said.columns[column] = _title(feed, source)
        elif column != source:
            said.columns.setdefault(column, source)
            guesses.append(Guess("column", feed.table, column, source, look.name))
    for column, word in _FALLBACKS.get(feed.table, {}).items():
        if column not in feed.columns:
            said.constants.setdefault(column, word)
    if feed.table == "order_lines" and "qty" not in feed.columns:
        said.constants["qty"] = "1"
        guesses.append(Guess("one_each", feed.table, "qty", file=look.name))
    said.money = said.money or _money(feed, look, guesses)
    _words(said, feed, look)


def _title(feed: Feed, source: str) -> Any:
    """The first filled of the title and the id: a line of an export may come without a title."""
    sku = feed.columns.get("sku_id", source)
    return source if sku == source else {"first_of": [source, sku]}


def _from_price(said: Said, feed: Feed, price: str, look: Look, guesses: list[Guess]) -> None:
    if "net_paid_cents" in feed.columns:
        return
    quantity = feed.columns.get("qty")
    said.columns["net_paid_cents"] = {"product": [quantity, price]} if quantity else price
    source = f"{quantity} x {price}" if quantity else price
    guesses.append(Guess("column", feed.table, "net_paid_cents", source, look.name))


def _money(feed: Feed, look: Look, guesses: list[Guess]) -> str | None:
    """Whether amounts are in units with decimals, by the first rows; None if no amount was renamed."""
    amounts = [
        source
        for column, source in feed.columns.items()
        if (column.endswith("_cents") and column != source) or column == UNIT_PRICE
    ]
    if not amounts:
        return None
    minor = all(folded(name).endswith(("cents", "fen", "分")) or "(分)" in name for name in amounts)
    guesses.append(Guess("minor" if minor else "major", feed.table, file=look.name))
    return "minor" if minor else "major"


def _words(said: Said, feed: Feed, look: Look) -> None:
    """Channels of the file as channels of the contract; a word that says none of them is `other`."""
    if feed.table != "orders":
        return
    status = _distinct(look, feed.columns.get("status"))
    unknown = [word for word, state in zip(status, states(status, {}), strict=True) if state is None]
    if unknown:
        said.remarks.append(
            "unknown words of `status`; say what each is: unpaid, paid, cancelled or refunded, like\n"
            f"#   values: {{status: {{{unknown[0]}: paid}}}}; the words: {', '.join(unknown)}"
        )
    source = feed.columns.get("channel")
    known = channel_words()
    mapped = {
        word: known.get(folded(word), "other") for word in _distinct(look, source) if word not in CHANNELS
    }
    if mapped:
        said.values.setdefault("channel", {}).update(mapped)


def _distinct(look: Look, source: str | None) -> pl.Series:
    """The different values of a column in the first rows, as text."""
    if source is None or source not in look.sample.columns:
        return pl.Series([], dtype=pl.String)
    return as_text(look.sample[source]).drop_nulls().unique().sort()


def _currency(looks: Sequence[Look]) -> str | None:
    for look in looks:
        texts = [
            look.sample[name].head(200)
            for name in look.sample.columns
            if look.sample.schema[name] == pl.String
        ]
        content = " ".join([*look.columns, *(value for text in texts for value in text.drop_nulls())])
        for sign, code in _SIGNS.items():
            if sign in content:
                return code
    return None


def _document(said: Mapping[str, Said], currency: str | None) -> str:
    lines = [
        "# How Muyun reads the files of this folder. Guessed by `muyun check-data`: please look it over.",
        "# Every key is explained in docs/bring-your-own-data.md.",
        "",
        f"currency: {currency}" if currency else "# currency: CNY        # ISO code of every amount",
        "# time_zone: Asia/Shanghai   # IANA name, for times without an offset",
        "# day_first: true            # 02/11/2026 is the second of November",
        "# guests: ['', '0', guest]   # values of a consumer column that mean nobody",
        "# not_merchandise: {skus: [POSTAGE]}   # services, fees, deposits among the skus",
        "",
    ]
    for table in INGEST_ORDER:
        if table in said and (content := _content(said[table])):
            dumped = yaml.safe_dump({table: content}, allow_unicode=True, sort_keys=False, width=100)
            lines += [*(f"# {table}: {remark}" for remark in said[table].remarks), dumped]
    return "\n".join(lines)


def _content(said: Said) -> dict[str, Any]:
    files: Any = said.files[0] if len(said.files) == 1 else list(said.files)
    key: Any = said.one_row_per[0] if len(said.one_row_per) == 1 else list(said.one_row_per)
    content = {
        "file": files,
        "one_row_per": key,
        "money": said.money,
        "columns": said.columns,
        "constants": said.constants,
        "values": said.values,
        "changed_at": said.changed_at,
    }
    return {name: value for name, value in content.items() if value}
