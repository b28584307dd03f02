"""A real PostgreSQL, and an installation that ran once, for the tests that need one; made when first asked.

`MUYUN_TEST_DATABASE_URL` (a user that may create databases) runs the same tests on any other server.
"""

import os
import tempfile
import uuid
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

# One commit, one verdict, however busy the machine: the same examples each time, and none of them timed. The
# nightly form looks for new ones.
settings.register_profile("same_examples", derandomize=True, database=None, print_blob=True, deadline=None)
settings.register_profile("nightly", print_blob=True, deadline=None)
settings.load_profile("nightly" if os.environ.get("MUYUN_NIGHTLY") else "same_examples")


@pytest.fixture(scope="session")
def postgres_url():
    """Address of a server on which databases may be made; one server a test process."""
    given = os.environ.get("MUYUN_TEST_DATABASE_URL")
    if given:
        yield given
        return
    from serving.db.embedded import EmbeddedPostgres

    # No test of this server survives a power cut, so its writes need not wait for the disk.
    small = {"shared_buffers": "32MB", "max_connections": "40", "fsync": "off"}
    # Not pytest's own folder: for root the server runs as another user, whom pytest shuts out of it.
    with (
        tempfile.TemporaryDirectory(prefix="muyun-test-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres", configuration=small) as cluster,
    ):
        yield cluster.connect_info().url("postgres")


def new_name():
    return f"muyun_test_{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def migrated_database(postgres_url):
    """Name of a migrated database that nobody connects to: a copy of it costs less than every migration."""
    from serving.db import migrate
    from serving.db.urls import ensure_database, with_database

    name = new_name()
    ensure_database(postgres_url, name)
    migrate.upgrade(with_database(postgres_url, name))
    yield name
    drop_database(postgres_url, name)


def copied_database(server_url, template):
    """Name and address of a new database that is a copy of another."""
    from serving.db.urls import libpq_url, with_database

    name = new_name()
    query = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
    with psycopg.connect(libpq_url(server_url), autocommit=True) as connection:
        connection.execute(query)
    return name, with_database(server_url, name)


def drop_database(server_url, name):
    """Remove a database, whoever is connected."""
    from serving.db.urls import libpq_url

    with psycopg.connect(libpq_url(server_url), autocommit=True) as connection:
        for database in (
            name,
            f"{name}_dagster",
        ):  # the second is there when an installation ran on the first
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database))
            )


@pytest.fixture
def database_url(postgres_url, migrated_database):
    """A new, migrated database for one test."""
    name, url = copied_database(postgres_url, migrated_database)
    yield url
    drop_database(postgres_url, name)


@pytest.fixture
def other_database_url(postgres_url, migrated_database):
    """A second such database."""
    name, url = copied_database(postgres_url, migrated_database)
    yield url
    drop_database(postgres_url, name)


@pytest.fixture(scope="module")
def module_database_url(postgres_url, migrated_database):
    """A new, migrated database for the tests of one module."""
    name, url = copied_database(postgres_url, migrated_database)
    yield url
    drop_database(postgres_url, name)


@pytest.fixture
def private_folder():
    """A folder outside pytest's own, for a cluster of the test's own (see `postgres_url`)."""
    with tempfile.TemporaryDirectory(prefix="muyun-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def world():
    """An installation on the tiny world; its tests share the group `world`, so that one worker runs it.

    Tests look at what the first run left through `first`; whoever runs something again depends on it.
    """
    from tiny_world import write_world
    from world_run import Installation

    with tempfile.TemporaryDirectory(prefix="muyun-world-") as folder:
        installation = Installation(Path(folder) / "home", write_world(Path(folder) / "feeds"))
        try:
            yield installation
        finally:
            installation.stop_database()


@pytest.fixture(scope="session")
def first(world):
    """What the first run said and left; later runs do not change this record."""
    from world_run import FirstRun

    return FirstRun.of(world)


@pytest.fixture(scope="session")
def second(world, first):
    """The same command again, with nothing new; tests that run more come after it."""
    return world.run()
