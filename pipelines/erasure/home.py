"""Everything in a home without erased persons: one pass over the declared places, safe to repeat.

A file is written anew beside itself and renamed, so that a reader sees the old one or the new one whole. What
the home was cleared of is written down last: a pass that was killed is made again from the begin, and what it
had cleared already is found clear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipelines.erasure.duckdb_files import clear_file
from pipelines.erasure.parquet import Rewritten, clear_arrays, clear_parquet, clear_quarantine
from pipelines.erasure.places import PLACES, Place, files_of, table_of
from pipelines.erasure.rules import NAMED, OWNERS
from pipelines.erasure.texts import clear_text, pattern_of
from pipelines.erasure.tombstones import Tombstones, keep_tombstones
from pipelines.lake.tables import Lake
from pipelines.sources.contract import TABLES
from pipelines.sources.recorded.extraction import recorded_books, recorded_feeds


@dataclass(frozen=True)
class HomeCleared:
    """What a pass did.

    Attributes:
        people: Persons who were erased so far.
        files: Files that were written anew, relative to the home, with what became of each.
    """

    people: int
    files: Mapping[str, Rewritten] = field(default_factory=dict)

    @property
    def removed(self) -> int:
        """Rows that went."""
        return sum(done.removed for done in self.files.values())

    @property
    def renamed(self) -> int:
        """Rows and values that stay under a pseudonym."""
        return sum(done.renamed for done in self.files.values())


def clear_home(home: Path, lake: Path, tombstones: Tombstones) -> HomeCleared:
    """Take erased persons out of every file of a home; nobody else may work in it.

    Args:
        home: The home's folder.
        lake: Root of its lake.
        tombstones: Who was erased, of the serving database.

    Raises:
        LakeError: A file cannot be written; what was cleared stays so, and the pass can be made again.
    """
    done: dict[str, Rewritten] = {}
    if not tombstones.is_empty:
        ids = named_ids(home, tombstones)
        pattern = pattern_of(ids, shared_ids(lake, ids))
        for place in PLACES:
            for file in files_of(home, place):
                if place.kind == "text":
                    found = clear_text(file, ids, pattern)
                else:
                    found = _clear(file, place, tombstones)
                if found != Rewritten():
                    done[str(file.relative_to(home))] = found
        for extraction in (recorded_feeds(lake), recorded_books(lake)):
            extraction.recount()
    keep_tombstones(lake, tombstones)
    return HomeCleared(len(tombstones.people), done)


def named_ids(home: Path, tombstones: Tombstones) -> dict[str, str]:
    """Ids of erased persons that tables of the home still name, each with the pseudonym."""
    found: dict[str, str] = {}
    for place in PLACES:
        if place.kind != "rows":
            continue
        for file in files_of(home, place):
            columns = [name for name in pl.read_parquet_schema(file) if name in (*OWNERS, *NAMED)]
            if columns:
                rows = pl.read_parquet(file, columns=columns, hive_partitioning=False)
                for name in columns:
                    found |= tombstones.among(rows[name])
    return found


def shared_ids(lake: Path, ids: Collection[str]) -> set[str]:
    """Those of some ids that something else in the lake has as its key, such as a sku or a merchant."""
    found: set[str] = set()
    for name, contract in TABLES.items():
        files = Lake(lake).accepted_files(name) if len(contract.key) == 1 else []
        if not files or contract.key[0] in OWNERS:
            continue
        keys = pl.scan_parquet(files, hive_partitioning=False).select(
            pl.col(contract.key[0]).cast(pl.String).alias("id")
        )
        found |= set(keys.filter(pl.col("id").is_in(list(ids))).unique().collect()["id"].to_list())
    return found


def _clear(file: Path, place: Place, tombstones: Tombstones) -> Rewritten:
    if place.kind == "duckdb":
        return clear_file(file, tombstones)
    if place.kind == "quarantine":
        return clear_quarantine(file, table_of(file, place), tombstones)
    if place.kind == "arrays":
        return clear_arrays(file, tombstones)
    return clear_parquet(file, table_of(file, place), tombstones)
