import subprocess
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from models.contracts import PUBLISHED_TABLES
from serving.db.urls import libpq_url, sqlalchemy_url, with_database, without_password
from serving.errors import DatabaseUnavailableError
from serving.scores.contracts import PublicationManifest, TableEntry
from serving.settings import Settings

NOW = datetime(2018, 1, 1, tzinfo=UTC)


def manifest(**changes):
    tables = {name: TableEntry(rows=1, sha256="a" * 64) for name in PUBLISHED_TABLES}
    values = {
        "version": "v1",
        "created_at": NOW,
        "as_of": NOW,
        "data_from": NOW,
        "data_to": NOW,
        "model_versions": {"demand": "1"},
        "tables": tables,
    }
    return PublicationManifest.build(**{**values, **changes})


def test_a_manifest_survives_its_file():
    made = manifest()
    assert PublicationManifest.model_validate_json(made.model_dump_json()) == made


def test_the_content_hash_follows_the_content_and_not_the_name():
    assert manifest(version="v2").content_hash == manifest().content_hash
    assert manifest(model_versions={"demand": "2"}).content_hash != manifest().content_hash
    other = {**manifest().tables, "prices": TableEntry(rows=2, sha256="a" * 64)}
    assert manifest(tables=other).content_hash != manifest().content_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "../v1"}, "version"),
        ({"as_of": datetime(2018, 1, 1)}, "timezone"),  # noqa: DTZ001
        ({"tables": {}}, "missing"),
        ({"data_from": datetime(2019, 1, 1, tzinfo=UTC)}, "data_from is after data_to"),
    ],
)
def test_faulty_manifests_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        manifest(**changes)


def test_a_changed_manifest_is_noticed():
    text = manifest().model_dump_json().replace('"rows":1', '"rows":2', 1)
    with pytest.raises(ValidationError, match="changed after it was made"):
        PublicationManifest.model_validate_json(text)


def test_addresses():
    url = "postgresql+psycopg://u:p%40ss@h:5432/muyun?sslmode=require"
    assert libpq_url(url) == "postgresql://u:p%40ss@h:5432/muyun?sslmode=require"
    assert sqlalchemy_url("postgres://u@h/x") == "postgresql+psycopg://u@h/x"
    assert with_database(url, "dagster") == "postgresql+psycopg://u:p%40ss@h:5432/dagster?sslmode=require"
    assert without_password(url) == "postgresql://u:***@h:5432/muyun?sslmode=require"
    with pytest.raises(DatabaseUnavailableError, match="MUYUN_DATABASE_URL"):
        libpq_url("sqlite:///x")


def test_settings_come_from_the_environment_when_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    monkeypatch.setenv("MUYUN_API_PORT", "9000")
    monkeypatch.setenv("MUYUN_DATABASE_URL", "")
    settings = Settings()
    assert (settings.home, settings.api_port, settings.database_url) == (tmp_path, 9000, None)
    monkeypatch.setenv("MUYUN_API_PORT", "70000")
    with pytest.raises(ValidationError, match="api_port"):
        Settings()


def test_the_business_clock():
    published = datetime(2017, 12, 31, tzinfo=UTC)
    assert Settings(data=None, as_of=None).business_now(published) == published
    assert Settings(as_of=NOW, data="feeds").business_now(published) == NOW
    assert Settings(data="feeds", as_of=None).business_now(published).year >= 2025
    assert Settings(as_of=datetime(2018, 1, 1)).business_now(published) == NOW  # noqa: DTZ001


def test_the_request_path_imports_nothing_heavy():
    """What a worker process of the API loads; also checked statically by import-linter."""
    heavy = (
        "polars",
        "pandas",
        "duckdb",
        "torch",
        "mlflow",
        "dagster",
        "pyarrow",
        "sklearn",
        "numpy",
        "sqlalchemy",
    )
    load = "import sys, serving.app, serving.db.connect"
    script = f"{load}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
