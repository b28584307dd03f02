"""Generations of the live store: each goes on from one publication, and checks the one before it.

A publication is the end of a rebuild: the warehouse beside it is whole, and its profiles and prices are what
deltas refine. A generation begins as a copy of that warehouse with tags as of the publication. Where there
was a generation before, both take in the same rows up to the same moment and must then be equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.live.seed import Seed, read_seed
from pipelines.settings import Settings
from serving.errors import ServingError
from serving.scores import loader
from serving.scores.loader import PublishedVersion


class NothingPublishedError(ServingError):
    """There is no publication to go on from; the message says what to do."""


@dataclass(frozen=True)
class Origin:
    """What a generation goes on from.

    Attributes:
        seed: Of the last good warehouse.
        base: The newest publication.
        profiles_as_of: Business time of its profiles (UTC).
    """

    seed: Seed
    base: PublishedVersion
    profiles_as_of: datetime


def origin_of(settings: Settings, lake: Lake, url: str) -> Origin:
    """What the live loop goes on from now.

    Raises:
        NothingPublishedError: No whole run has published yet, or its files were lost.
    """
    seed = read_seed(settings.warehouse_seed)
    base = loader.newest(url)
    profiles = lake.published_path(base.version, "profiles") if base is not None else None
    if seed is None or base is None or profiles is None or not profiles.exists():
        raise NothingPublishedError(
            "there is no publication that the live loop could go on from; run `make run` once"
        )
    newest = pl.scan_parquet(profiles).select(pl.col("as_of").max()).collect().item()
    return Origin(seed, base, newest.astimezone(UTC) if newest is not None else base.as_of)
