"""One tick: what was recorded since the last one goes into facts, tags and prices, and is published.

The order is fixed: read, accept, facts, tags, prices, one commit, then the delta. A tick that was killed
before the commit happened in no respect; one that was killed after it is published by the next, because
what a delta holds is asked of the store: all that changed since the revision that readers have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.live.store import LiveStore
from pipelines.settings import Settings
from pipelines.stores.models import ModelStore
from pipelines.stores.sources import Sources

_STILL_FRESH = timedelta(minutes=10)
"""A tick that finds nothing tells readers so when they were last told longer ago than this."""


@dataclass(frozen=True)
class Loop:
    """What ticks work with.

    Attributes:
        settings: The installation's settings.
        url: Address of the serving database, migrated.
        store: The live store.
        sources: The source of the home.
        lake: The lake of the home.
        models: The champions that price.
        clock: Business time.
    """

    settings: Settings
    url: str
    store: LiveStore
    sources: Sources
    lake: Lake
    models: ModelStore
    clock: Clock
