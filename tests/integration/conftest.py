"""An installation in this process: a copy of the tiny world's files, with a database of its own."""

import shutil

import pytest
from tiny_world import AS_OF, REPLAY_DAYS

COPIED = ("lake", "warehouse", "state", "mlflow", "dbt")


@pytest.fixture(scope="module")
def branch(world, first, module_database_url, tmp_path_factory):
    """A copy of the finished run, configured by this process's environment; its database starts empty.

    Yields:
        The run folder, the folder of feeds and the address of the database, by name.
    """
    folder = tmp_path_factory.mktemp("branch")
    for name in COPIED:
        shutil.copytree(world.home / name, folder / "home" / name)
    shutil.copytree(world.data, folder / "feeds")
    patch = pytest.MonkeyPatch()
    for name, value in {
        "MUYUN_HOME": str(folder / "home"),
        "MUYUN_DATA": str(folder / "feeds"),
        "MUYUN_AS_OF": AS_OF.isoformat(),
        "MUYUN_REPLAY_DAYS": str(REPLAY_DAYS),
        "MUYUN_DATABASE_URL": module_database_url,
        "MUYUN_LAKE": "",
        "MUYUN_WAREHOUSE_BUILD": "",
        "MUYUN_UTC_OFFSET_HOURS": "8",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DAGSTER_EVENT_BATCH_SIZE": "500",
    }.items():
        patch.setenv(name, value)
    yield {"home": folder / "home", "feeds": folder / "feeds", "database": module_database_url}
    patch.undo()


@pytest.fixture
def at_hour(monkeypatch):
    """Move the business time of the installation on by days and hours: by day, most steps have work to do."""
    import datetime as dt

    def move(hours):
        monkeypatch.setenv("MUYUN_AS_OF", (AS_OF + dt.timedelta(days=hours, hours=hours)).isoformat())

    return move
