"""A stopped server's files tell whether anybody wrote, so that nobody must start it to ask."""

import os
import signal
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from serving.db.at_rest import next_transaction, next_transaction_at_rest, rest_of
from serving.db.embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory(prefix="muyun-rest-") as folder:
        small = {"shared_buffers": "16MB", "max_connections": "20", "autovacuum": "off"}
        made = EmbeddedPostgres(Path(folder) / "postgres", configuration=small)
        made.start(("muyun",))
        made.stop()
        yield made
        made.stop()


def session(cluster, statement=None):
    """Start the server, run a statement, stop it; the number that the next transaction would have got."""
    url = cluster.start(()).url("muyun")
    if statement:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute(statement)
    number = next_transaction(url)
    cluster.stop()
    return number


def test_a_stopped_server_looks_the_same_until_it_is_started(cluster):
    before = rest_of(cluster)
    assert before is not None
    assert rest_of(cluster) == before
    session(cluster)
    assert rest_of(cluster) not in (None, before)


def test_a_running_server_is_not_at_rest(cluster):
    cluster.start(())
    assert rest_of(cluster) is None
    cluster.stop()


def test_reading_takes_no_number_and_writing_does(cluster):
    read = session(cluster, "select count(*) from pg_class")
    assert next_transaction_at_rest(cluster) == read
    assert session(cluster, "select count(*) from pg_database") == read
    wrote = session(cluster, "create table if not exists scratch (n int)")
    assert wrote > read
    assert next_transaction_at_rest(cluster) == wrote


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: next((c.data / "base").glob("*/1259")),
        lambda c: c.data / "global" / "pg_control",
        lambda c: c.folder / "password",
    ],
    ids=["a table", "the control file", "the password"],
)
def test_what_is_lost_is_noticed(cluster, spoil):
    before, file = rest_of(cluster), spoil(cluster)
    content, owner = file.read_bytes(), file.stat()
    file.unlink()
    assert rest_of(cluster) != before
    file.write_bytes(content)
    file.chmod(0o600)
    os.chown(file, owner.st_uid, owner.st_gid)
    assert rest_of(cluster) == before


def test_a_killed_server_is_not_at_rest(cluster):
    cluster.start(())
    os.kill(cluster.status().pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while cluster.status().running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rest_of(cluster) is None
    assert next_transaction_at_rest(cluster) is None
    (cluster.data / "postmaster.pid").unlink()
    assert next_transaction_at_rest(cluster) is None


def test_a_folder_without_a_server_is_not_at_rest(tmp_path):
    assert rest_of(EmbeddedPostgres(tmp_path / "postgres")) is None
