"""Resources and the process environment: what a step finds around it, and what is switched off."""

from __future__ import annotations

import os
import re
import shutil
from urllib.parse import urlsplit

import yaml

from pipelines.overlap.cluster import launcher_of
from pipelines.settings import REPOSITORY, Settings

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Nothing leaves the machine: what Dagster, dbt, MLflow, Great Expectations and Ray would send is off."""


def environment(settings: Settings, dagster_url: str) -> dict[str, str]:
    """The environment of every process that loads the graph.

    Args:
        settings: The installation's settings.
        dagster_url: PostgreSQL address of Dagster's storage.
    """
    return TELEMETRY_OFF | {
        "DAGSTER_HOME": str(settings.home / "dagster"),
        "MUYUN_HOME": str(settings.home),
        "MUYUN_DAGSTER_URL": dagster_url,
        # Partitions of a range are logged in batches: 366 days of a dozen tables one by one take minutes.
        "DAGSTER_EVENT_BATCH_SIZE": "500",
        # implicit and scikit-learn ask for it; more threads than cores only wait for each other.
        "OPENBLAS_NUM_THREADS": "1",
        # Waiting OpenMP threads must sleep, not spin: on two cores spinning doubles the time of a training.
        "OMP_WAIT_POLICY": "PASSIVE",
        # The MLflow UI only shows; its job workers would idle at several hundred MB.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "TQDM_DISABLE": "1",
        "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", str(os.cpu_count() or 2)),
    }


def prepare_dagster_home(settings: Settings) -> None:
    """Make the Dagster home and put the shipped instance configuration into it, with a cluster's launcher.

    Raises:
        ClusterSettingsError: With `MUYUN_EXECUTOR=k8s`, a setting that the cluster needs is missing.
    """
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f".dagster.yaml.{os.getpid()}.tmp"  # others may read the file at this moment
    shutil.copyfile(REPOSITORY / "dagster.yaml", temporary)
    if settings.executor == "k8s":
        with temporary.open("a") as file:
            yaml.safe_dump({"run_launcher": launcher_of(settings)}, file)
    temporary.replace(home / "dagster.yaml")


def dagster_database(database_url: str) -> str:
    """Name of the database for Dagster's storage, beside the serving one on the same server.

    Two homes on one server have two serving databases, and so two histories of runs.

    >>> dagster_database("postgresql://u@h/muyun"), dagster_database("postgresql://u@h/Second-shop?a=b")
    ('dagster', 'second_shop_dagster')
    """
    name = re.sub(r"[^a-z0-9_]", "_", urlsplit(database_url).path.removeprefix("/").lower())
    if name in ("", "muyun"):
        return "dagster"
    return f"{'_' if name[0].isdigit() else ''}{name[:54]}_dagster"


def dagster_storage_url(database_url: str) -> str:
    """The address of a PostgreSQL database in the form that Dagster's storage needs.

    The driver is named because SQLAlchemy 2.1 takes psycopg 3 by default, on which the storage's NOTIFY
    fails. Commits of the event log do not wait for the disk: a lost run record is repeated, never money.
    """
    address = database_url.replace("postgresql+psycopg://", "postgresql://")
    address = address.replace("postgresql://", "postgresql+psycopg2://", 1)
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}options=-csynchronous_commit%3Doff"
