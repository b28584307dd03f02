"""Purchases: who bought what, when and in which basket, whatever the columns were called.

Ids are text and times are UTC from here on. What was sent back is netted against what was bought. No model
lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from models.data import reading
from models.errors import FrameError

REQUIRED = ("consumer_id", "item_id", "at")
IDS = ("consumer_id", "item_id", "basket_id", "merchant_id", "category_id")
NUMBERS = ("quantity", "value_cents")
COLUMNS = (*REQUIRED, "basket_id", "quantity", "merchant_id", "category_id", "value_cents")
"""Every column of purchases, in order; the last three only where they were given."""
ORDER = ("at", "basket_id", "item_id", "consumer_id")


@dataclass(frozen=True)
class Purchases:
    """Lines of purchases and returns in order of time.

    Attributes:
        frame: consumer_id, item_id (text), at (UTC), basket_id (text), quantity (float64, below 0 where
            something came back) and, where given, merchant_id, category_id (text), value_cents (float64,
            signed like the quantity); ordered by (at, basket_id, item_id, consumer_id).
    """

    frame: pl.DataFrame

    @classmethod
    def from_frame(
        cls, frame: Any, columns: Mapping[str, str] | None = None, *, zone: str = "UTC"
    ) -> Purchases:
        """Read anybody's lines.

        Args:
            frame: Polars (lazy or not), pandas or Arrow, one row a line. Ids may be text or whole numbers.
            columns: Our name to the frame's, where they differ, e.g. `{"consumer_id": "user", "at": "day"}`.
                `consumer_id`, `item_id` and `at` must be there. Without `basket_id`, what a consumer bought
                at one time is one basket. Without `quantity`, each line is one piece.
            zone: IANA zone of dates and of times that name none.

        Returns:
            The purchases. Further columns of the frame are left behind.

        Raises:
            FrameError: A column is missing, a name is unknown, or a value cannot be read; says which.

        >>> lines = pl.DataFrame({"user": [7, 7], "sku": ["a", "b"], "day": ["2026-01-05", "2026-01-06"]})
        >>> names = {"consumer_id": "user", "item_id": "sku", "at": "day"}
        >>> Purchases.from_frame(lines, names, zone="Asia/Shanghai").frame.select("consumer_id", "at").row(0)
        ('7', datetime.datetime(2026, 1, 4, 16, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC')))
        """
        given = reading.as_polars(frame)
        unknown = sorted(set(columns or {}) - set(COLUMNS))
        if unknown:
            raise FrameError(f"purchases have no column {', '.join(unknown)}; they have {', '.join(COLUMNS)}")
        named = {name: name for name in COLUMNS if name in given.columns} | dict(columns or {})
        reading.require(given, [named.get(name, name) for name in REQUIRED])
        reading.require(given, named.values())
        read = {name: reading.ids(given, named[name]) for name in IDS if name in named}
        read["at"] = reading.times(given, named["at"], zone)
        read |= {name: reading.numbers(given, named[name]) for name in NUMBERS if name in named}
        out = pl.DataFrame({name: values.alias(name) for name, values in read.items()})
        if "basket_id" not in read:
            moment = pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
            out = out.with_columns(basket_id=pl.concat_str("consumer_id", moment, separator=" "))
        if "quantity" not in read:
            out = out.with_columns(quantity=pl.lit(1.0))
        if (out["quantity"] == 0).any():
            raise FrameError("quantity: a line of 0 pieces is neither purchase nor return; drop such lines")
        return cls(out.select(name for name in COLUMNS if name in out.columns).sort(ORDER))

    def until(self, moment: datetime) -> Purchases:
        """Lines at or before a moment (with time zone)."""
        return Purchases(self.frame.filter(pl.col("at") <= reading.aware(moment, "moment")))

    def between(self, start: datetime, end: datetime) -> Purchases:
        """Lines after `start`, until and with `end` (with time zone)."""
        begin, last = reading.aware(start, "start"), reading.aware(end, "end")
        return Purchases(self.frame.filter((pl.col("at") > begin) & (pl.col("at") <= last)))

    def net(self) -> Purchases:
        """What was bought and kept: a return takes from the newest earlier purchases of the same item.

        Returns:
            Lines with a quantity above 0; values shrink in proportion. A return of what was never bought here
            takes nothing.

        >>> days = ["2026-01-01", "2026-01-02", "2026-01-03"]
        >>> lines = pl.DataFrame({"consumer_id": 1, "item_id": 9, "at": days, "quantity": [2, 3, -4]})
        >>> Purchases.from_frame(lines).net().frame["quantity"].to_list()
        [1.0]
        """
        if (self.frame["quantity"] > 0).all():
            return self
        kept = _kept(self.frame)
        share = pl.col("kept") / pl.col("quantity")
        frame = kept.filter(pl.col("kept") > 0)
        if "value_cents" in frame.columns:
            frame = frame.with_columns(value_cents=pl.col("value_cents") * share)
        return Purchases(frame.with_columns(quantity="kept").drop("kept"))


def _kept(frame: pl.DataFrame) -> pl.DataFrame:
    """The lines with `kept`, what no later return took of them; pairs without a return are kept whole."""
    pair = ["consumer_id", "item_id"]
    numbered = frame.with_row_index("line")
    touched = numbered.join(
        numbered.filter(pl.col("quantity") < 0).select(pair).unique(), on=pair, how="semi"
    ).sort("line")
    left: dict[int, float] = {}
    stacks: dict[tuple[str, str], list[int]] = {}
    for line, consumer, item, quantity in touched.select("line", *pair, "quantity").iter_rows():
        stack = stacks.setdefault((consumer, item), [])
        if quantity > 0:
            left[line] = quantity
            stack.append(line)
            continue
        back = -quantity
        while back > 0 and stack:
            taken = min(back, left[stack[-1]])
            left[stack[-1]] -= taken
            back -= taken
            if left[stack[-1]] == 0:
                stack.pop()
    found = pl.DataFrame(
        {"line": list(left), "left": list(left.values())}, schema={"line": pl.UInt32, "left": pl.Float64}
    )
    return (
        numbered.join(found, on="line", how="left", maintain_order="left")
        .with_columns(kept=pl.coalesce("left", pl.col("quantity").clip(lower_bound=0.0)))
        .drop("line", "left")
    )
