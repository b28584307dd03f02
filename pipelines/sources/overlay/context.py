"""What every table builder is given: the cut observed tables, the truths, the seed and the clock.

Lives here: `Context`. The builders are pure functions `Context -> DataFrame`; none reads a clock or the
environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pipelines.sources.overlay.draws import generator, micros
from pipelines.sources.overlay.observed import ObservedTables
from pipelines.sources.overlay.truths import PlantedTruths


@dataclass(frozen=True)
class Context:
    """Inputs of one table builder.

    Args:
        observed: observed tables, cut at `as_of`.
        truths: what to plant.
        seed: base seed; each table draws from its own stream.
        as_of: tz-aware UTC moment after which nothing may happen or arrive.
        utc_offset_hours: local time = UTC + offset.
    """

    observed: ObservedTables
    truths: PlantedTruths
    seed: int
    as_of: datetime
    utc_offset_hours: int

    @property
    def end(self) -> int:
        """`as_of` in microseconds since the epoch."""
        return micros(self.as_of)

    def rng(self, stream: str) -> np.random.Generator:
        """Return the generator of a named stream (a table, or a part that two tables share)."""
        return generator(self.seed, stream)
