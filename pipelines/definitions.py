"""Entry point of the code location: load every flow under `pipelines/defs` and choose the executor."""

from pathlib import Path

import dagster as dg

from pipelines.platform import Platform
from pipelines.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """The whole graph."""
    settings = Settings()
    executor = (
        dg.in_process_executor
        if settings.executor == "in_process"
        else dg.multiprocess_executor.configured({"max_concurrent": 2})
    )
    return dg.Definitions.merge(
        dg.load_from_defs_folder(path_within_project=Path(__file__).parent / "defs"),
        dg.Definitions(resources={"platform": Platform(settings)}, executor=executor),
    )
