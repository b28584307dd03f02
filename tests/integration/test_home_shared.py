"""Processes that share one home: who works, who waits, who stops PostgreSQL. Real processes, also killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pipelines.home.lock import UI, HomeBusyError, holder_of, home_lock
from serving.db import users
from serving.db.embedded import EmbeddedPostgres

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"shared_buffers": "16MB", "max_connections": "20"}


@contextmanager
def process(script, *arguments):
    """A process that printed `ready`, then waits for its standard input to end."""
    started = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout.readline() == "ready\n", started.stderr.read()
        yield started
    finally:
        started.kill()
        started.wait()
        for stream in (started.stdin, started.stdout, started.stderr):
            stream.close()


HOLDER = """
    import sys
    from pathlib import Path
    from pipelines.home.lock import home_lock
    with home_lock(Path(sys.argv[1]), "muyun run"):
        print("ready", flush=True)
        sys.stdin.read()
"""


def test_the_second_says_for_whom_it_waits_and_goes_on_when_that_one_ends(tmp_path):
    told = []
    with process(HOLDER, tmp_path) as other:

        def tell(line):
            told.append(line)
            other.stdin.close()

        with home_lock(tmp_path, "muyun run", tell=tell):
            assert str(os.getpid()) in (tmp_path / "work.lock").read_text()
    assert len(told) == 1
    assert f"muyun run (pid {other.pid}, since " in told[0]
    assert told[0].endswith("waiting until it ends")


def test_who_does_not_wait_is_told_in_one_line(tmp_path):
    with process(HOLDER, tmp_path) as other:
        assert f"pid {other.pid}" in holder_of(tmp_path)
        with (
            pytest.raises(HomeBusyError, match=rf"muyun run \(pid {other.pid}"),
            home_lock(tmp_path, "muyun run", wait=False),
        ):
            pass
        with home_lock(tmp_path, "muyun ui", name=UI, wait=False):
            assert "muyun ui" in holder_of(tmp_path, UI)


def test_a_killed_holder_holds_nothing(tmp_path):
    with process(HOLDER, tmp_path) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert json.loads((tmp_path / "work.lock").read_text())["pid"] == other.pid
        assert holder_of(tmp_path) is None
        with home_lock(tmp_path, "muyun run", wait=False):
            assert holder_of(tmp_path) is not None
    assert holder_of(tmp_path) is None


USER = """
    import sys
    from pathlib import Path
    from serving.db import users
    from serving.db.embedded import EmbeddedPostgres
    users.join(EmbeddedPostgres(Path(sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def cluster(private_folder):
    made = EmbeddedPostgres(private_folder / "postgres", configuration=SMALL)
    made.start(())
    yield made
    users.leave(made)
    made.stop()


def answers(cluster):
    with psycopg.connect(cluster.connect_info().url("postgres", driver=None)) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_nobody_stops_a_server_that_another_uses(cluster):
    with process(USER, cluster.folder) as other:
        users.join(cluster)
        assert users.leave(cluster) is False
        assert answers(cluster)
        other.stdin.close()
        other.wait()
        assert users.leave(cluster) is True
    assert not cluster.status().running


def test_a_killed_user_does_not_keep_the_server_alive(cluster):
    users.join(cluster)
    with process(USER, cluster.folder) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert users.leave(cluster) is True


def test_a_server_started_by_hand_stays(cluster):
    cluster.keep(running=True)
    users.join(cluster)
    assert users.leave(cluster) is False
    assert answers(cluster)
    cluster.keep(running=False)


def test_who_ends_last_waits_for_its_children(cluster):
    users.join(cluster)
    with process(USER, cluster.folder) as other:
        started = time.monotonic()
        assert users.leave(cluster, patience_s=0.3) is False
        assert 0.3 <= time.monotonic() - started < 5
        other.stdin.close()
        assert users.leave(cluster, patience_s=10) is True
