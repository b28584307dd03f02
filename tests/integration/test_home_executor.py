"""Runs that Dagster starts wait for the command line, say so, and hold the home while they work."""

import threading
import time

import dagster as dg
import pytest
from home_job import small_job, small_job_elsewhere

from pipelines.home.lock import holder_of, home_lock
from pipelines.home.source import remember_source
from pipelines.settings import Settings


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUYUN_DATA", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def run(instance, job=small_job):
    return dg.execute_job(dg.reconstructable(job), instance=instance, raise_on_error=False)


def test_a_run_of_dagster_waits_for_the_command_line_and_then_holds_the_home(home):
    results = []
    with dg.DagsterInstance.local_temp() as instance:
        with home_lock(home, "muyun run"):
            thread = threading.Thread(target=lambda: results.append(run(instance)))
            thread.start()
            deadline = time.monotonic() + 60
            while not (said := logged(instance)) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not (home / "seen").exists()
        thread.join(300)
    assert "muyun run (pid " in said[0]
    assert results[0].success
    assert (home / "seen").read_text().startswith("Dagster's run ")
    assert holder_of(home) is None
    assert Settings().embedded


def logged(instance):
    """What the runs told about waiting."""
    return [
        event.user_message
        for run in instance.get_runs()
        for event in instance.all_logs(run.run_id)
        if "waiting until it ends" in event.user_message
    ]


def test_a_run_of_dagster_refuses_another_source(home, tmp_path, monkeypatch):
    for name in ("feeds", "others"):
        (tmp_path / name).mkdir()
    remember_source(Settings(data=tmp_path / "feeds"))
    monkeypatch.setenv("MUYUN_DATA", str(tmp_path / "others"))
    with dg.DagsterInstance.local_temp() as instance:
        assert not run(instance, small_job_elsewhere).success
    assert not (home / "seen").exists()
    assert holder_of(home) is None
