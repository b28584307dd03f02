"""Steps in processes that are not ours: multiprocess, a Celery worker, the API of a Kubernetes cluster."""

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml
from elsewhere_job import all_of_it
from small_cluster import small_cluster

from pipelines.overlap.cluster import ClusterSettingsError, launcher_of
from pipelines.overlap.elsewhere import NoExecutorError
from pipelines.resources import prepare_dagster_home
from pipelines.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("elsewhere")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("MUYUN_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MUYUN_DATA", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(Path(__file__).parent)  # where every process finds the job's module
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def run(instance):
    return dg.execute_job(dg.reconstructable(all_of_it), instance=instance, raise_on_error=False)


def seen(home):
    """Process of each step, and what held the home meanwhile."""
    return {file.name: file.read_text().split(maxsplit=1) for file in home.glob("*") if file.name in STEPS}


STEPS = ("first", "second", "third")


def test_multiprocess_gives_every_step_a_process_and_the_run_keeps_the_home(home, monkeypatch):
    monkeypatch.setenv("MUYUN_EXECUTOR", "multiprocess")
    with dg.DagsterInstance.local_temp() as instance:
        assert run(instance).success
    processes = {process for process, _ in seen(home).values()}
    assert len(processes) == 3
    assert str(os.getpid()) not in processes
    assert all(holder.startswith("Dagster's run ") for _, holder in seen(home).values())


@pytest.fixture
def worker(home, database_url, other_database_url, monkeypatch, tmp_path):
    """A Celery worker of its own process; PostgreSQL is its broker, so that no other server is needed."""
    pytest.importorskip("dagster_celery", reason="the extra `celery` is not installed")
    address = other_database_url.replace("postgresql+psycopg://", "postgresql://")
    broker, backend = f"sqla+{address}", f"db+{address}"
    monkeypatch.setenv("MUYUN_EXECUTOR", "celery")
    monkeypatch.setenv("MUYUN_CELERY_BROKER", broker)
    monkeypatch.setenv("MUYUN_CELERY_BACKEND", backend)
    monkeypatch.setenv("MUYUN_DATABASE_URL", database_url)
    log = tmp_path / "worker.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.run.worker", "--concurrency", "1", "--loglevel", "INFO"],
            stdout=said,
            stderr=said,
        )
        try:
            deadline = time.monotonic() + 120
            while "ready." not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            process.wait(60)


def test_a_celery_worker_on_loopback_does_the_steps(home, worker):
    with dg.DagsterInstance.local_temp() as instance:
        assert run(instance).success
        (home / "fail").touch()
        failed = run(instance)
        assert not failed.success
        assert "as the test wants it" in str(failed.get_step_failure_events())
    assert {process for process, _ in seen(home).values()} == {
        process for process, _ in [seen(home)["first"]]
    }
    assert seen(home)["first"][0] != str(os.getpid())
    assert all(holder.startswith("Dagster's run ") for _, holder in seen(home).values())


@pytest.fixture
def cluster(home, tmp_path, monkeypatch):
    """The API of a cluster with one node, this machine: a job of it is a process."""
    pytest.importorskip("dagster_k8s", reason="the extra `k8s` is not installed")
    with small_cluster(tmp_path / "kubeconfig") as made:
        monkeypatch.setenv("MUYUN_EXECUTOR", "k8s")
        monkeypatch.setenv("MUYUN_K8S_CONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("MUYUN_K8S_IMAGE", "shop/muyun:1")
        monkeypatch.setenv("MUYUN_K8S_CLAIM", "muyun-home")
        monkeypatch.setenv("MUYUN_DATABASE_URL", "postgresql://of-the-secret/muyun")
        monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
        (home / "dagster").mkdir()
        # What `make ui` writes as well, but for the storage: files instead of PostgreSQL.
        launcher = {"run_launcher": launcher_of(Settings()), "telemetry": {"enabled": False}}
        (home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(launcher))
        yield made


def test_kubernetes_gets_a_job_for_every_step(home, cluster):
    with dg.DagsterInstance.get() as instance:
        assert run(instance).success
    assert len(cluster.jobs) == 3
    assert str(os.getpid()) not in {process for process, _ in seen(home).values()}
    assert all(holder.startswith("Dagster's run ") for _, holder in seen(home).values())
    for job in cluster.jobs.values():
        pod = job["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert container["image"] == "shop/muyun:1"
        assert {"name": "home", "persistentVolumeClaim": {"claimName": "muyun-home"}} in pod["volumes"]
        assert {"name": "home", "mountPath": str(home)} in container["volumeMounts"]
        assert {"secretRef": {"name": "muyun"}} in container["envFrom"]
        given = {item["name"]: item.get("value") for item in container["env"]}
        assert given["MUYUN_HOME"] == str(home)
        assert "MUYUN_DATABASE_URL" not in given


def test_what_celery_lacks_is_named(home):
    from pipelines.graph import executor_of

    pytest.importorskip("dagster_celery", reason="the extra `celery` is not installed")
    with pytest.raises(NoExecutorError, match="MUYUN_CELERY_BROKER"):
        executor_of(Settings(home=home, executor="celery"))


def test_what_a_cluster_lacks_is_named_before_dagster_starts(home):
    settings = Settings(home=home, executor="k8s", k8s_image="shop/muyun:1")
    with pytest.raises(ClusterSettingsError, match="needs MUYUN_K8S_CLAIM, MUYUN_DATABASE_URL"):
        prepare_dagster_home(settings)


def test_the_launcher_stands_in_the_home_of_dagster(home):
    chosen = {"k8s_image": "shop/muyun:1", "k8s_claim": "c", "database_url": "postgresql://u:secret@h/d"}
    prepare_dagster_home(Settings(home=home, executor="k8s", **chosen))
    written = (home / "dagster" / "dagster.yaml").read_text()
    assert yaml.safe_load(written)["run_launcher"]["class"] == "K8sRunLauncher"
    assert "secret" not in written.replace("env_secrets", "")
    prepare_dagster_home(Settings(home=home))
    assert "run_launcher" not in (home / "dagster" / "dagster.yaml").read_text()
