"""Power cuts and full disks in the middle of a run: the next run gives what an undisturbed one gives."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from world_run import REPOSITORY, Installation, explain

pytestmark = [pytest.mark.xdist_group("world"), pytest.mark.slow]


def content(installation):
    """Hashes of every table of the published versions, by version."""
    return {
        version: {name: entry["sha256"] for name, entry in manifest["tables"].items()}
        for version, manifest in installation.manifests().items()
    }


@pytest.fixture
def undisturbed(world, first):
    """What the tiny world's first run published."""
    return {
        version: {name: entry["sha256"] for name, entry in manifest["tables"].items()}
        for version, manifest in first.manifests.items()
    }


def test_kill_nine_in_the_middle_of_every_kind_of_step(world, undisturbed):
    """One installation is killed while it loads, builds, trains and publishes, each time further on."""
    with tempfile.TemporaryDirectory(prefix="muyun-killed-") as folder:
        installation = Installation(Path(folder) / "home", world.data)
        try:
            for step, delay_s in (
                ("raw/order_lines", 0.02),
                ("warehouse/dbt_build", 12),
                ("models/recommendation/lanes", 0.3),
                ("published/publication", 0.02),
            ):
                said = installation.run_and_kill_at(step, delay_s)
                assert "Traceback" not in said
            done = installation.run()
            assert done.returncode == 0, explain(done)
            assert content(installation) == undisturbed
            leftovers = [path for path in (installation.home / "lake").rglob(".*") if path.name != "."]
            assert leftovers == []
        finally:
            installation.stop_database()


@contextmanager
def small_disk(size):
    """A file system of a fixed size, or None where this user may not mount one."""
    with tempfile.TemporaryDirectory(prefix="muyun-small-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_while_the_run_goes_on(world, undisturbed, module_database_url):
    """Too little for the quality pages, then too little for the warehouse, then enough."""
    with small_disk("6m") as disk:
        if disk is None:
            _limited_file_size(world, module_database_url)
            return
        installation = Installation(disk / "home", world.data, {"MUYUN_DATABASE_URL": module_database_url})
        for size in ("6m", "24m"):
            subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
            done = installation.run()
            assert done.returncode == 1, explain(done)
            assert "the disk is full" in done.stdout + done.stderr, explain(done)
            assert "larger disk" in done.stdout + done.stderr
            assert "published/publication ..." not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=512m", disk], check=True)
        done = installation.run()
        assert done.returncode == 0, explain(done)
        assert content(installation) == undisturbed


def _limited_file_size(world, database_url):
    """Where no disk can be mounted: files that may not grow meet the same errors."""
    with tempfile.TemporaryDirectory(prefix="muyun-small-") as folder:
        installation = Installation(Path(folder), world.data, {"MUYUN_DATABASE_URL": database_url})
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "run"],
            cwd=REPOSITORY,
            env=installation.environment(),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, explain(done)
        assert os.strerror(errno.EFBIG) in done.stdout + done.stderr or "disk is full" in done.stderr


@pytest.mark.parametrize(("damage", "hour"), [("a folder", 1), ("garbage", 2)])
def test_an_mlflow_store_that_cannot_be_opened_is_named_and_heals(branch, at_hour, damage, hour):
    from graph_jobs import run_job

    store = branch["home"] / "mlflow" / "mlflow.db"
    kept = store.read_bytes()
    store.unlink()
    try:
        if damage == "a folder":
            store.mkdir()
        else:
            store.write_bytes(b"no database" * 1000)
        at_hour(hour)
        found = run_job("prices_publish")
    finally:
        store.rmdir() if damage == "a folder" else store.unlink()
        store.write_bytes(kept)
    assert not found["success"]
    assert "MLflow store" in found["failed"]["published__prices"]
    assert str(branch["home"] / "mlflow") in found["failed"]["published__prices"]
    assert "published/publication" not in found["made"]
    assert run_job("prices_publish")["success"]
