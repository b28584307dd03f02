"""A job of three steps under the executor that the environment names, built anew by every process."""

import os
from pathlib import Path

import dagster as dg

from pipelines.graph import executor_of
from pipelines.home.lock import holder_of
from pipelines.settings import Settings


@dg.asset
def first(context: dg.AssetExecutionContext) -> None:
    """Notes its process."""
    _note("first")


@dg.asset(deps=[first])
def second(context: dg.AssetExecutionContext) -> None:
    """Notes its process, and who holds the home."""
    _note("second")


@dg.asset(deps=[second])
def third(context: dg.AssetExecutionContext) -> None:
    """Notes its process; fails where the test wants it."""
    _note("third")
    if (Path(os.environ["MUYUN_HOME"]) / "fail").exists():
        raise RuntimeError("as the test wants it")


def _note(step: str) -> None:
    home = Path(os.environ["MUYUN_HOME"])
    (home / step).write_text(f"{os.getpid()} {holder_of(home)}")


def all_of_it() -> dg.JobDefinition:
    """The job."""
    return dg.Definitions(
        assets=[first, second, third],
        jobs=[dg.define_asset_job("all_of_it", selection="*")],
        executor=executor_of(Settings()),
    ).resolve_job_def("all_of_it")
