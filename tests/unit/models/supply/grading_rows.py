"""Small frames of what happened, for the tests of grading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from models.supply.grading.evidence import (
    DELIVERIES,
    HELD,
    LINES,
    MARKET,
    OFFERS,
    PURCHASES,
    Happened,
)

AS_OF = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 1)


def ago(days: float) -> dt.datetime:
    return AS_OF - dt.timedelta(days=days)


def lines(supplier: str, sold: int, faults: int, *, category: str = "milk", days: float = 0) -> list[tuple]:
    return [(supplier, category, ago(days), number < faults) for number in range(sold)]


def deliveries(
    supplier: str, due: int, late: int, *, category: str = "milk", days: float = 0, by: float | None = 1.0
) -> list[tuple]:
    return [
        (supplier, category, ago(days), number < late, by if number < late else None) for number in range(due)
    ]


def offer(
    supplier: str, sku: str, cents: int, *, category: str = "milk", days: float = 10, current: bool = True
) -> tuple:
    return (supplier, category, sku, ago(days), cents, current)


def happened(
    sold: Sequence[tuple] = (),
    sent: Sequence[tuple] = (),
    offered: Sequence[tuple] = (),
    market: Sequence[tuple] = (),
    bought: Sequence[tuple] = (),
    held: Sequence[tuple] = (),
) -> Happened:
    return Happened(
        pl.DataFrame(list(sold), schema=LINES, orient="row"),
        pl.DataFrame(list(sent), schema=DELIVERIES, orient="row"),
        pl.DataFrame(list(offered), schema=OFFERS, orient="row"),
        pl.DataFrame(list(market), schema=MARKET, orient="row"),
        pl.DataFrame(list(bought), schema=PURCHASES, orient="row"),
        pl.DataFrame(list(held), schema=HELD, orient="row"),
    )
