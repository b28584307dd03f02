"""Tables that fit in memory: the newest version of each row is accepted, older ones go to the history.

What lives here: which version stands, since when each was known, and the way to disk. What does not: what
makes a version (`versions`), rules on rows (`validation`).

`received_at` of a later version is the time the source gives for it, or that of the run where it gives none.
Under 'load_time' a version keeps the time at which it first came, and versions of an earlier load stay in the
history although the files have been overwritten; under 'event_time' the history is what the files tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pipelines.sources.contract import ContractTable
from pipelines.sources.loading.sinks import TIME, Sink, Written
from pipelines.sources.loading.validation import DUPLICATE, ROW
from pipelines.sources.loading.versions import (
    CONTENT,
    FILE,
    IS_DELETED,
    SOURCE_AT,
    content,
    newest,
    resolve,
    unversioned,
    with_order,
    without_ground,
)
from pipelines.sources.protocol import Chunk
from pipelines.sources.refused.quarantine import NO_LINE

NEVER_CAME = "deletes a row that was never received"

_HOME = "_home"
"""Time of the newest version of a row: all of its versions lie in the partition of that day."""
_KEPT = "_kept"
_INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Around:
    """What a load knows of other tables.

    Attributes:
        complete: Keys of the rows that have what they need elsewhere, such as orders with a line; None: all.
        gone: Key of the parent and `gone_at`: parents that were deleted; their children are gone with them.
    """

    complete: pl.DataFrame | None = None
    gone: pl.DataFrame | None = None


class WholeTable(Sink):
    """Keeps a load in memory and writes it at the end."""

    def __init__(self, *args: object, around: Around | None = None) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._around = around or Around()
        self._parts: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame, chunk: Chunk) -> None:
        """Takes the rows of one chunk that have nothing against them."""
        if rows.height:
            self._parts.append(
                rows.drop(ROW).with_columns(pl.lit(chunk.file).cast(pl.Categorical).alias(FILE))
            )

    def finish(self) -> Written:
        """Writes everything and says what was written."""
        contract = self.contract
        if not self._parts:
            nothing = pl.DataFrame(schema={**contract.dtypes, TIME: _INSTANT})
            self._write(nothing)
            self._write_history(_empty_history(contract))
            return Written(0, None, None)
        rows = pl.concat(self._parts)
        self._parts.clear()
        single, several, unchanged = self._versions(self._reject_incomplete(rows))
        if self.load.received_at_rule == "event_time":
            parts = [self._dated(single, is_single=True), self._dated(several, is_single=False)]
            versions = pl.concat(parts)
        else:
            versions = self._dated(pl.concat([single, several]), is_single=False)
        marks = newest(versions, contract.key)
        current = self._reject_orphans(versions.filter(marks & ~versions[IS_DELETED] & ~versions[_KEPT]))
        current, orphaned = self._without_gone(current)
        history = pl.concat([versions.filter(~marks | versions[IS_DELETED]), orphaned])
        self._write(current)
        self._write_history(_as_history(contract, history))
        self._forget_elsewhere(versions)
        times = current[TIME] if contract.is_partitioned and current.height else None
        kept = int(history[_KEPT].sum())
        return Written(
            current.height,
            times.min() if times is not None else None,  # type: ignore[arg-type]
            times.max() if times is not None else None,  # type: ignore[arg-type]
            self.notes,
            history=history.height - kept,
            unchanged=unchanged,
            deleted=int((marks & versions[IS_DELETED]).sum()) + orphaned.height,
            kept=kept,
        )

    def _reject_incomplete(self, rows: pl.DataFrame) -> pl.DataFrame:
        complete = self._around.complete
        if complete is None:
            return rows
        (key,) = self.contract.key
        lacks = ~rows[key].is_in(complete[key].implode()) & ~rows[IS_DELETED]
        return self.reject(rows, lacks, key, NO_LINE)

    def _versions(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        """Rows alone with their key; versions of the others, oldest first; how many rows repeat a version."""
        contract = self.contract
        rows = with_order(rows)
        alone = unversioned(contract, rows)
        single = rows.filter(alone).with_columns(pl.lit(0, dtype=pl.UInt64).alias(CONTENT))
        if alone.all():
            return single, single.clear(), 0
        resolved = resolve(contract, rows.filter(~alone))
        key = ", ".join(contract.key)
        every = pl.Series([True], dtype=pl.Boolean).new_from_index(0, resolved.duplicates.height)
        self.reject(resolved.duplicates, every, contract.key[0], DUPLICATE.format(key=key))
        versions = resolved.versions
        versions = self.reject(versions, without_ground(contract, versions), contract.key[0], NEVER_CAME)
        return single, versions.select(single.columns), resolved.repeats.height

    def _dated(self, versions: pl.DataFrame, *, is_single: bool) -> pl.DataFrame:
        """Versions with `_time`, `_home`, `received_at`, `superseded_at`, `_began` and `_kept`.

        Args:
            versions: Oldest first within a key.
            is_single: Whether no key is there twice.
        """
        load, key = self.load, list(self.contract.key)

        def over(of_key: pl.Expr, of_one: pl.Expr) -> pl.Expr:
            return of_one if is_single else of_key.over(key)

        versions = self.timed(versions)
        if self.contract.is_partitioned:
            baseless = versions[TIME].is_null() & versions[IS_DELETED]
            versions = self.reject(versions, baseless, key[0], NEVER_CAME)
        if versions["received_at"].null_count():
            self.note_received_at()
        as_of = pl.lit(load.as_of).cast(_INSTANT)
        event = pl.min_horizontal(pl.col(TIME).fill_null(load.history_start).cast(_INSTANT), as_of)
        is_later = over(pl.int_range(pl.len()) > 0, pl.lit(False))
        versions = versions.with_columns(pl.lit(False).alias(_KEPT), is_later.alias("_is_later"))
        if load.received_at_rule == "event_time":
            later = pl.max_horizontal(event, pl.coalesce(SOURCE_AT, as_of))
            fill = pl.when("_is_later").then(later).otherwise(event)
            versions = versions.with_columns(pl.col("received_at").fill_null(fill))
        else:
            versions = self._with_known(versions)
        received = pl.col("received_at")
        versions = versions.with_columns(over(received.cum_max(), received).alias("received_at"))
        began = pl.coalesce(SOURCE_AT, pl.when(~pl.col("_is_later")).then(TIME), "received_at")
        return versions.with_columns(
            over(received.shift(-1), pl.lit(None, dtype=_INSTANT)).alias("superseded_at"),
            began.cast(_INSTANT).alias("_began"),
            over(pl.col(TIME).last(), pl.col(TIME)).cast(_INSTANT).alias(_HOME),
        ).drop("_is_later")

    def _with_known(self, versions: pl.DataFrame) -> pl.DataFrame:
        """Versions with the time at which each first came, and those that came before and are gone."""
        contract, key = self.contract, list(self.contract.key)
        now = pl.lit(self.load.loaded_at).cast(_INSTANT)
        versions = versions.with_columns(content(contract).alias(CONTENT))
        before = self._before(versions)
        is_newest = newest(versions, contract.key)
        versions = versions.with_columns(is_newest.alias("_is_newest"))
        stood = before.filter("_stands").select(*key, CONTENT, pl.col("received_at").alias("_stood"))
        passed = (
            before.filter(~pl.col("_stands"))
            .group_by(*key, CONTENT)
            .agg(pl.col("received_at").min().alias("_passed"))
        )
        versions = versions.join(stood, on=[*key, CONTENT], how="left", maintain_order="left").join(
            passed, on=[*key, CONTENT], how="left", maintain_order="left"
        )
        first = pl.when("_is_newest").then("_stood").otherwise(pl.coalesce("_passed", "_stood"))
        versions = versions.with_columns(pl.coalesce("received_at", first, now).alias("received_at"))
        versions = versions.drop("_stood", "_passed", "_is_newest")
        kept = before.join(versions, on=[*key, CONTENT, "received_at"], how="anti").with_columns(
            pl.lit(True).alias(_KEPT), pl.lit(True).alias("_is_later")
        )
        if not kept.height:
            return versions
        missing = [name for name in versions.columns if name not in kept.columns]
        kept = kept.with_columns(
            pl.lit(None, dtype=versions.schema[name]).alias(name) for name in missing
        ).select(versions.columns)
        # What stands now came last, whatever was known before.
        both = pl.concat([kept, versions]).with_columns(
            pl.when(_KEPT).then(0).otherwise(1).alias("_rank"),
        )
        return both.sort(*key, "_rank", "received_at", maintain_order=True).drop("_rank")

    def _before(self, versions: pl.DataFrame) -> pl.DataFrame:
        """What the lake holds of the same keys: the rows that stand, and the history."""
        contract = self.contract
        keys = versions.lazy().select(contract.key).unique()
        current = self.lake.scan(contract.name).with_columns(
            pl.lit(False).alias(IS_DELETED), pl.lit(True).alias("_stands")
        )
        history = self.lake.scan_history(contract.name).select(
            *contract.columns,
            pl.col("is_deleted").alias(IS_DELETED),
            (pl.col("is_deleted") & pl.col("superseded_at").is_null()).alias("_stands"),
        )
        rows = pl.concat([current, history]).join(keys, on=contract.key, how="semi").collect()
        return self.timed(rows.with_columns(content(contract).alias(CONTENT)))

    def _without_gone(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows whose parent stands, and those whose parent was deleted: known until then."""
        gone = self._around.gone
        if gone is None or not gone.height or self.contract.time_parent is None:
            return rows, rows.clear()
        column = self.contract.time_parent[0]
        joined = rows.join(gone, on=column, how="left", maintain_order="left")
        is_gone = joined["gone_at"].is_not_null()
        left = joined.filter(is_gone).with_columns(
            pl.max_horizontal("gone_at", "received_at").alias("superseded_at")
        )
        return rows.filter(~is_gone), left.select(rows.columns)

    def _reject_orphans(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose key into their own table exists; refusing one may orphan others, hence the loop."""
        for key in self.contract.foreign_keys:
            if key.parent != self.contract.name:
                continue
            (column,), (parent_column,) = key.columns, key.parent_columns
            while True:
                orphan = rows[column].is_not_null() & ~rows[column].is_in(
                    rows[parent_column].implode()
                ).fill_null(True)
                if not orphan.any():
                    break
                rows = self.reject(rows, orphan, column, f"unknown key: not in {key.parent}")
        return rows

    def _write(self, rows: pl.DataFrame) -> None:
        contract = self.contract
        if not contract.is_partitioned:
            self.lake.replace(contract.name, rows)
            return
        first, last = self.load.window or (None, None)
        self.lake.replace_days(contract.name, rows, TIME, first, last)

    def _write_history(self, rows: pl.DataFrame) -> None:
        self.lake.replace_history(self.contract.name, rows, _HOME, *(self.load.window or (None, None)))

    def _forget_elsewhere(self, versions: pl.DataFrame) -> None:
        """A row that moved into this window no longer stands where an earlier load put it."""
        if self.load.window is not None:
            keys = versions.select(self.contract.key).unique()
            self.lake.forget_elsewhere(self.contract.name, keys, *self.load.window)


def _empty_history(contract: ContractTable) -> pl.DataFrame:
    return pl.DataFrame(schema={**contract.history_dtypes, _HOME: _INSTANT})


def _as_history(contract: ContractTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Versions that no longer stand; a table's own `valid_from` says when its rows held."""
    began = pl.col("valid_from") if "valid_from" in contract.columns else pl.col("_began")
    columns = {name: pl.col(name) for name in contract.history_dtypes if name in rows.columns}
    columns |= {"valid_from": began, "is_deleted": pl.col(IS_DELETED)}
    return rows.select(*(columns[name].alias(name) for name in contract.history_dtypes), _HOME)
