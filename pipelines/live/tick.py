"""One tick: what was recorded since the last one goes into facts, tags and prices, and is published.

The order is fixed: read, accept, facts, tags, prices, one commit, then the delta. A tick that was killed
before the commit happened in no respect; one that was killed after it is published by the next, because
what a delta holds is asked of the store: all that changed since the revision that readers have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from feature_store.contracts import RefreshClass
from feature_store.registry import Registry, load_registry
from pipelines.clock import Clock
from pipelines.live.store import LiveStore
from pipelines.settings import Settings
from pipelines.stores.models import ModelStore
from pipelines.stores.sources import Sources

CONSUMER = "consumer"
CLASSES = (RefreshClass.QUARTER_HOUR, RefreshClass.HOUR)
"""Refresh classes that a tick keeps up to date; the others are the nightly build's."""


@dataclass(frozen=True)
class Loop:
    """What a tick works with.

    Attributes:
        settings: The installation's settings.
        url: Address of the serving database, migrated.
        store: The live store.
        sources: The source and the lake of the home.
        models: Champions that price.
        clock: Business time.
    """

    settings: Settings
    url: str
    store: LiveStore
    sources: Sources
    models: ModelStore
    clock: Clock
    registry: Registry = field(default_factory=load_registry)
