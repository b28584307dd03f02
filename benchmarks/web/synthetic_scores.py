"""A synthetic publication of a realistic size and shape, for benchmarks of serving."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from models.contracts import PUBLISHED_TABLES
from serving.scores.contracts import PublicationManifest, TableEntry
from serving.settings import DEFAULT_TENANT

CONSUMERS = 2_500
TAGS = 60
AS_OF = datetime(2018, 1, 1, 4, 0, tzinfo=UTC)
_NO_FILE = "0" * 64
_POPULAR = 100
_REMINDERS = 5


@dataclass(frozen=True)
class Size:
    """How much is made.

    Attributes:
        merchants: Merchants; a sku is sold by one of them and carries its name, `m7-s12`.
        skus_per_merchant: Listings of each.
        lists: Consumers with a list; consumer `c<n>` has the one of merchant `n` modulo merchants.
        list_length: Items a list.
        profiles: Consumers with a profile and reminders.
    """

    merchants: int = 125
    skus_per_merchant: int = 2_000
    lists: int = 8_000
    list_length: int = 40
    profiles: int = CONSUMERS


USUAL = Size()
"""250 k prices, 8 k lists of 40, 2.5 k profiles of 60 tags."""


def streams(seed: int, size: Size) -> dict[str, Iterator[tuple[Any, ...]]]:
    """Rows of the tables that are filled, made while they are read."""
    return {
        "prices": _prices(random.Random(seed), size),
        "recommendations": _recommendations(random.Random(seed + 1), size),
        "popular_items": _popular(random.Random(seed + 2), size),
        "profiles": _profiles(random.Random(seed + 3), size),
        "rebuy_reminders": _reminders(random.Random(seed + 4), size),
    }


def counts(size: Size) -> dict[str, int]:
    """Number of rows of every published table."""
    filled = {
        "prices": size.merchants * size.skus_per_merchant,
        "recommendations": size.lists * size.list_length,
        "popular_items": size.merchants * _POPULAR,
        "profiles": size.profiles,
        "rebuy_reminders": size.profiles * _REMINDERS,
    }
    return {name: filled.get(name, 0) for name in PUBLISHED_TABLES}


def tables(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of every published table in the usual size."""
    filled = streams(seed, USUAL)
    return {name: list(filled.get(name, ())) for name in PUBLISHED_TABLES}


def manifest(rows: Mapping[str, int], version: str) -> PublicationManifest:
    """The manifest of tables with so many rows."""
    return PublicationManifest.build(
        version=version,
        created_at=AS_OF,
        as_of=AS_OF,
        data_from=AS_OF - timedelta(days=365),
        data_to=AS_OF,
        model_versions={"synthetic": "1"},
        tables={name: TableEntry(rows=count, sha256=_NO_FILE) for name, count in rows.items()},
    )


def stock_shelves(connection: psycopg.Connection[Any], size: Size) -> None:
    """All those listings, an offer a sku, for one in seven two, and stock but for one in fifty."""
    each = "generate_series(0, %(merchants)s) m, generate_series(0, %(skus)s) k"
    values = {
        "tenant": DEFAULT_TENANT,
        "merchants": size.merchants - 1,
        "skus": size.skus_per_merchant - 1,
        "at": AS_OF,
    }
    connection.execute(
        "insert into orders.listing (tenant_id, merchant_id, sku_id, list_price_cents)"
        f" select %(tenant)s, 'm' || m, 'm' || m || '-s' || k, 1000 from {each}",
        values,
    )
    for table, columns, terms in (
        ("offer", "supply_price_cents, lead_time_days, source_at", "500, 1, %(at)s::timestamptz"),
        ("supplier_sku", "is_approved", "true"),
        ("stock", "on_hand_qty, source_at", "case when k %% 50 = 0 then 0 else 9 end, %(at)s::timestamptz"),
    ):
        connection.execute(
            f"insert into orders.{table} (tenant_id, supplier_id, sku_id, {columns})"
            f" select %(tenant)s, 'S' || n, 'm' || m || '-s' || k, {terms}"
            f" from generate_series(1, 2) n, {each} where n = 1 or k %% 7 = 0",
            values,
        )


def _prices(random_: random.Random, size: Size) -> Iterator[tuple[Any, ...]]:
    for merchant in range(size.merchants):
        for sku in range(size.skus_per_merchant):
            cost = random_.randrange(50, 900)
            anchor = round(cost * 1.36)
            explanation = {
                "summary": f"Anchor {anchor} from cost {cost} and the category index, inside its rails.",
                "steps": [{"name": "cost", "cents": cost}, {"name": "anchor", "cents": anchor}],
                "evidence": {"weeks": random_.randrange(4, 52), "level": "category"},
            }
            yield (
                f"m{merchant}",
                f"m{merchant}-s{sku}",
                cost,
                round(cost * 1.45),
                anchor,
                round(cost * 1.08),
                round(cost * 1.6),
                anchor,
                None,
                -random_.uniform(0.4, 3.0),
                "anchor_index",
                "publish",
                json.dumps(explanation),
            )


def _recommendations(random_: random.Random, size: Size) -> Iterator[tuple[Any, ...]]:
    lanes = (("repeat", "bought_often"), ("discovery", "bought_by_similar"), ("popular", "popular_here"))
    for number in range(size.lists):
        skus = random_.sample(range(size.skus_per_merchant), size.list_length)
        for rank, sku in enumerate(skus, start=1):
            lane, reason = lanes[rank % 3]
            yield (
                f"m{number % size.merchants}",
                f"c{number}",
                rank,
                f"m{number % size.merchants}-s{sku}",
                1 / rank + random_.random() / 1000,
                lane,
                reason,
                random_.uniform(0.01, 0.4),
            )


def _popular(random_: random.Random, size: Size) -> Iterator[tuple[Any, ...]]:
    for merchant in range(size.merchants):
        for rank, sku in enumerate(random_.sample(range(size.skus_per_merchant), _POPULAR), start=1):
            yield (f"m{merchant}", rank, f"m{merchant}-s{sku}", 1 / rank, "popular_here")


def _profiles(random_: random.Random, size: Size) -> Iterator[tuple[Any, ...]]:
    for consumer in range(size.profiles):
        tags = {
            f"tag_{tag:03}": random_.choice((None, True, tag, tag / 7, "l2-grocery")) for tag in range(TAGS)
        }
        yield (f"c{consumer}", json.dumps(tags), "synthetic", AS_OF)


def _reminders(random_: random.Random, size: Size) -> Iterator[tuple[Any, ...]]:
    for consumer in range(size.profiles):
        for rank in range(1, _REMINDERS + 1):
            yield (f"c{consumer}", rank, f"l3-category-{rank}", random_.random(), "due_by_own_rhythm")
