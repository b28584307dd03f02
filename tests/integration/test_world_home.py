"""A home as a thing: moved, used by two at once, robbed of its database, saved and restored, set aside."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import psutil
import psycopg
import pytest
from world_run import REPOSITORY, Installation, explain

from models.store.store_files import champion_version, newest_bundles
from pipelines.home.lock import home_lock
from pipelines.lake.tables import Lake
from serving.db.urls import libpq_url
from serving.scores import loader

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture(scope="module")
def moved(world, first):
    """The finished installation at another place, with its feeds; at the first place there is nothing."""
    world.stop_database()
    away = world.home.with_name("away")
    with tempfile.TemporaryDirectory(prefix="muyun-moved-") as folder:
        for source in (world.home, world.data):
            # Not shutil: for root the files of PostgreSQL belong to another user.
            subprocess.run(["cp", "-a", str(source), folder], check=True)
        world.home.rename(away)
        # No folder is named: the home knows it.
        installation = Installation(Path(folder) / "home", Path(folder) / "feeds", {"MUYUN_DATA": ""})
        try:
            yield installation
        finally:
            installation.stop_database()
            away.rename(world.home)


_AGAIN = re.compile(
    r"^\[.*\] (raw|operations|warehouse|features|models|published|checks)/"
    # A run reads its own prices, purchase orders and grades.
    r"(?!price_changes|purchase_lines|messages|grade_changes|level_changes|supply_answers"
    r"|assortment_decisions|recorded_prices|.*(unchanged$|still at work))",
    re.M,
)


def worked(done):
    """The lines about steps that a run did again."""
    return _AGAIN.findall(done.stderr)


def served(installation):
    """The version that readers see."""
    with installation.database() as url:
        found = loader.current(url)
        return found.version if found else None


def rows_of(installation, table):
    """Rows of a contract table in the lake."""
    return Lake(installation.home / "lake").scan(table).select(pl.len()).collect().item()


@contextmanager
def api(installation):
    """The API of an installation; yields its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server"],
        cwd=REPOSITORY,
        env=installation.environment({"MUYUN_API_PORT": "0"}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert "Muyun API on " in line
        address = line.split()[3]
        wait_for(f"{address}/health/ready", process)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def wait_for(url, process, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"{url} did not answer")


def test_a_moved_home_repeats_nothing_and_serves(moved, world, first):
    done = moved.run()
    assert done.returncode == 0, explain(done)
    assert "nothing new since" in done.stdout
    assert worked(done) == []
    (version,) = first.manifests
    with api(moved) as address:
        assert httpx.get(f"{address}/health/ready").json()["publication_version"] == version
    assert moved.manifests().keys() == first.manifests.keys()
    assert {manifest["kind"] for manifest in moved.manifests().values()} == {"full"}
    assert str(world.home) not in done.stdout + done.stderr


def test_a_moved_home_finds_its_models_and_trains_where_it_lies_now(moved, first):
    store = moved.home / "mlflow"
    names = [model["name"] for model in first.summary["models"]]
    bundles = newest_bundles(store, names)
    assert len(bundles) == len(names) > 0
    assert all(bundle.is_dir() for bundle in bundles)
    for model in first.summary["models"]:
        assert (champion_version(store, model["name"]) is not None) is model["promoted"]


def test_a_run_with_nothing_new_starts_no_database_until_somebody_wrote(moved):
    moved.stop_database()
    assert "nothing new since" in moved.run().stdout  # looks, and sees in which state the server rests
    log = moved.home / "postgres" / "postgres.log"
    before = log.read_bytes()
    again = moved.run()
    assert "nothing new since" in again.stdout, explain(again)
    assert log.read_bytes() == before, "the server was started"
    with moved.database() as url, psycopg.connect(libpq_url(url)) as connection:
        connection.execute("create table public.scratch (n int)")
    moved.stop_database()
    before = log.read_bytes()
    looked = moved.run()
    assert "nothing new since" in looked.stdout, explain(looked)
    assert log.read_bytes() != before, "nobody looked at what was written"


def test_two_runs_at_once_take_turns(moved):
    with home_lock(moved.home, "muyun run", wait=False):
        refused = moved.run("run --no-wait")
        assert refused.returncode == 1
        assert f"muyun run (pid {os.getpid()}, since " in refused.stderr
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "run"],
            cwd=REPOSITORY,
            env=moved.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = next((line for line in process.stderr if "waiting until it ends" in line), "")
        assert f"muyun run (pid {os.getpid()}, since " in said
        assert process.poll() is None
        listed = moved.run("versions")
        assert listed.returncode == 0, explain(listed)
    _, rest = process.communicate(timeout=900)
    assert process.returncode == 0, rest


def test_a_run_beside_the_user_interface(moved, first, free_ports):
    """The home's own folder is what `muyun ui` works on; the run leaves it its PostgreSQL."""
    (version,) = first.manifests
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "ui"],
        cwd=REPOSITORY,
        env=moved.environment({f"MUYUN_{name}_PORT": str(port) for name, port in free_ports.items()}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ready = f"http://127.0.0.1:{free_ports['API']}/health/ready"
    try:
        wait_for(ready, process)
        second = moved.run("ui")
        assert second.returncode == 1
        assert f"muyun ui (pid {process.pid}, since" in second.stderr
        pinned = moved.run(f"rollback {version}")
        assert pinned.returncode == 0, explain(pinned)
        done = moved.run()
        assert done.returncode == 0, explain(done)
        assert worked(done) == []
        assert f"PINNED readers stay on {version}" in done.stdout
        assert moved.summary()["pinned"] == version
        listed = moved.run("versions").stdout.splitlines()
        assert [line.split()[1] for line in listed if line.endswith("  pinned")] == [version]
        assert moved.run("release").stdout == f"serving {version}\n"
        assert httpx.get(ready, timeout=5).json()["publication_version"] == version
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert serving_still(moved.home) == []


def serving_still(home):
    """Command lines of Dagster's, MLflow's and our own servers that still work for a home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if process.environ().get("MUYUN_HOME") == str(home) and process.pid != os.getpid():
                found.append(" ".join(process.info["cmdline"] or []))
        except psutil.Error:
            continue
    return [line for line in found if "postgres" not in line]


def test_a_lost_database_is_noticed_and_filled_again(moved, first):
    moved.stop_database()
    shutil.rmtree(moved.home / "postgres")
    done = moved.run()
    assert done.returncode == 0, explain(done)
    assert "the database is new: its ledger begins anew" in done.stderr
    assert {answer["status"] for answer in moved.summary()["api"]} == {200}
    assert served(moved) in moved.manifests()
    assert (
        moved.summary()["settlement"]["replay"]["legs"] == first.summary["settlement"]["replay"]["legs"] > 0
    )
    assert rows_of(moved, "settlement_legs") == moved.summary()["settlement"]["replay"]["legs"]
    verified = moved.python(["-m", "serving.ledger", "verify"])
    assert verified.returncode == 0, explain(verified)
    again = moved.run()
    assert worked(again) == [], explain(again)


def test_a_restored_backup_serves_the_same_publication_and_its_ledger_is_sound(moved):
    version = served(moved)
    with tempfile.TemporaryDirectory(prefix="muyun-restored-") as folder:
        dump = Path(folder) / "muyun.dump"
        done = moved.python(["-m", "serving.db", "dump", str(dump)])
        assert done.returncode == 0, explain(done)
        restored = Installation(Path(folder) / "home", moved.data)
        restored.home.mkdir()
        for name in ("muyun.toml", "keys", "anchors", "mlflow", "lake", "state", "warehouse"):
            if (moved.home / name).exists():
                subprocess.run(["cp", "-a", str(moved.home / name), str(restored.home)], check=True)
        try:
            for command in (
                ["-m", "serving.db", "restore", str(dump)],
                ["-m", "serving.ledger", "after-restore"],
                ["-m", "serving.ledger", "verify"],
            ):
                done = restored.python(command)
                assert done.returncode == 0, explain(done)
            assert done.stdout.startswith("block ")
            with api(restored) as address:
                ready = httpx.get(f"{address}/health/ready").json()
            assert ready["publication_version"] == version
            done = restored.run()
            assert done.returncode == 0, explain(done)
            assert served(restored) in restored.manifests()
        finally:
            restored.stop_database()


def test_another_source_is_refused_and_the_way_out_leaves_nothing_of_the_old_one(moved, tmp_path):
    """Comes last: the home is empty afterwards."""
    version = served(moved)
    refused = moved.run(more={"MUYUN_DATA": str(tmp_path)})
    assert refused.returncode == 1
    assert f"holds {moved.data}, and {tmp_path} is another source" in refused.stderr
    moved.stop_database()
    done = moved.run("forget-source")
    assert done.returncode == 0, explain(done)
    assert {path.name for path in moved.home.iterdir()} == {"aside", "work.lock", "ui.lock"}
    (place,) = (moved.home / "aside").iterdir()
    old = Installation(place, moved.data, {"MUYUN_DATA": ""})
    try:
        listed = old.run("versions")
        assert listed.returncode == 0, explain(listed)
        assert f"* {version}" in listed.stdout
    finally:
        old.stop_database()
    fresh = moved.run("versions", {"MUYUN_DATA": str(tmp_path)})
    assert (fresh.returncode, fresh.stdout) == (0, "nothing was published yet\n"), explain(fresh)


@pytest.fixture
def free_ports():
    """A free port for each service of the user interface."""
    import socket

    found = {}
    for name in ("DAGSTER", "MLFLOW", "API", "DOCS"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found[name] = probe.getsockname()[1]
    return found
