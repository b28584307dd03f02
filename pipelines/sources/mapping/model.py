"""The keys of `muyun.yaml` and what may stand there; every key is optional.

Scalars are taken as the text they are, so that `0001`, `NO` and `1e5` stay what was written. What a document
says of columns that the contract does not have is found in `document`.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from pipelines.sources.mapping.names import zone

GUESTS = ("", "0", "-", "guest", "anonymous", "walk-in", "null", "none", "nan", "n/a", "散客", "游客", "匿名")
"""Values of a consumer column that mean nobody, where the document does not say it. Case does not matter."""

Role = Literal["service", "fuel", "coupon", "deposit"]
"""What a sku can be that is not merchandise."""
Money = Literal["major", "minor"]
"""Amounts in units of the currency with decimals (yuan), or in its smallest unit without (fen)."""

_DELIMITERS = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _delimiter(value: object) -> object:
    return _DELIMITERS.get(value, value) if isinstance(value, str) else value


def _encoding(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise ValueError(f"there is no encoding {value!r}; try utf-8, gbk, utf-16 or cp1252") from None


def _pattern(value: str) -> str:
    try:
        pl.Series([""]).str.contains(value)
    except pl.exceptions.PolarsError as error:
        lines = [line for line in str(error).splitlines() if line.startswith("error:")]
        raise ValueError(
            f"{value!r} is not a regular expression ({' '.join(lines) or 'unreadable'})"
        ) from None
    return value


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Za-z]{3}", value):
        raise ValueError(f"{value!r} is not an ISO code such as CNY, GBP, EUR or USD")
    return value.upper()


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Zone = Annotated[str, BeforeValidator(zone)]
Currency = Annotated[str, BeforeValidator(_currency)]


class Strict(BaseModel):
    """A part of the document: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class From:
    """What a column of the contract is made of.

    Attributes:
        how: The column of the file as it is; the product of some, such as unit price and quantity; or the
            first of some that is filled.
        columns: Columns of the file.
    """

    how: Literal["column", "product", "first_of"]
    columns: tuple[str, ...]


def _from(value: object) -> object:
    if isinstance(value, str):
        return From("column", (value,))
    if isinstance(value, dict) and len(value) == 1:
        how, columns = next(iter(value.items()))
        if how in ("product", "first_of") and isinstance(columns, list) and len(columns) > 1:
            return From(how, tuple(str(column) for column in columns))
    raise ValueError("give a column of the file, {product: [A, B]} or {first_of: [A, B]}")


Column = Annotated[From, BeforeValidator(_from)]


class NotMerchandise(Strict):
    """Skus or whole categories that are no merchandise: postage, fees, deposits, vouchers.

    Attributes:
        role: What they are instead.
        skus: Ids of skus.
        sku_pattern: Regular expression that is looked for in the id of a sku.
        categories: Ids of categories; what lies below them is meant too.
    """

    role: Role = "service"
    skus: Texts = ()
    sku_pattern: Pattern | None = None
    categories: Texts = ()


class PrivateLabel(Strict):
    """Which skus are the shop's own brand.

    Attributes:
        skus: Ids of skus.
        sku_pattern: Regular expression that is looked for in the id of a sku.
        brands: Ids of brands.
    """

    skus: Texts = ()
    sku_pattern: Pattern | None = None
    brands: Texts = ()


class Reading(Strict):
    """How values are to be read; stands at the top of the document and, to differ, at a table.

    Attributes:
        money: Amounts in units with decimals or in the smallest unit; minor where nothing is said.
        time_zone: IANA zone of times without an offset.
        day_first: Whether 02/11/2026 is the second of November.
        encoding: Of the text files; found out where nothing is said.
        delimiter: One character, or tab, semicolon, comma, pipe; found out where nothing is said.
        header_line: Number of the line that names the columns, from 1; found out where nothing is said.
    """

    money: Money | None = None
    time_zone: Zone | None = None
    day_first: bool | None = None
    encoding: str | None = None
    delimiter: Annotated[str, BeforeValidator(_delimiter), Field(min_length=1, max_length=1)] | None = None
    header_line: Annotated[int, Field(ge=1)] | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return None if value is None else _encoding(value)


class TableDocument(Reading):
    """What is said about one table of the contract.

    Attributes:
        file: Names or patterns of the files that feed it, relative to the folder. Several tables may name
            the same file. Where nothing is said, files and folders named after the table.
        columns: Contract column to the column of the file, or to a computed one.
        constants: Contract column to the text that every row gets.
        defaults: Contract column to the text that rows without a value get.
        values: Contract column to a map of the file's values to the contract's.
        one_row_per: Contract columns of which the file repeats the values; one row is made of all that have
            the same, with the first filled value of every column.
        changed_at: Column that says when a row was last changed; the newest version wins.
        deleted_when: Columns and the values that mark a row as deleted.
    """

    file: Texts = ()
    columns: dict[str, Column] = {}
    constants: dict[str, str] = {}
    defaults: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    one_row_per: Texts = ()
    changed_at: str | None = None
    deleted_when: dict[str, Texts] = {}


class Document(Reading):
    """The whole of `muyun.yaml`. Besides these keys, each contract table is a key with a `TableDocument`.

    Attributes:
        currency: ISO code of the currency of every amount.
        time_zones: Zone of single merchants, by merchant id.
        guests: Values of a consumer column that mean nobody.
        not_merchandise: Skus and categories that are services, fuel, coupons or deposits.
        themes: Categories of a theme, such as mother_baby, pet, beauty, health_food.
        private_label: Which skus are the shop's own brand.
        connectors: Files of the folder that declare feeds over HTTP.
        tables: What is said about each table.
    """

    currency: Currency | None = None
    time_zones: dict[str, Zone] = {}
    guests: Texts | None = None
    not_merchandise: Annotated[
        tuple[NotMerchandise, ...],
        BeforeValidator(lambda value: [value] if isinstance(value, dict) else value),
    ] = ()
    themes: dict[str, Texts] = {}
    private_label: PrivateLabel = PrivateLabel()
    connectors: Texts = ()
    tables: dict[str, TableDocument] = {}

    def table(self, name: str) -> TableDocument:
        """What is said about one table; nothing where it is not named."""
        return self.tables.get(name, TableDocument())
