"""What a tick does to the live store, in one transaction: rows, facts, tags, prices, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from feature_store.contracts import RefreshClass

CONSUMER = "consumer"
CLASSES = (RefreshClass.QUARTER_HOUR, RefreshClass.HOUR)
"""Refresh classes that ticks keep up to date; the others are the nightly build's."""


class Stages:
    """Seconds by stage of a tick."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure a stage; a stage that comes twice counts twice."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.seconds[name] = round(spent, 4)
