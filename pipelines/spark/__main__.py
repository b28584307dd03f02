"""`python -m pipelines.spark [AS_OF]`: the core and every entity's tags on Spark, from the home's lake."""

from __future__ import annotations

import sys
import time
from datetime import datetime

from feature_store.registry import entities, load_registry
from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.spark.build import TARGET, build_tags, build_warehouse
from pipelines.spark.session import NoSparkError, spark_session
from pipelines.stores.sources import Sources


def main(arguments: list[str]) -> int:
    """Builds and says where the tables are; 1 when Spark or dbt refuses."""
    settings = Settings()
    if arguments:
        as_of = datetime.fromisoformat(arguments[0])
    else:
        as_of = Clock(settings, Sources(settings, Lake(settings.lake_dir))).now()
    try:
        with spark_session(settings.home / TARGET / "warehouse") as session:
            started = time.monotonic()
            build_warehouse(settings, as_of)
            print(f"core: {time.monotonic() - started:.0f} s")
            for entity in entities():
                started = time.monotonic()
                folder = build_tags(session, settings, as_of, load_registry(entity=entity))
                print(f"tags of {entity}: {time.monotonic() - started:.0f} s, {folder}")
    except (NoSparkError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
