"""Published scores are read from a streaming replica; what is written, and keys, stay with the primary."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db import migrate
from serving.db.embedded import EmbeddedPostgres
from serving.db.programs import run_program
from serving.db.system_user import server_user
from serving.scores.loader import publish
from serving.security import Scope, issue_key

pytestmark = pytest.mark.slow

SMALL = {"shared_buffers": "32MB", "max_connections": "30", "fsync": "off"}


@pytest.fixture
def servers(private_folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses of a primary, and of a replica that streams from it."""
    primary = EmbeddedPostgres(private_folder / "primary", configuration=SMALL)
    with primary:
        info = primary.connect_info()
        replica = EmbeddedPostgres(private_folder / "replica", configuration=SMALL)
        run_as = server_user()
        replica.folder.mkdir()
        run_as.own(replica.folder)
        (replica.folder / "password").write_text(info.password + "\n")
        copy = (
            "-d",
            info.url("postgres", driver=None),
            "-D",
            str(replica.data),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        )
        made = run_program("pg_basebackup", copy, run_as, replica.folder)
        assert made.returncode == 0, made.output
        replica.start(databases=())
        try:
            yield info.url("muyun"), replica.connect_info().url("muyun")
        finally:
            replica.stop()


def on(url: str, query: str) -> object:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def caught_up(primary: str, replica: str) -> None:
    """Waits until the replica shows all that the primary has committed."""
    reached = on(primary, "select pg_current_wal_lsn()")
    for _ in range(600):
        if on(replica, f"select pg_last_wal_replay_lsn() >= '{reached}'::pg_lsn"):
            return
        on(replica, "select pg_sleep(0.05)")
    raise AssertionError("the replica does not follow")


def test_scores_come_from_the_replica_and_keys_from_the_primary(servers, settings):
    primary, replica = servers
    migrate.upgrade(primary)
    publish(primary, manifest_of("v1", small_tables()), small_tables())
    caught_up(primary, replica)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        on(replica, "create table x ()")

    chosen = settings.model_copy(update={"database_read_url": replica})
    with TestClient(create_app(chosen, primary, ProfileReader(SCHEMA))) as client:
        on(replica, "select pg_wal_replay_pause()")
        key = issue_key(primary, name="late", scopes=list(Scope)).secret  # the replica knows nothing of it
        publish(primary, manifest_of("v2", small_tables("v2")), small_tables("v2"))

        def served() -> str:
            answer = client.get("/v1/publications/current", headers={"X-API-Key": key})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["version"])

        assert served() == "v1"
        on(replica, "select pg_wal_replay_resume()")
        caught_up(primary, replica)
        assert served() == "v2"
