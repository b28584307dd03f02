"""A day of attribution: credits of all orders, and what the newest finished test of each channel says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.attribution.config import AttributionConfig
from models.attribution.credits import MODELS, UNATTRIBUTED, credits_of
from models.attribution.effects import Effect, geo, holdout
from models.attribution.paths import paths
from pipelines.warehouse import attributed
from serving.channel_tests.records import ChannelTest, is_held_out

if TYPE_CHECKING:
    import duckdb

CREDITS_KEY = "growth/channel_credits"
"""Where credits lie in the lake; `models.attribution.credits.CREDITS`."""
EFFECTS_KEY = "growth/channel_effects"
"""Where effects lie in the lake; `EFFECTS`."""
EFFECTS: dict[str, pl.DataType] = {
    "channel": pl.String(),
    "test_id": pl.String(),
    "evidence": pl.String(),
    "incremental_cents": pl.Int64(),
    "low_cents": pl.Int64(),
    "high_cents": pl.Int64(),
    "units_with": pl.Int64(),
    "units_without": pl.Int64(),
    "touched_although_off": pl.Int64(),
    "starts_on": pl.Date(),
    "ends_on": pl.Date(),
}


@dataclass(frozen=True)
class ChannelDay:
    """What a day of attribution found.

    Attributes:
        credits: As `models.attribution.credits.CREDITS`.
        effects: As `EFFECTS`, one row a channel with a finished test.
        revenue_cents: Revenue of all orders as the marts count it.
        wrong_orders: Orders whose credits under some model are not their revenue; 0 but for a fault.
    """

    credits: pl.DataFrame
    effects: pl.DataFrame
    revenue_cents: int
    wrong_orders: int

    @property
    def sums(self) -> dict[str, int]:
        """Credits by model, cents."""
        return dict(
            self.credits.group_by("model").agg(pl.col("credit_cents").sum()).sort("model").iter_rows()
        )

    @property
    def is_exact(self) -> bool:
        """Whether every model gives every order its revenue, and all orders the revenue of the marts."""
        totals = [self.sums.get(model, 0) for model in MODELS]
        return self.wrong_orders == 0 and all(total == self.revenue_cents for total in totals)


def attribute(
    connection: duckdb.DuckDBPyConnection,
    tests: Sequence[ChannelTest],
    tenant_id: str,
    today: date,
    config: AttributionConfig,
) -> ChannelDay:
    """Share revenue among channels, and read the finished tests.

    Args:
        connection: The published warehouse.
        tests: Those that were not given up.
        tenant_id: Whose; salts the lots of hold-outs.
        today: Local day; a test that ended before counts.
        config: Settings.
    """
    touched = attributed.touches(connection)
    revenue = attributed.revenue(connection)
    told = credits_of(paths(touched, revenue, config), revenue, config)
    by_order = told.group_by("order_id", "model").agg(pl.col("credit_cents").sum())
    wrong = by_order.join(revenue, on="order_id").filter(pl.col("credit_cents") != pl.col("revenue_cents"))
    return ChannelDay(
        told,
        effects_of(connection, touched, tests, tenant_id, today),
        attributed.net_sales_cents(connection),
        wrong["order_id"].n_unique(),
    )


def effects_of(
    connection: duckdb.DuckDBPyConnection,
    touched: pl.DataFrame,
    tests: Sequence[ChannelTest],
    tenant_id: str,
    today: date,
) -> pl.DataFrame:
    """What the newest finished test of each channel says, as `EFFECTS`."""
    finished = sorted((test for test in tests if test.ends_on <= today), key=lambda test: test.ends_on)
    newest = {test.channel: test for test in finished}
    rows = []
    for channel, test in sorted(newest.items()):
        before = test.starts_on - (test.ends_on - test.starts_on)
        days = (before, test.starts_on, test.ends_on)
        if test.kind == "holdout":
            spend = attributed.spend_of_consumers(connection, *days)
            off = np.array(
                [is_held_out(tenant_id, test, who) for who in spend["consumer_id"]], dtype=np.bool_
            )
            share = (test.off_share_bps or 0) / 10_000
            effect = holdout(_arm(spend, ~off), _arm(spend, off), share)
            although = _touched(touched, test, spend["consumer_id"].filter(pl.Series(off, dtype=pl.Boolean)))
        else:
            sold = attributed.revenue_of_regions(connection, *days)
            on = sold["region_code"].is_in(test.on_regions).to_numpy()
            out = sold["region_code"].is_in(test.off_regions).to_numpy()
            effect, although = geo(_arm(sold, on), _arm(sold, out)), None
        rows.append(_row(channel, test, effect, although))
    return pl.DataFrame(rows, schema=EFFECTS)


def _arm(frame: pl.DataFrame, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = frame.filter(pl.Series(chosen, dtype=pl.Boolean))
    return rows["before_cents"].to_numpy(), rows["within_cents"].to_numpy()


def _touched(touched: pl.DataFrame, test: ChannelTest, held_out: pl.Series) -> int:
    within = touched.filter(
        pl.col("channel") == test.channel,
        pl.col("occurred_on") >= test.starts_on,
        pl.col("occurred_on") < test.ends_on,
        pl.col("consumer_id").is_in(held_out.implode()),
    )
    return within["consumer_id"].n_unique()


def _row(channel: str, test: ChannelTest, effect: Effect, although: int | None) -> dict[str, object]:
    def cents(value: float | None) -> int | None:
        return None if value is None else round(value)

    return {
        "channel": channel,
        "test_id": test.test_id,
        "evidence": test.kind if effect.word == "measured" else effect.word,
        "incremental_cents": cents(effect.incremental_cents),
        "low_cents": cents(effect.low_cents),
        "high_cents": cents(effect.high_cents),
        "units_with": effect.units_with,
        "units_without": effect.units_without,
        "touched_although_off": although,
        "starts_on": test.starts_on,
        "ends_on": test.ends_on,
    }


def attributed_share(told: pl.DataFrame) -> float:
    """Share of orders that some channel touched, 0 to 1."""
    orders = told.filter(pl.col("model") == "linear").group_by("order_id").agg(pl.col("channel").first())
    touched = orders.filter(pl.col("channel") != UNATTRIBUTED).height
    return touched / orders.height if orders.height else 0.0
