"""A synthetic publication of a realistic size and shape, for benchmarks of serving."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from models.contracts import PUBLISHED_TABLES
from serving.scores.contracts import PublicationManifest, TableEntry

MERCHANTS = 125
SKUS_PER_MERCHANT = 2_000
LISTS = 8_000
LIST_LENGTH = 40
CONSUMERS = 2_500
TAGS = 60
_AS_OF = datetime(2018, 1, 1, 4, 0, tzinfo=UTC)
_NO_FILE = "0" * 64


def tables(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of every published table: 250 k prices, 8 k lists of 40, 2.5 k profiles of 60 tags."""
    random_ = random.Random(seed)
    filled: dict[str, Iterator[tuple[Any, ...]]] = {
        "prices": _prices(random_),
        "recommendations": _recommendations(random_),
        "popular_items": _popular(random_),
        "profiles": _profiles(random_),
        "rebuy_reminders": _reminders(random_),
    }
    return {name: list(filled.get(name, ())) for name in PUBLISHED_TABLES}


def manifest(rows: dict[str, list[tuple[Any, ...]]], version: str) -> PublicationManifest:
    """The manifest of those rows."""
    return PublicationManifest.build(
        version=version,
        created_at=_AS_OF,
        as_of=_AS_OF,
        data_from=_AS_OF - timedelta(days=365),
        data_to=_AS_OF,
        model_versions={"synthetic": "1"},
        tables={name: TableEntry(rows=len(found), sha256=_NO_FILE) for name, found in rows.items()},
    )


def _prices(random_: random.Random) -> Iterator[tuple[Any, ...]]:
    for merchant in range(MERCHANTS):
        for sku in range(SKUS_PER_MERCHANT):
            cost = random_.randrange(50, 900)
            anchor = round(cost * 1.36)
            explanation = {
                "summary": f"Anchor {anchor} from cost {cost} and the category index, inside its rails.",
                "steps": [{"name": "cost", "cents": cost}, {"name": "anchor", "cents": anchor}],
                "evidence": {"weeks": random_.randrange(4, 52), "level": "category"},
            }
            yield (
                f"m{merchant}",
                f"s{sku}",
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


def _recommendations(random_: random.Random) -> Iterator[tuple[Any, ...]]:
    lanes = (("repeat", "bought_often"), ("discovery", "bought_by_similar"), ("popular", "popular_here"))
    for number in range(LISTS):
        skus = random_.sample(range(SKUS_PER_MERCHANT), LIST_LENGTH)
        for rank, sku in enumerate(skus, start=1):
            lane, reason = lanes[rank % 3]
            yield (
                f"m{number % MERCHANTS}",
                f"c{number}",
                rank,
                f"s{sku}",
                1 / rank + random_.random() / 1000,
                lane,
                reason,
                random_.uniform(0.01, 0.4),
            )


def _popular(random_: random.Random) -> Iterator[tuple[Any, ...]]:
    for merchant in range(MERCHANTS):
        for rank, sku in enumerate(random_.sample(range(SKUS_PER_MERCHANT), 100), start=1):
            yield (f"m{merchant}", rank, f"s{sku}", 1 / rank, "popular_here")


def _profiles(random_: random.Random) -> Iterator[tuple[Any, ...]]:
    for consumer in range(CONSUMERS):
        tags = {
            f"tag_{tag:03}": random_.choice((None, True, tag, tag / 7, "l2-grocery")) for tag in range(TAGS)
        }
        yield (f"c{consumer}", json.dumps(tags), "synthetic", _AS_OF)


def _reminders(random_: random.Random) -> Iterator[tuple[Any, ...]]:
    for consumer in range(CONSUMERS):
        for rank in range(1, 6):
            yield (f"c{consumer}", rank, f"l3-category-{rank}", random_.random(), "due_by_own_rhythm")
