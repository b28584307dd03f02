import psycopg
import pytest
from ledger_postings import sale

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger.posting import post


@pytest.fixture(scope="module")
def operations(module_database_url):
    with Operations(module_database_url, size=12) as made:
        yield made


@pytest.fixture
def tenant(request):
    """A tenant of the test's own, so that the tests of a module share a database."""
    return f"t-{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def book_sale(operations, tenant):
    """Book a sale in a transaction of its own."""

    def book(key, cents=10_000, **more):
        with operations.transaction(tenant) as conn:
            return post(conn, tenant, sale(key, cents, **more))

    return book


@pytest.fixture
def owner(module_database_url):
    """A connection of the owner of the tables, to whom no row-level security applies."""
    with psycopg.connect(libpq_url(module_database_url), autocommit=True) as conn:
        yield conn
