import psycopg
import pytest
from decided_things import Desk

from serving.db.operations import Operations
from serving.db.urls import libpq_url


@pytest.fixture(scope="module")
def operations(module_database_url):
    with Operations(module_database_url, size=12) as made:
        yield made


@pytest.fixture
def desk(operations, request):
    """Askers and deciders of a tenant of the test's own."""
    return Desk(operations, f"t-{abs(hash(request.node.nodeid)):x}")


@pytest.fixture
def owner(module_database_url):
    """A connection of the owner of the tables, to whom no row-level security applies."""
    with psycopg.connect(libpq_url(module_database_url), autocommit=True) as conn:
        yield conn
