"""Shared words of the graph: groups, owners, layers. One place, so that the UI reads as one house."""

from __future__ import annotations

from enum import StrEnum


class Group(StrEnum):
    """Asset groups in the order of the data's way."""

    INGEST = "ingest"
    WAREHOUSE = "warehouse"
    FEATURES = "features"
    RECOMMENDATION = "recommendation"
    DEMAND = "demand"
    REPLENISHMENT = "replenishment"
    PRICING = "pricing"
    LIFECYCLE = "lifecycle"
    PUBLISH = "publish"


class Owner(StrEnum):
    """Teams that answer for an asset."""

    DATA_ENGINEERING = "team:data-engineering"
    ANALYTICS = "team:analytics"
    DATA_SCIENCE = "team:data-science"
    PLATFORM = "team:platform"


JOB_TIME_TAG = "muyun/as_of"
SINGLE_RUN_START_TAG = "dagster/asset_partition_range_start"
SINGLE_RUN_END_TAG = "dagster/asset_partition_range_end"
