"""A seeded generator of the feeds that the embedded panel lacks, hung on its observed orders.

Overlay rows carry `origin = 'overlay'` and are never mixed silently with observed ones. `generate` fills one
contract table; `planted_truths` says what was planted. Documented in docs/overlay.md.
"""

from pipelines.sources.overlay.generate import OVERLAY_ORDER, OVERLAY_TABLES, OverlayError, generate
from pipelines.sources.overlay.observed import ObservedTables
from pipelines.sources.overlay.truths import PlantedTruths, planted_truths

__all__ = [
    "OVERLAY_ORDER",
    "OVERLAY_TABLES",
    "ObservedTables",
    "OverlayError",
    "PlantedTruths",
    "generate",
    "planted_truths",
]
