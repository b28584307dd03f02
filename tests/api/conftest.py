import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.scores.loader import publish
from serving.security import Scope, issue_key
from serving.settings import Settings


@pytest.fixture(scope="module")
def scores_url(module_database_url):
    """A database with the small publication `v1`."""
    tables = small_tables()
    publish(module_database_url, manifest_of("v1", tables), tables)
    return module_database_url


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Defaults, whatever the environment of the test run says; keys are looked up every time."""
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url="postgresql://unused/unused",
        data=None,
        as_of=None,
        key_cache_s=0,
        rate_limit_per_s=1e6,
        rate_limit_burst=1_000_000,
        log_level="ERROR",
    )


@pytest.fixture(scope="module")
def client(scores_url, settings):
    """The application over that database, in process."""
    app = create_app(settings, scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def ask(client, scores_url):
    """Send a GET with an operator's key that has every scope."""
    key = issue_key(scores_url, name="operator", scopes=list(Scope)).secret
    return lambda path, **parameters: client.get(path, params=parameters, headers={"X-API-Key": key})
