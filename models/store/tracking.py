"""MLflow: the only module that talks to it. Runs, plots, registered bundles, the champion alias.

A registered version's source is the bundle folder that the family's scoring module loads, so that nothing
is unpickled. Imported lazily by its users: `import mlflow` takes seconds.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from models.contracts import Candidate
from models.errors import TrackingError
from models.store.cards import Provenance, card
from models.store.store_files import DATABASE, champion_version, follow_move

_DESCRIPTION = 5000  # what MLflow keeps of a description
CHAMPION = "champion"
CHALLENGER = "challenger"
GATE = "gate"
"""Tag of a version with the reason of its gate."""
REFUSED = "refused"
"""How the reason of a refusal begins."""
WAITS = "waits"
"""How the reason begins of a version that is not judged before there are new data."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One registered version of a model.

    Attributes:
        name: Registered model name.
        version: Version number as MLflow writes it.
        run_id: The MLflow run that holds its parameters, metrics and plots.
        bundle_dir: Local folder of the bundle.
        config: Hyper-parameters of the version.
    """

    name: str
    version: str
    run_id: str
    bundle_dir: Path
    config: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What a version was judged on.

    Attributes:
        version: Version number as MLflow writes it.
        input_rows: Rows of the main input table.
        data_to: Last day of the data.
    """

    version: str
    input_rows: int
    data_to: date


class Tracker:
    """Logs candidates and keeps the champion alias.

    Args:
        home: Folder of the store; `mlflow.db` and `artifacts/` live in it. It may have been moved.

    Raises:
        TrackingError: The store cannot be created or opened (not writable, disk full, damaged).
    """

    def __init__(self, home: Path) -> None:
        self._artifacts = home / "artifacts"
        # Trainings may end at the same time; figures and the store's SQLite file take one writer.
        self._alone = threading.Lock()
        try:
            self._artifacts.mkdir(parents=True, exist_ok=True)
            _try_to_write(home / DATABASE)
            follow_move(home)
            self._client = MlflowClient(tracking_uri=store_uri(home))
            self._client.search_experiments(max_results=1)
        except Exception as error:  # MLflow lets SQLAlchemy's and the file system's errors through bare
            raise TrackingError(
                f"the MLflow store in {home} cannot be opened ({type(error).__name__}: {error}); "
                "make the folder writable, or move it away and run again"
            ) from error
        self._home = home

    def log(self, candidate: Candidate, provenance: Provenance) -> RegisteredVersion:
        """Log a candidate with its evidence and register its bundle.

        The version becomes `challenger`; `promote` makes it champion.

        Args:
            candidate: What a family's training returned.
            provenance: Data, code and moment of the training.

        Returns:
            The registered version; its bundle is a copy inside the store.

        Raises:
            TrackingError: The store refused the write.
        """
        try:
            with self._alone:
                return self._log(candidate, provenance)
        except (OSError, MlflowException) as error:
            raise TrackingError(
                f"{candidate.name}: the MLflow store in {self._home} refused the write ({error}); "
                "check that the folder is writable and the disk is not full"
            ) from error

    def _log(self, candidate: Candidate, provenance: Provenance) -> RegisteredVersion:
        client = self._client
        now = int(time.time() * 1000)
        run = client.create_run(self._experiment(candidate.family), run_name=candidate.name)
        run_id = run.info.run_id
        decision = candidate.decision
        metrics = dict(candidate.metrics) | {
            f"gate_{decision.metric}": decision.value,
            f"gate_{decision.metric}_best_rule": decision.baseline_value,
            "gate_lift_low": decision.lift.low,
            "gate_lift": decision.lift.mean,
        }
        tags = {
            "data_version": provenance.data_version,
            "code_version": provenance.code_version,
            "data_from": candidate.data_from.isoformat(),
            "data_to": candidate.data_to.isoformat(),
            "as_of": provenance.as_of,
            "best_rule": decision.baseline,
            GATE: decision.reason,
            "input_rows": str(candidate.input_rows),
        }
        client.log_batch(
            run_id,
            metrics=[Metric(k, float(v), now, 0) for k, v in metrics.items() if v == v],
            params=[Param(k, str(v)[:500]) for k, v in candidate.config.items()],
            tags=[RunTag(k, v) for k, v in tags.items()],
        )
        client.log_text(run_id, json.dumps(candidate.leaderboard, default=str, indent=1), "leaderboard.json")
        client.log_text(run_id, json.dumps(candidate.config, default=str, indent=1), "config.json")
        written = card(candidate, provenance)
        client.log_text(run_id, written, "card.md")
        for name, figure in sorted(candidate.figures.items()):
            client.log_figure(run_id, figure, f"figures/{name}.png")
        client.log_artifacts(run_id, str(candidate.bundle_dir), "bundle")
        if not client.search_registered_models(f"name = '{candidate.name}'"):
            client.create_registered_model(candidate.name)
        version = client.create_model_version(
            candidate.name,
            source=f"{run.info.artifact_uri}/bundle",
            run_id=run_id,
            tags={GATE: decision.reason, "code_version": provenance.code_version},
            description=written[:_DESCRIPTION],
        )
        client.set_registered_model_alias(candidate.name, CHALLENGER, version.version)
        client.set_terminated(run_id)
        return self._registered(candidate.name, str(version.version), run_id)

    def promote(self, version: RegisteredVersion) -> None:
        """Point the champion alias of the model at this version."""
        self._client.set_registered_model_alias(version.name, CHAMPION, version.version)

    def demote(self, name: str) -> None:
        """Take the champion alias away: the simple rule serves until a version passes the gate."""
        self._client.delete_registered_model_alias(name, CHAMPION)

    def last_refused(self, name: str) -> Evidence | None:
        """What the newest judged version was judged on, where the gate refused it; else None.

        Versions that only waited for new data were not judged and are passed over.
        """
        found = self._client.search_model_versions(
            f"name = '{name}'", max_results=100, order_by=["version_number DESC"]
        )
        judged = [one for one in found if not str(one.tags.get(GATE, "")).startswith(WAITS)]
        if not judged or not str(judged[0].tags.get(GATE, "")).startswith(REFUSED):
            return None
        tags = self._client.get_run(str(judged[0].run_id)).data.tags
        return Evidence(
            str(judged[0].version), int(tags["input_rows"]), datetime.fromisoformat(tags["data_to"]).date()
        )

    def champion(self, name: str) -> RegisteredVersion | None:
        """The version that serves, or None when none has passed the gate yet or its bundle is gone."""
        if champion_version(self._home, name) is None:
            return None
        found = self._client.get_model_version_by_alias(name, CHAMPION)
        return self._registered(name, str(found.version), str(found.run_id))

    def _registered(self, name: str, version: str, run_id: str) -> RegisteredVersion:
        run = self._client.get_run(run_id)
        folder = Path(str(run.info.artifact_uri).removeprefix("file://"))
        config = json.loads((folder / "config.json").read_text())
        return RegisteredVersion(name, version, run_id, folder / "bundle", config)

    def _experiment(self, family: str) -> str:
        found = self._client.get_experiment_by_name(family)
        if found is not None:
            return str(found.experiment_id)
        return str(
            self._client.create_experiment(family, artifact_location=f"file://{self._artifacts / family}")
        )


def _try_to_write(file: Path) -> None:
    """Take and give back the write lock: MLflow itself tries a damaged file for more than a minute.

    Raises:
        sqlite3.Error: The file is no database, cannot be opened or cannot be written.
    """
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as store:
        store.execute("begin immediate")
        store.execute("rollback")


def store_uri(home: Path) -> str:
    """The tracking address of a store folder, for the tracker and for the MLflow UI."""
    return f"sqlite:///{home / DATABASE}"


def silence() -> None:
    """Keep MLflow's progress bars and chatter out of the run's output."""
    import logging

    mlflow.utils.logging_utils.disable_logging()
    logging.getLogger("alembic").setLevel(logging.ERROR)
