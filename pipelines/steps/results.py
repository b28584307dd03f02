"""Step records in Dagster's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.steps.state import StepRecord


def materialize_result(record: StepRecord, *, reused: bool = False) -> dg.MaterializeResult:
    """A step record as Dagster's materialisation with its check results."""
    metadata = dict(record.metadata) | {"wall_s": record.wall_s, "peak_rss_mb": record.peak_rss_mb}
    if reused:
        metadata["reused"] = True
    return dg.MaterializeResult(
        asset_key=dg.AssetKey(record.key.split("/")),
        metadata={
            "dagster/row_count": int(record.metadata.get("rows", 0)),
            **as_metadata({name: value for name, value in metadata.items() if name != "rows"}),
        },
        data_version=dg.DataVersion(record.version),
        check_results=[
            dg.AssetCheckResult(
                check_name=check.name,
                asset_key=dg.AssetKey(record.key.split("/")),
                passed=check.passed,
                severity=dg.AssetCheckSeverity.ERROR if check.is_error else dg.AssetCheckSeverity.WARN,
                metadata=as_metadata(check.metadata),
            )
            for check in record.checks
        ],
    )


def as_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-able facts as Dagster metadata: `_md` keys as Markdown, containers as JSON."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name.endswith("_md"):
            result[name.removesuffix("_md")] = dg.MetadataValue.md(str(value))
        elif isinstance(value, dict | list):
            result[name] = dg.MetadataValue.json(value)
        elif value is None:
            result[name] = dg.MetadataValue.null()
        else:
            result[name] = value
    return result
