"""What the deciding steps of the graph share: a bounded log, without erased persons, and its check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from pipelines.decisions.log import DecisionLog
from pipelines.lake.tables import Lake
from pipelines.steps.state import CheckRecord
from pipelines.stores.database import Database

if TYPE_CHECKING:
    from pipelines.decisions.skew import Skew

RECOMPUTED = "logged_vectors_are_made_again_without_a_difference"


def log_own(kind: str, vectors: pl.DataFrame, as_of: datetime, version: str, lake: Lake) -> DecisionLog:
    """Log features that a model made itself, bounded; without a model nothing is logged."""
    from pipelines.decisions import own_features, skew

    log = DecisionLog(lake, kind)
    if not vectors.is_empty():
        moment = pl.lit(as_of, dtype=pl.Datetime("us", "UTC"))
        kept = skew.bounded(vectors, own_features.MOST_ROWS)
        log.write(kept.with_columns(as_of=moment, model_version=pl.lit(version)), as_of)
    return log


def forget_erased(log: DecisionLog, database: Database) -> None:
    """Take whoever was erased out of the log."""
    import psycopg

    from serving.consumers.erased import erased_among
    from serving.db.urls import libpq_url

    with psycopg.connect(libpq_url(database.url())) as connection:
        log.forget(erased_among(connection, database.tenant_id, log.consumers()))


def recomputed_check(skews: Sequence[Skew]) -> CheckRecord:
    """Whether every logged vector could be made again."""
    return CheckRecord(
        RECOMPUTED,
        not any(one.differences for one in skews),
        {
            "differences": sum(one.differences for one in skews),
            "vectors": sum(one.rows for one in skews),
            "tags": max((one.tags for one in skews), default=0),
            "examples": [example for one in skews for example in one.examples],
            "note": "; ".join(sorted({one.note for one in skews if one.note})),
        },
        is_error=False,
    )
