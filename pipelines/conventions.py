"""Shared words of the graph: groups, owners, layers. One place, so that the UI reads as one house."""

from __future__ import annotations

from typing import Final


class Group:
    """Asset groups in the order of the data's way. Plain strings: Dagster serialises no foreign enum."""

    INGEST: Final = "ingest"
    OPERATIONS: Final = "operations"
    WAREHOUSE: Final = "warehouse"
    FEATURES: Final = "features"
    SUPPLY: Final = "supply"
    QUALITY: Final = "quality"
    RECOMMENDATION: Final = "recommendation"
    DEMAND: Final = "demand"
    REPLENISHMENT: Final = "replenishment"
    PRICING: Final = "pricing"
    LIFECYCLE: Final = "lifecycle"
    GROWTH: Final = "growth"
    PUBLISH: Final = "publish"


class Owner:
    """Teams that answer for an asset."""

    DATA_ENGINEERING: Final = "team:data-engineering"
    ANALYTICS: Final = "team:analytics"
    DATA_SCIENCE: Final = "team:data-science"
    PLATFORM: Final = "team:platform"


JOB_TIME_TAG = "muyun/as_of"
"""Business time of a run; `make run` sets it, a person may."""
PUBLICATION_TAG = "muyun/publication"
"""`full` on a job that scores everything; what other runs publish is a refresh, kept for a shorter time."""
FORCE_TAG = "muyun/force"
"""Steps that a run does whatever their records say: `true` for all, or asset keys with commas between."""
DAYS_TAG = "muyun/days"
"""Days that a run reloads; see `pipelines.intake.days`."""
