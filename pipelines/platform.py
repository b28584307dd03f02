"""The platform resource: settings, lake, step records. Every asset gets its world from here.

`Platform.step` is the one way an asset does its work: it skips unchanged work, measures what it does, records
the outcome after the outputs are written, and reports progress on standard error.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipelines import publication
from pipelines.conventions import JOB_TIME_TAG
from pipelines.lake import Lake
from pipelines.progress import announce, report
from pipelines.settings import Settings
from pipelines.state import CheckRecord, StateStore, StepRecord, code_version, fingerprint, measured

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from models.tracking import Tracker
    from pipelines.feeds import Feeds
    from pipelines.quality import DataDocs
    from pipelines.sources.operational import Extraction
    from pipelines.sources.protocol import Source
    from pipelines.suites import Boundary


@dataclass
class Outcome:
    """What a step's body reports.

    Attributes:
        rows: Rows written; shown in the UI and in the progress line.
        metadata: JSON-able facts for the UI; keys that end in `_md` are Markdown.
        checks: Outcomes of the checks declared on the asset.
        version: Hash of the content when the body knows it; None means the step's fingerprint.
    """

    rows: int
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[CheckRecord] = field(default_factory=list)
    version: str | None = None


class Platform:
    """Settings and stores of one installation.

    Args:
        settings: The installation's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake_dir)
        self.state = StateStore(settings.state_dir)

    @cached_property
    def source(self) -> Source:
        """The adapter of the configured source: the embedded panel or a user's folder."""
        if self.settings.data is None:
            from pipelines.sources.complete_journey import CompleteJourney

            return CompleteJourney()
        from pipelines.sources.files import Files

        return Files(self.settings.data, not_after=datetime.now(UTC))

    @cached_property
    def feeds(self) -> Feeds:
        """The loader of contract tables; what it read once it keeps for the run."""
        from pipelines.feeds import Feeds
        from pipelines.sources.recorded import RecordedRows

        self.lake.create()
        return Feeds(
            self.source,
            self.lake,
            with_overlay=self.settings.embedded,
            seed=self.settings.seed,
            utc_offset_hours=self.settings.offset_hours,
            recorded=RecordedRows(self.recorded_feeds, self.recorded_books),
        )

    @cached_property
    def recorded_feeds(self) -> Extraction:
        """What the operational database recorded of orders, stock, parcels, cases and events."""
        from pipelines.sources.operational import recorded_feeds

        return recorded_feeds(self.lake.root)

    @cached_property
    def recorded_books(self) -> Extraction:
        """What the operational database recorded of settlement legs and ledger entries."""
        from pipelines.sources.operational import recorded_books

        origin = "overlay" if self.settings.embedded else "observed"
        return recorded_books(self.lake.root, replayed_origin=origin)

    @cached_property
    def tracker(self) -> Tracker:
        """The MLflow store; importing it takes seconds, so only steps that need it ask."""
        from models import tracking

        tracking.silence()
        return tracking.Tracker(self.settings.mlflow_dir)

    @cached_property
    def panel_end(self) -> datetime:
        """The newest order of the embedded panel."""
        return self.source.as_of()

    def fixed_now(self) -> datetime | None:
        """Business time when it stands still: the setting, or what the embedded panel has seen; else None.

        The panel ends with its newest order; what the API recorded since goes on from there.
        """
        if self.settings.as_of is not None:
            return self.settings.as_of
        if not self.settings.embedded:
            return None
        return max(self.panel_end, self.recorded_feeds.last_time() or self.panel_end)

    def now(self) -> datetime:
        """Business time outside a run."""
        return self.fixed_now() or datetime.now(UTC)

    def as_of(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> datetime:
        """Business time of a run: one value for all its steps, in whatever process they run."""
        tag = context.run.tags.get(JOB_TIME_TAG)
        if tag:
            return datetime.fromisoformat(tag)
        fixed = self.fixed_now()
        if fixed is not None:
            return fixed
        record = context.instance.get_run_record_by_id(context.run.run_id)
        return record.create_timestamp.astimezone(UTC) if record else self.now()

    def warehouse(self) -> duckdb.DuckDBPyConnection:
        """A read-only connection to the published warehouse.

        Raises:
            dg.Failure: The warehouse has not been published yet.
        """
        import duckdb

        if not self.settings.warehouse_file.exists():
            raise dg.Failure(
                f"the warehouse {self.settings.warehouse_file} does not exist yet; "
                "materialise warehouse/published first"
            )
        connection = duckdb.connect(str(self.settings.warehouse_file), read_only=True)
        connection.execute("SET memory_limit='2GB'; SET threads=2; SET TimeZone='UTC'")
        return connection

    def step(
        self,
        context: dg.AssetExecutionContext,
        body: Callable[[], Outcome],
        *,
        code: Sequence[str],
        settings: Mapping[str, object] | None = None,
        outputs: Iterable[Path] = (),
        uses_clock: bool = True,
    ) -> dg.MaterializeResult:
        """Do a step's work, or report the last outcome when nothing it depends on has changed.

        Args:
            context: The asset's context; its key and upstream keys name the step and its inputs.
            body: The work; called at most once.
            code: Repository paths whose content decides the result.
            settings: Further settings that decide the result.
            outputs: Files that must still exist for the last outcome to count.
            uses_clock: Whether business time decides the result.

        Returns:
            The materialisation with its checks.
        """
        key = context.asset_key.to_user_string()
        mark = self.mark(context, code=code, settings=settings, uses_clock=uses_clock)
        record = self.state.get(key)
        if record is not None and record.fingerprint == mark and all(path.exists() for path in outputs):
            report(key, record.metadata.get("rows"), "unchanged")
            return materialize_result(record, reused=True)
        self.state.forget(key)
        announce(key)
        with measured() as cost:
            outcome = body()
        record = StepRecord(
            key=key,
            fingerprint=mark,
            version=outcome.version or mark,
            metadata={"rows": outcome.rows, "as_of": self.as_of(context).isoformat(), **outcome.metadata},
            checks=outcome.checks,
            wall_s=round(cost.wall_s, 2),
            peak_rss_mb=round(cost.peak_rss_mb, 1),
        )
        if all(check.passed or not check.is_error for check in outcome.checks):
            self.state.put(record)
        report(key, outcome.rows, f"{cost.wall_s:.1f} s, {cost.peak_rss_mb:.0f} MB")
        self.journal(context.run.run_id, record)
        return materialize_result(record)

    def mark(
        self,
        context: dg.AssetExecutionContext,
        *,
        code: Sequence[str],
        settings: Mapping[str, object] | None,
        uses_clock: bool,
    ) -> str:
        """The fingerprint of a step: what it reads, the code that decides, the settings, the clock."""
        definition = context.assets_def
        upstream = sorted(
            {
                key.to_user_string()
                for selected in definition.keys
                for key in definition.asset_deps[selected]
                if key not in definition.keys
            }
        )
        parts = {
            "inputs": {key: self.version(key) for key in upstream},
            "code": code_version(code),
            "settings": dict(settings or {}),
            "seed": self.settings.seed,
            "as_of": self.as_of(context).isoformat() if uses_clock else None,
        }
        return fingerprint(parts)

    def work_dir(self, family: str) -> Path:
        """An empty folder for the bundles that a training writes before they are registered."""
        folder = self.settings.home / "work" / family
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def save_scores(self, name: str, frame: pl.DataFrame) -> None:
        """Keep a freshly scored table for publication, in the published columns and types."""
        self.lake.put(publication.score_key(name), publication.conform(name, frame))

    def score_files(self, *names: str) -> list[Path]:
        """Where freshly scored tables are kept."""
        return [self.lake.derived_path(publication.score_key(name)) for name in names]

    def save_model_versions(self, family: str, versions: Mapping[str, str]) -> None:
        """Remember which versions made the current scores of a family."""
        self.lake.write_report(f"model_versions/{family}", dict(versions))

    def judge(self, boundary: Boundary, read: Callable[[], pl.DataFrame]) -> CheckRecord:
        """Judge an asset's content by a Great Expectations suite, unless this very content passed before.

        Args:
            boundary: The suite and the asset whose data version names the content.
            read: The rows to judge.

        Returns:
            The outcome; only a pass is remembered.
        """
        key = f"checks/{boundary.suite}"
        mark = self._boundary_mark(boundary)
        record = self.state.get(key)
        if record is not None and record.fingerprint == mark:
            return CheckRecord(boundary.suite, True, {**record.metadata, "reused": True})
        announce(key)
        with measured() as cost:
            outcome = self.data_docs.validate(boundary.suite, read().to_pandas(), boundary.expectations)
        facts = {
            "result_md": outcome.as_markdown(),
            "expectations": outcome.expectations,
            "rows_judged": outcome.rows_seen,
            "data_docs": str(self.settings.data_docs_dir / "index.html"),
        }
        if outcome.passed:
            self.state.put(
                StepRecord(key, mark, mark, facts, [], round(cost.wall_s, 2), round(cost.peak_rss_mb, 1))
            )
        else:
            report(key, None, "FAILED: " + "; ".join(outcome.failures))
        return CheckRecord(boundary.suite, outcome.passed, facts)

    def require_passed(self, boundaries: Iterable[Boundary]) -> None:
        """Refuse to work behind a boundary that the present content has not passed.

        Within one run a failed check already blocks; a job that starts behind the boundary only finds the
        content that an earlier run left.

        Raises:
            dg.Failure: Names each asset that must be checked, or repaired, first.
        """
        held = [
            boundary
            for boundary in boundaries
            if (record := self.state.get(f"checks/{boundary.suite}")) is None
            or record.fingerprint != self._boundary_mark(boundary)
        ]
        if held:
            names = ", ".join(f"{boundary.asset} (suite {boundary.suite})" for boundary in held)
            raise dg.Failure(
                f"not checked, or stopped by its check, as it is now: {names}; "
                "repair the data and materialise the asset with its checks first",
                allow_retries=False,
            )

    def _boundary_mark(self, boundary: Boundary) -> str:
        suite = [[expectation.type, dict(expectation.arguments)] for expectation in boundary.expectations]
        return fingerprint({"version": self.version(boundary.asset), "suite": suite})

    @cached_property
    def data_docs(self) -> DataDocs:
        """The Great Expectations project of this installation; importing the library takes seconds."""
        from pipelines.quality import DataDocs

        return DataDocs(self.settings.quality_dir)

    def database_url(self) -> str:
        """The serving database, started if it is the embedded one, and migrated."""
        from serving.db.connect import ready_database
        from serving.settings import Settings as ServingSettings

        return ready_database(ServingSettings())

    @staticmethod
    def database_number(url: str) -> str:
        """What tells this very database from one that was made anew at the same address."""
        from pipelines.sources.operational import database_identity

        return database_identity(url)

    def database_identity(self) -> str:
        """What tells one serving database from another, without secrets: part of what a publication did."""
        from serving.db.urls import without_password
        from serving.settings import Settings as ServingSettings

        url = ServingSettings().database_url
        return without_password(url) if url else f"embedded in {self.settings.home}"

    def version(self, key: str) -> str:
        """Data version of an asset as last recorded; `absent` when it was never made."""
        record = self.state.get(key)
        return record.version if record is not None else "absent"

    def journal(self, run_id: str, record: StepRecord) -> None:
        """Append a step's cost to the run's journal, the source of the report's time and memory table."""
        import json

        folder = self.settings.home / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        line = {
            "run_id": run_id,
            "name": record.key,
            "wall_s": record.wall_s,
            "peak_rss_mb": record.peak_rss_mb,
        }
        with (folder / f"{run_id}.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")


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
