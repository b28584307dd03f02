"""What becomes of a row that names an erased person: it goes, or it stays under the pseudonym. Pure.

One list for every table, whatever holds it: the lake, the warehouse, the live store, a published version.
What money hangs on stays, with the pseudonym that the operational database gave (`consumers.erase`); what
somebody did, said, was told or is judged to be goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from pipelines.erasure.tombstones import Tombstones
from pipelines.sources.contract import TABLES
from pipelines.sources.values.columns import file_column

OWNERS = ("consumer_id", "stated_consumer_id", "visitor_id", "entity_id")
"""Columns that say whose a row is."""

NAMED: Mapping[str, str | None] = MappingProxyType(
    {
        "inviter_id": None,
        "own_consumer_id": None,
        "referred_by": None,
        "party_id": "party_type",
        "payee_id": "payee_type",
    }
)
"""Columns that name a consumer in somebody else's row, and the column that must say `consumer`."""

KINDS: Mapping[str, str] = MappingProxyType({"entity_id": "entity"})
"""Owners that are consumers only where another column says so, if the table has it."""

VISITOR = "anonymous_id"

DOCUMENT = "tags"
"""Column with the document of a profile, in which one tag names a consumer."""
_MENTION = r'"referred_by":\s*"([^"]*)"'

ARRAYS = frozenset({"consumers"})
"""Arrays of model bundles that hold consumers' ids; an equal text in another one is a sku's or a shop's."""

KEPT = frozenset(
    {
        "consumers", "orders", "coupons", "ledger_entries", "settlement_legs",
        "dim_consumers", "fct_orders", "fct_order_lines", "fct_shipments", "fct_settlement_legs",
        "dim_coupons", "fct_after_sales", "fct_coupon_redemptions",
        "int_orders_changed", "int_order_lines_changed",
    }
)  # fmt: skip
"""Tables whose rows stay under the pseudonym: what was bought and paid. The rows of all others go."""

PERSONAL: Mapping[str, Any] = MappingProxyType(
    {
        "inviter_id": None,
        "acquisition_channel": None,
        "birthday": None,
        "gender": None,
        "city": None,
        "household_size": None,
        "income_band": None,
        "consent_marketing": False,
        "consent_profiling": False,
    }
)
"""What a row of a consumer says of the person, and what it says once the person is erased."""

_EVENT_TIME = "occurred_at"


@dataclass(frozen=True)
class Cleared:
    """Rows without erased persons.

    Attributes:
        frame: What is left, in its order.
        removed: Rows that went.
        renamed: Rows that stay under a pseudonym.
    """

    frame: pl.DataFrame
    removed: int = 0
    renamed: int = 0

    @property
    def is_changed(self) -> bool:
        """Whether any row named an erased person."""
        return bool(self.removed or self.renamed)


def has_persons(columns: Mapping[str, Any]) -> bool:
    """Whether a table may name consumers."""
    return any(name in columns for name in (*OWNERS, *NAMED, VISITOR, DOCUMENT))


def mentioned(documents: pl.Series) -> pl.Series:
    """The consumer whom each document of a profile names, null where none; String."""
    return documents.str.extract(_MENTION, 1)


def cleared(table: str, rows: pl.DataFrame, tombstones: Tombstones) -> Cleared:
    """Rows of a table without erased persons.

    Args:
        table: Its name, e.g. of the contract, of a dbt model or of a published table.
        rows: With the columns that name persons under their names, as strings.
        tombstones: Who was erased.
    """
    if tombstones.is_empty or not has_persons(rows.schema):
        return Cleared(rows)
    hits = {name: tombstones.pseudonyms(rows[name]) for name in (*OWNERS, *NAMED) if _is_text(rows, name)}
    for name in list(hits):
        kind = NAMED.get(name) or KINDS.get(name)
        if kind is not None and kind in rows.columns:
            hits[name] = hits[name].set((rows[kind] != "consumer").fill_null(True), None)
    nobody = pl.Series([False], dtype=pl.Boolean).new_from_index(0, rows.height)
    owned = nobody
    for name in OWNERS:
        if name in hits:
            owned = owned | hits[name].is_not_null()
    gone = _visited(rows, tombstones, nobody)
    if table not in KEPT:
        gone = gone | owned
    left = rows.with_columns(
        pl.coalesce(pseudonyms.alias(name), pl.col(name)).alias(name) for name, pseudonyms in hits.items()
    )
    named = owned
    for pseudonyms in hits.values():
        named = named | pseudonyms.is_not_null()
    if _is_text(rows, DOCUMENT):
        inviters = tombstones.pseudonyms(mentioned(rows[DOCUMENT]))
        named = named | inviters.is_not_null()
        left = left.with_columns(_with_mentions(rows[DOCUMENT], inviters))
    if table in ("consumers", "dim_consumers"):
        left = left.with_columns(
            pl.when(owned).then(pl.lit(value, dtype=left.schema[name])).otherwise(pl.col(name)).alias(name)
            for name, value in PERSONAL.items()
            if name in left.columns
        )
    return Cleared(left.filter(~gone), int(gone.sum()), int((named & ~gone).sum()))


def others_of(table: str) -> frozenset[str]:
    """Columns of a contract table, under either of their names, in which no value is a consumer's id.

    A number may be a quantity, a sku or a person: only its column tells. Empty for what the contract does not
    know; of a column that it does not know either, nobody can tell.
    """
    if table not in TABLES:
        return frozenset()
    contract = TABLES[table]
    known = {name for column in contract.columns for name in (column, file_column(contract, column))}
    return frozenset(known - {*OWNERS, *NAMED, VISITOR})


def names_one(row_json: str, others: Collection[str], tombstones: Tombstones) -> bool:
    """Whether a row, kept as a JSON object, has an erased person's id where it may name a consumer.

    Args:
        row_json: Column to value.
        others: Columns that never name a consumer, see `others_of`.
        tombstones: Who was erased.
    """
    if tombstones.is_empty:
        return False
    try:
        row = json.loads(row_json)
    except ValueError:
        return False
    return isinstance(row, dict) and any(
        tombstones.pseudonym(str(value).strip()) is not None
        for name, value in row.items()
        if name not in others and row.get(NAMED.get(name) or "", "consumer") == "consumer"
    )


def _with_mentions(documents: pl.Series, inviters: pl.Series) -> pl.Series:
    """Documents of profiles with pseudonyms where there is one."""
    texts = documents.to_list()
    for row in inviters.is_not_null().arg_true():
        texts[row] = re.sub(_MENTION, f'"referred_by":"{inviters[row]}"', texts[row])
    return pl.Series(documents.name, texts, dtype=pl.String)


def _visited(rows: pl.DataFrame, tombstones: Tombstones, nobody: pl.Series) -> pl.Series:
    """Events of visitors who were an erased person, up to the erasure."""
    found = nobody
    if _is_text(rows, VISITOR) and _EVENT_TIME in rows.columns:
        until = tombstones.erased_until(rows[VISITOR])
        times = rows[_EVENT_TIME]
        is_theirs = rows["consumer_id"].is_null() if "consumer_id" in rows.columns else ~nobody
        found = (until.is_not_null() & is_theirs & (times.cast(until.dtype) <= until)).fill_null(False)
    if _is_text(rows, "visitor_id"):
        found = found | tombstones.erased_until(rows["visitor_id"]).is_not_null()
    return found


def _is_text(rows: pl.DataFrame, name: str) -> bool:
    return name in rows.columns and rows.schema[name] == pl.String()
