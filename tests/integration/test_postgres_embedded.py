import os
import signal
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from serving.db import embedded_command
from serving.db.embedded import EmbeddedPostgres
from serving.db.urls import libpq_url
from serving.errors import DataFolderError, EmbeddedPostgresError, PortTakenError

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}


@pytest.fixture(scope="module")
def only_cluster():
    """One cluster for the module: making one is the slow part, and it begins with a half-made leftover."""
    with tempfile.TemporaryDirectory(prefix="muyun-test-") as folder:
        leftover = Path(folder) / "postgres" / "data.new" / "base"
        leftover.mkdir(parents=True)
        made = EmbeddedPostgres(Path(folder) / "postgres", configuration=SMALL)
        started = time.perf_counter()
        made.start(())
        elapsed = time.perf_counter() - started
        assert not leftover.exists()
        yield made, elapsed
        made.stop()


@pytest.fixture
def cluster(only_cluster):
    """The cluster, running."""
    only_cluster[0].start(())
    return only_cluster[0]


def ask(url, query):
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(query).fetchone()[0]


def test_cold_start_is_quick_and_makes_the_databases(cluster, only_cluster):
    info = cluster.start(("muyun", "dagster"))
    assert ask(info.url("muyun"), "select current_database()") == "muyun"
    assert ask(info.url("dagster", driver=None), "select current_database()") == "dagster"
    assert ask(info.url("muyun"), "show fsync") == "on"
    assert ask(info.url("muyun"), "show server_version").startswith("18")
    # 1.4 s on an idle machine; the bound leaves room for a busy one.
    assert only_cluster[1] < 30
    assert cluster.ensure_database("third").endswith("/third")
    with pytest.raises(EmbeddedPostgresError, match="not a database name"):
        cluster.ensure_database('x"; drop database muyun; --')


def test_only_the_password_opens_it_and_only_the_owner_reads_the_password(cluster):
    info = cluster.start(())
    secret = cluster.folder / "password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=info.host, port=info.port, user=info.user, password="wrong", dbname="postgres")
    hba = (cluster.data / "pg_hba.conf").read_text()
    rules = [line for line in hba.splitlines() if line.strip() and not line.startswith("#")]
    assert rules
    assert all("scram-sha-256" in rule for rule in rules)


def test_a_lost_password_is_named(cluster):
    secret = cluster.folder / "password"
    kept = secret.read_text()
    secret.write_text("another\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match="not the password"):
            cluster.start(())
    finally:
        secret.write_text(kept)


def test_start_stop_and_status_may_be_repeated(cluster):
    cluster.stop()
    assert not cluster.status().running
    assert cluster.stop() is False
    with pytest.raises(EmbeddedPostgresError, match="does not run"):
        cluster.connect_info()
    first = cluster.start(())
    assert cluster.start(()) == first
    again = EmbeddedPostgres(cluster.folder, configuration=SMALL)
    assert again.status().running
    assert again.start(()) == first
    assert cluster.stop() is True
    assert again.stop() is False
    assert not again.status().running


def test_concurrent_starts_share_one_server(cluster):
    cluster.stop()
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(EmbeddedPostgres(cluster.folder, configuration=SMALL).start(("one",)))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


def test_survives_kill_nine_with_committed_rows(cluster):
    info = cluster.start(("muyun",))
    with psycopg.connect(libpq_url(info.url())) as connection:
        connection.execute("create table kept as select 7 as n")
    os.kill(cluster.status().pid, signal.SIGKILL)
    again = cluster.start(("muyun",))
    assert ask(again.url(), "select n from kept") == 7
    assert again.port == info.port


def test_a_stale_pid_file_of_a_living_stranger_does_not_block_the_start(cluster):
    cluster.stop()
    # After a container restart the recorded process id often belongs to another program.
    lines = (str(os.getpid()), str(cluster.data), "0", "5432", "", "127.0.0.1", "", "ready", "")
    (cluster.data / "postmaster.pid").write_text("\n".join(lines))
    assert not cluster.status().running
    assert cluster.start(()).port > 0
    (cluster.folder / "endpoint.json").write_text("{torn")
    cluster.stop()
    assert cluster.start(()).port > 0


def test_a_taken_port_is_named(private_folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        cluster = EmbeddedPostgres(private_folder / "postgres", port=port, configuration=SMALL)
        with pytest.raises(PortTakenError, match=f"port {port} .*MUYUN_POSTGRES_PORT"):
            cluster.start(())
        assert not cluster.status().running


def test_a_recorded_port_that_was_taken_meanwhile_is_replaced(cluster):
    first = cluster.connect_info()
    cluster.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.port))
        other.listen()
        assert cluster.start(()).port != first.port


def test_another_version_is_refused(cluster):
    cluster.stop()
    (cluster.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(DataFolderError, match=r"PostgreSQL 14.*dump"):
        cluster.start(())
    (cluster.data / "PG_VERSION").write_text("18\n")


def test_a_folder_that_is_no_cluster_is_not_overwritten(private_folder):
    cluster = EmbeddedPostgres(private_folder / "postgres", configuration=SMALL)
    cluster.data.mkdir(parents=True)
    (cluster.data / "precious.txt").write_text("mine")
    with pytest.raises(DataFolderError, match="away"):
        cluster.start(())
    assert (cluster.data / "precious.txt").read_text() == "mine"


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="MUYUN_HOME"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start(())


def test_a_server_that_cannot_start_shows_its_log(cluster):
    cluster.stop()
    broken = EmbeddedPostgres(cluster.folder, configuration={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        broken.start(())


def test_command_line(private_folder, monkeypatch, capsys):
    monkeypatch.setenv("MUYUN_HOME", str(private_folder))
    assert embedded_command.main(["url"]) == 1
    assert "does not run" in capsys.readouterr().err
    assert embedded_command.main(["start", "--database", "dagster"]) == 0
    url = capsys.readouterr().out.strip()
    assert ask(url, "select current_database()") == "dagster"
    assert embedded_command.main(["status"]) == 0
    assert "running, pid" in capsys.readouterr().out
    assert embedded_command.main(["stop"]) == 0
    assert embedded_command.main(["stop"]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["stopped", "was not running"]
