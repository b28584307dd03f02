"""The profile of a batch: a few numbers about all of its rows, kept of the last batch that passed.

Facts have names: `rows`; `null_share.<column>`; `quarantined_share`; `median.<measure>`, the median over the
rows; `newest.<measure>`, how the newest rows stand to earlier rows of the same sku (1 is the same level);
`mix.<column>`, the shares of a column's values. A fact that the batch cannot tell is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

NEWEST_ROWS = 200
"""The newest days that together have so many rows are the newest rows."""

MEASURES: Mapping[str, Mapping[str, pl.Expr]] = {
    "order_lines": {
        # Of the list price: coupons, clearances and gifts move what was paid, not the level of prices.
        "unit_price": pl.when((pl.col("list_price_cents") > 0) & (pl.col("qty_milli") > 0)).then(
            pl.col("list_price_cents") * 1000 / pl.col("qty_milli")
        ),
        "quantity": pl.when(pl.col("qty_milli") > 0).then(pl.col("qty_milli")),
    },
    "offers": {"supply_price": pl.col("supply_price_cents")},
    "listings": {"list_price": pl.col("list_price_cents")},
    "prices": {"price": pl.col("price_cents")},
}
"""What is measured of the rows of a table; null where a row has nothing to say."""


@dataclass(frozen=True)
class Profile:
    """Facts of a batch.

    Attributes:
        rows: Rows.
        numbers: Other numeric facts by name.
        mixes: Share of each value by name of the fact.
    """

    rows: int
    numbers: dict[str, float] = field(default_factory=dict)
    mixes: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote."""
        return cls(**content)

    def facts(self, name: str) -> dict[str, float]:
        """Numeric facts of a name; `.*` at its end stands for every column."""
        every = {"rows": float(self.rows), **self.numbers}
        if name.endswith(".*"):
            return {fact: value for fact, value in every.items() if fact.startswith(name[:-1])}
        return {name: every[name]} if name in every else {}


def profile_of(
    table: str,
    whole: pl.LazyFrame,
    wanted: Iterable[str],
    *,
    quarantined_share: float | None = None,
) -> Profile:
    """The profile of a batch, as far as anybody asks for it.

    Args:
        table: Its name; decides the measures.
        whole: All of its rows; a column `day` dates them, and without it no rows are the newest.
        wanted: Names of facts.
        quarantined_share: Refused rows over received ones, where the batch came in through the door.
    """
    names = set(wanted)
    schema = whole.collect_schema()
    measures = {
        name: measure
        for name, measure in MEASURES.get(table, {}).items()
        if set(measure.meta.root_names()) <= set(schema)
    }
    chosen = [pl.len().alias("rows")]
    if any(name.startswith("null_share.") for name in names):
        chosen += [pl.col(column).null_count().alias(f"null_share.{column}") for column in schema]
    chosen += [
        measure.median().alias(f"median.{name}")
        for name, measure in measures.items()
        if f"median.{name}" in names
    ]
    found = whole.select(chosen).collect().row(0, named=True)
    rows = int(found.pop("rows"))
    numbers = {
        name: value / rows if name.startswith("null_share.") else float(value)
        for name, value in found.items()
        if rows and value is not None
    }
    if quarantined_share is not None:
        numbers["quarantined_share"] = quarantined_share
    if "day" in schema:
        numbers |= {
            f"newest.{name}": level
            for name, measure in measures.items()
            if f"newest.{name}" in names and (level := _newest_level(whole, measure)) is not None
        }
    columns = [column for column in schema if f"mix.{column}" in names]
    return Profile(rows, numbers, {f"mix.{column}": _mix(whole, column) for column in columns})


def _newest_level(whole: pl.LazyFrame, measure: pl.Expr) -> float | None:
    """Median over the newest rows of a measure, divided by the median of the same sku before."""
    rows = whole.select("sku_id", "day", measure.alias("x")).drop_nulls().collect()
    by_day = rows.group_by("day").len().sort("day", descending=True)
    full = by_day.filter(pl.col("len").cum_sum() >= NEWEST_ROWS)
    if not full.height:
        return None
    newest = rows["day"] >= full["day"][0]
    before = rows.filter(~newest).group_by("sku_id").agg(pl.col("x").median().alias("before"))
    known = rows.filter(newest).join(before, on="sku_id").filter(pl.col("before") > 0)
    if known.height < NEWEST_ROWS / 2:
        return None
    return float(known.select((pl.col("x") / pl.col("before")).median()).item())


def _mix(whole: pl.LazyFrame, column: str) -> dict[str, float]:
    counts = whole.select(pl.col(column).cast(pl.String).value_counts()).unnest(column).collect()
    total = counts["count"].sum()
    return {str(value): count / total for value, count in counts.iter_rows()}
