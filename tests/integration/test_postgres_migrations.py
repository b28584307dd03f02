from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from published_rows import manifest_of, rows_of

from serving.db import migrate, migrations
from serving.db.claim import claim_database
from serving.db.schema import metadata
from serving.db.urls import libpq_url, sqlalchemy_url
from serving.errors import DatabaseUnavailableError
from serving.scores.loader import current, holds, publish

VERSIONS = Path(migrations.__file__).parent / "versions"
NEWEST = max(path.name[:4] for path in VERSIONS.glob("0*.py"))


def tables(url):
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema in ('scores', 'ops')"
        )
        return {row[0] for row in rows}


def test_up_down_up(database_url):
    expected = {f"{table.schema}.{table.name}" for table in metadata.sorted_tables}
    assert migrate.current_revision(database_url) == NEWEST
    assert tables(database_url) == expected
    migrate.downgrade(database_url)
    assert migrate.current_revision(database_url) is None
    assert tables(database_url) == set()
    migrate.upgrade(database_url)
    migrate.upgrade(database_url)
    assert tables(database_url) == expected


def is_described(name, kind, parents):
    """Schemas with functions, triggers and policies are described by their migrations alone."""
    return kind != "schema" or name in {table.schema for table in metadata.sorted_tables}


def test_migrations_and_metadata_agree(database_url):
    engine = sa.create_engine(sqlalchemy_url(database_url), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": migrate.VERSION_TABLE,
                "include_schemas": True,
                "include_name": is_described,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_what_was_published_before_there_were_tenants_still_serves(database_url):
    # These tables are younger than tenants: what they held goes with them.
    young = (
        "clearance_warnings",
        "session_links",
        "sku_forecasts",
        "demand_outlook",
        "supplier_grades",
        "channel_scores",
        "supply_resilience",
        "supply_proposals",
        "supply_failures",
        "assortment_suggestions",
        "party_reviews",
        "agent_suggestions",
    )
    rows = rows_of("v1") | {name: [] for name in young}
    publish(database_url, manifest_of("v1", rows), rows)
    claim_database(database_url, "home", Path("/srv/home"))
    (revision,) = VERSIONS.glob("*_tenants_of_scores.py")
    migrate.downgrade(database_url, f"{int(revision.name[:4]) - 1:04}")
    migrate.upgrade(database_url)
    assert holds(database_url, "v1")
    assert current(database_url).version == "v1"
    assert not claim_database(database_url, "home", Path("/srv/home"))


def test_two_processes_may_migrate_at_once(database_url):
    migrate.downgrade(database_url)
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(migrate.upgrade, database_url) for _ in range(3)]
    assert [run.exception() for run in runs] == [None, None, None]
    assert migrate.current_revision(database_url) == NEWEST


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(DatabaseUnavailableError, match="does not answer") as failure:
        migrate.upgrade("postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    assert "secret" not in str(failure.value)
