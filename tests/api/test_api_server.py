import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from published_scores import AS_OF, manifest_of, small_tables

from serving.db.embedded import EmbeddedPostgres
from serving.db.pool import Pool
from serving.db.urls import libpq_url
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish
from serving.scores.standing import StandingReader
from serving.security import Scope, issue_key

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(**variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUYUN_")}
    return subprocess.Popen(
        [sys.executable, "-m", "serving.server"],
        cwd=ROOT,
        env={**environment, **{name: str(value) for name, value in variables.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def get(port, path, key=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"X-API-Key": key} if key else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(port, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        try:
            return get(port, "/health/live")
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("the server did not come up")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_server_serves_and_ends_gracefully(scores_url, tmp_path, end):
    port = free_port()
    key = issue_key(scores_url, name="real", scopes=list(Scope)).secret
    process = start(MUYUN_HOME=tmp_path, MUYUN_DATABASE_URL=scores_url, MUYUN_API_PORT=port)
    try:
        assert (
            process.stdout.readline() == f"Muyun API on http://127.0.0.1:{port} (documentation: /v1/docs)\n"
        )
        assert wait_for(port, process)[0] == 200
        status, body = get(port, "/v1/prices/m2/s00", key)
        assert status == 200
        assert '"publication_version":"v1"' in body
        assert get(port, "/v1/nothing")[0] == 404
        # What comes after the name of a resource is data, even a slash.
        assert get(port, "/v1/prices/m2/a%2Fb", key)[0] == 404
        second = start(MUYUN_HOME=tmp_path, MUYUN_DATABASE_URL=scores_url, MUYUN_API_PORT=port)
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 3
        assert errors == (
            f"error: the API cannot listen on 127.0.0.1:{port}: the port is taken by another program. "
            "Set MUYUN_API_PORT to another one\n"
        )
        process.send_signal(end)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
        assert '"event":"request"' in log
        assert "Traceback" not in log
    finally:
        process.terminate()
        process.wait(timeout=60)


def metrics_of(port):
    """The series of `/metrics` by name with labels."""
    status, text = get(port, "/metrics")
    assert status == 200
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_the_server_tells_how_late_profiles_and_prices_are(database_url, tmp_path):
    tables = small_tables()
    publish(database_url, manifest_of("v1", tables), tables)
    told = AS_OF + timedelta(minutes=20)
    price = ("m2", "s00", 50, 80, 71, 54, 90, 75, None, -0.8, "anchor_index", "publish", "{}")
    changed = [("c2", {"last_search": "tea"}), ("c3", {"last_search": "milk"})]
    publish_delta(database_url, Delta("v1", 7, {"15m": told}, changed, prices=[price], prices_as_of=AS_OF))
    port = free_port()
    now = (AS_OF + timedelta(minutes=40)).isoformat()
    process = start(
        MUYUN_HOME=tmp_path, MUYUN_DATABASE_URL=database_url, MUYUN_API_PORT=port, MUYUN_AS_OF=now
    )
    try:
        wait_for(port, process)
        with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
            connection.execute("alter table scores.live_profile rename to out_of_reach")
            assert get(port, "/health/ready") == (200, '{"status":"ready","publication_version":"v1"}')
            without = metrics_of(port)
            assert without["muyun_database_up"] == 1
            assert not any(name.startswith("muyun_live") for name in without)
            assert math.isnan(without["muyun_publication_age_seconds"])
            connection.execute("alter table scores.out_of_reach rename to live_profile")
        found = metrics_of(port)
        # The tick left 1h and 1d as the publication has them.
        lags = {name: found[f'muyun_live_lag_seconds{{refresh="{name}"}}'] for name in ("15m", "1h", "1d")}
        assert lags == {"15m": 20 * 60, "1h": 40 * 60, "1d": 40 * 60}
        assert found['muyun_live_lag_seconds{refresh="prices"}'] == 40 * 60
        for table, rows in (("profiles", 2), ("prices", 1)):
            assert found[f'muyun_live_revision{{table="{table}"}}'] == 7
            assert found[f'muyun_live_overlay_rows{{table="{table}"}}'] == rows
        assert 0 < found["muyun_publication_age_seconds"] < 600
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_how_late_it_is_is_read_again_after_some_seconds_only(database_url):
    tables = small_tables()

    async def look():
        pool = Pool(database_url, size=1, timeout_s=10)
        kept, fresh = (
            StandingReader(pool, "default", lambda behind: AS_OF, kept_s=seconds) for seconds in (60, 0)
        )
        try:
            assert await fresh.read() is None
            publish(database_url, manifest_of("v1", tables), tables)
            before = await kept.read()
            publish_delta(database_url, Delta("v1", 1, {"15m": AS_OF}, [("c2", {"last_search": "tea"})]))
            assert await kept.read() is before
            found = await fresh.read()
            return before.revision["profiles"], found.revision["profiles"], found.lag_s["15m"]
        finally:
            await pool.close()

    assert asyncio.run(look()) == (0, 1, 0.0)


def test_the_server_starts_and_stops_its_embedded_database(private_folder):
    port = free_port()
    process = start(MUYUN_HOME=private_folder, MUYUN_API_PORT=port)
    cluster = EmbeddedPostgres(private_folder / "postgres")
    try:
        wait_for(port, process)
        url = cluster.connect_info().url()
        tables = small_tables()
        publish(url, manifest_of("v1", tables), tables)
        assert get(port, "/health/ready") == (200, '{"status":"ready","publication_version":"v1"}')
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not cluster.status().running
    finally:
        process.kill()
        process.wait()
        cluster.stop()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MUYUN_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/none"}, "does not answer"),
        ({"MUYUN_DATABASE_URL": "mysql://u:secret@127.0.0.1/none"}, "MUYUN_DATABASE_URL"),
        ({"MUYUN_API_PORT": "http"}, "MUYUN_API_PORT"),
        ({"MUYUN_LOG_LEVEL": "loud"}, "MUYUN_LOG_LEVEL"),
    ],
)
def test_what_prevents_serving_is_named_in_one_line(tmp_path, variables, message):
    process = start(**{"MUYUN_HOME": tmp_path, "MUYUN_API_PORT": 0, **variables})
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("error: ")
    assert message in errors
    assert "Traceback" not in errors
    assert "secret" not in errors
