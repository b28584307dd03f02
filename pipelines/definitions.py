"""Entry point of the code location: reads the settings of this process once and builds the graph."""

import dagster as dg

from pipelines.graph import build_defs
from pipelines.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """The whole graph."""
    return build_defs(Settings())
