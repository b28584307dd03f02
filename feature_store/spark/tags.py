"""The tag table of a Spark session: the compiled statement over the tables of the session's catalogue.

Needs the extra `spark`. The session decides where it runs: on this machine, or on a cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.compiler import ENTITIES, compile_tags, population_sql
from feature_store.errors import EntityFrameError
from feature_store.registry import Registry, load_registry
from feature_store.spark.dialect import Step, for_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@contextmanager
def tag_table(
    session: SparkSession,
    as_of: datetime,
    folder: Path,
    tags: Iterable[str] | None = None,
    *,
    time_zone: str = "UTC",
    registry: Registry | None = None,
    among: str = "TRUE",
) -> Iterator[DataFrame]:
    """The tag table at a moment, for as long as the block lasts: what it reads lies in a folder until then.

    Args:
        session: A session with the warehouse's schemas in its catalogue; its time zone is set to UTC, and
            arithmetic that overflows is made an error, as on DuckDB.
        as_of: The moment, timezone-aware.
        folder: Where the parts of the statement are written, a folder that the whole cluster sees; there must
            be none yet, and none is left.
        tags: Names of the tags; all by default.
        time_zone: IANA zone of local hours and days.
        registry: The registry; the packaged one by default.
        among: Condition on the entity's id, for a part of the population.

    Yields:
        A row for every entity known at `as_of`: `row_id`, the id, `as_of` and one column a tag.

    Raises:
        EntityFrameError: `as_of` carries no time zone.
        UnknownTagError: A tag is not in the registry.
    """
    if as_of.tzinfo is None:
        raise EntityFrameError(f"as_of must carry a time zone, got {as_of!r}.")
    registry = registry or load_registry()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.ansi.enabled", "true")
    moment = f"TIMESTAMP '{as_of.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
    key = registry.id_column
    (known,) = for_spark(population_sql(registry).replace("$as_of", moment))
    entities = (
        f"SELECT CAST(ROW_NUMBER() OVER (ORDER BY {key}) - 1 AS BIGINT) AS row_id, {key}, {moment} AS as_of "
        f"FROM ({known.sql}) WHERE {among}"
    )
    statement = compile_tags(registry, tags, time_zone=time_zone)
    with _written(session, folder, [Step(ENTITIES, entities), *for_spark(statement.sql)]) as frame:
        yield frame


@contextmanager
def _written(session: SparkSession, folder: Path, steps: Iterable[Step]) -> Iterator[DataFrame]:
    """Writes every step but the last, which later ones read as a temporary view; yields the last one's rows.

    What Spark keeps in memory would be planned again with every reader; a table of files is planned once.
    """
    *parts, last = steps
    made = []
    try:
        for step in parts:
            files = str(folder / step.name)
            session.sql(step.sql).write.parquet(files)
            session.read.parquet(files).createOrReplaceTempView(step.name)
            made.append(step.name)
        yield session.sql(last.sql)
    finally:
        for name in made:
            session.catalog.dropTempView(name)
        shutil.rmtree(folder, ignore_errors=True)
