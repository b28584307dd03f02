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
from models.states import STATE_COLUMNS

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
        # What is bought and sent back in one basket was bought first.
        ordered = out.sort(*ORDER, -pl.col("quantity"), maintain_order=True)
        return cls(ordered.select(name for name in COLUMNS if name in out.columns))

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
        standing = pl.col(STATE_COLUMNS[1]).is_null()
        return Purchases(self.states().filter(standing).drop(STATE_COLUMNS))

    def states(self) -> pl.DataFrame:
        """What was bought, in every state that was known at some time: a return changes nothing before it.

        Returns:
            The columns of `frame`, quantities above 0, with `received_at` and `superseded_at` (UTC; null: it
            stands). A line of which something came back is there as it was until then and, where something is
            left, since.

        >>> days = ["2026-01-01", "2026-01-02"]
        >>> lines = pl.DataFrame({"consumer_id": 1, "item_id": 9, "at": days, "quantity": [3, -2]})
        >>> Purchases.from_frame(lines).states().select("quantity", pl.col("superseded_at").dt.day()).rows()
        [(3.0, 2), (1.0, None)]
        """
        received, superseded = STATE_COLUMNS
        whole = self.frame.with_columns(
            pl.col("at").alias(received), pl.lit(None, dtype=self.frame.schema["at"]).alias(superseded)
        )
        if (self.frame["quantity"] > 0).all():
            return whole
        states = _states(self.frame)
        share = pl.col("left") / pl.col("quantity")
        frame = (
            whole.with_row_index("line")
            .join(states, on="line", how="left", maintain_order="left_right")
            .with_columns(left=pl.coalesce("left", "quantity"), from_at=pl.coalesce("from_at", received))
            .filter(pl.col("left") > 0)
        )
        if "value_cents" in frame.columns:
            frame = frame.with_columns(value_cents=pl.col("value_cents") * share)
        return frame.with_columns(
            pl.col("left").alias("quantity"),
            pl.col("from_at").alias(received),
            pl.col("to_at").alias(superseded),
        ).select(whole.columns)


def _states(frame: pl.DataFrame) -> pl.DataFrame:
    """States of the purchases of pairs with a return: `line`, `left` (quantity), `from_at` and `to_at`.

    A purchase that came back at the very moment at which it was made has no state.
    """
    pair = ["consumer_id", "item_id"]
    numbered = frame.with_row_index("line")
    touched = numbered.join(
        numbered.filter(pl.col("quantity") < 0).select(pair).unique(), on=pair, how="semi"
    ).sort("line")
    left: dict[int, float] = {}
    since: dict[int, datetime] = {}
    stacks: dict[tuple[str, str], list[int]] = {}
    found: list[tuple[int, float, datetime, datetime | None]] = []
    for line, consumer, item, at, quantity in touched.select("line", *pair, "at", "quantity").iter_rows():
        stack = stacks.setdefault((consumer, item), [])
        if quantity > 0:
            left[line], since[line] = quantity, at
            stack.append(line)
            continue
        back = -quantity
        while back > 0 and stack:
            newest = stack[-1]
            if since[newest] < at:
                found.append((newest, left[newest], since[newest], at))
            taken = min(back, left[newest])
            left[newest], since[newest] = left[newest] - taken, at
            back -= taken
            if left[newest] == 0:
                stack.pop()
    # What is left of a purchase stands, also where that is nothing: then only its states before are kept.
    standing = [(line, rest, since[line], None) for line, rest in left.items()]
    instant = frame.schema["at"]
    schema = {"line": pl.UInt32(), "left": pl.Float64(), "from_at": instant, "to_at": instant}
    return pl.DataFrame([*found, *standing], schema=schema, orient="row").sort("line", "from_at")
