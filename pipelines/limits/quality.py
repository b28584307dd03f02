"""Great Expectations at the three boundaries: accepted feeds, features, published scores.

Runs a suite on a pandas frame and keeps the Data Docs under the run folder. What a suite expects is data, in
`limits`; which asset it guards is wiring, in `defs`. Imported lazily: the library takes seconds to import.
"""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity

from pipelines.limits.comparison import Breach
from pipelines.limits.document import Limit

_DATASOURCE = "muyun"

RESULTS_KEPT = 20
"""Results of a suite that the Data Docs show."""


@dataclass(frozen=True)
class SuiteResult:
    """Outcome of one suite.

    Attributes:
        breaches: One an expectation that did not hold.
        expectations: Number of expectations evaluated.
        rows_seen: Rows of the frame that was judged.
    """

    breaches: list[Breach]
    expectations: int
    rows_seen: int


class DataDocs:
    """A Great Expectations project kept as files under one folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        root.mkdir(parents=True, exist_ok=True)
        _drop_torn_files(root / "gx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._context = gx.get_context(mode="file", project_root_dir=str(root))
        self._one_at_a_time = threading.Lock()
        self._results = root / "gx" / "uncommitted" / "validations"
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)

    def validate(self, name: str, frame: pd.DataFrame, limits: Mapping[str, Limit]) -> SuiteResult:
        """Run a suite on a frame, save it, and rebuild the Data Docs.

        Args:
            name: Suite name, e.g. `accepted_orders`.
            frame: The rows to judge; a sample or aggregates where the table is large.
            limits: What must hold, by name; limits on facts are not judged here.

        Returns:
            The outcome with one breach a failed expectation.
        """
        # Steps run in threads of one process, and the project is files of one folder.
        with self._one_at_a_time:
            return self._validate(name, frame, limits)

    def _validate(self, name: str, frame: pd.DataFrame, limits: Mapping[str, Limit]) -> SuiteResult:
        context = self._context
        _drop_old_results(self._results / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = context.data_sources.add_or_update_pandas(_DATASOURCE)
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
            suite = context.suites.add_or_update(gx.ExpectationSuite(name=name))
            for limit_name, limit in limits.items():
                if limit.expectation is not None:
                    suite.add_expectation_configuration(_configured(limit_name, limit))
            suite.save()
            definition = context.validation_definitions.add_or_update(
                gx.ValidationDefinition(name=name, data=batch, suite=suite)
            )
            checkpoint = context.checkpoints.add_or_update(
                gx.Checkpoint(name=name, validation_definitions=[definition], actions=[])
            )
            outcome = checkpoint.run(batch_parameters={"dataframe": frame})
            context.build_data_docs()
        results = [item for run in outcome.run_results.values() for item in run.results]
        breaches = [_breach(item, limits) for item in results if not item.success]
        return SuiteResult(breaches, len(results), len(frame))


def _configured(name: str, limit: Limit) -> ExpectationConfiguration:
    return ExpectationConfiguration(
        type=str(limit.expectation),
        kwargs=dict(limit.arguments),
        meta={"limit": name},
        notes=limit.reason,
        severity=FailureSeverity.CRITICAL if limit.severity == "error" else FailureSeverity.WARNING,
    )


def _drop_torn_files(project: Path) -> None:
    """Remove what a killed process or a full disk left half written; every file can be made again."""
    settings = project / "great_expectations.yml"
    if settings.exists() and "data_docs_sites" not in settings.read_text():
        settings.unlink()
    for file in project.rglob("*.json"):
        try:
            json.loads(file.read_bytes())
        except ValueError:
            file.unlink()


def _drop_old_results(folder: Path) -> None:
    """Keep a suite's newest results: the Data Docs are rebuilt from all of them each time."""
    results = sorted(folder.glob("*/*/*.json"), key=lambda file: (file.parent.name, file.name))
    for file in results[: -RESULTS_KEPT + 1]:
        file.unlink()


def _breach(item: Any, limits: Mapping[str, Limit]) -> Breach:
    name = item.expectation_config.meta["limit"]
    return Breach(name, limits[name].severity == "error", _explain(item), limits[name].reason)


def _explain(item: Any) -> str:
    config = item.expectation_config
    arguments = {k: v for k, v in config.kwargs.items() if k != "batch_id"}
    if item.exception_info and item.exception_info.get("raised_exception"):
        return (
            f"{config.type} {arguments}: could not be evaluated: {item.exception_info['exception_message']}"
        )
    found = item.result
    if "observed_value" in found:
        return f"{config.type} {arguments}: observed {found['observed_value']}"
    share = found.get("unexpected_percent") or 0.0
    sample = found.get("partial_unexpected_list", [])[:5]
    return f"{config.type} {arguments}: {share:.2f}% of rows break it, e.g. {sample}"
