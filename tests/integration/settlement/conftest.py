import pytest
from settlement_books import Books

from serving.db.operations import Operations


@pytest.fixture(scope="module")
def operations(module_database_url):
    with Operations(module_database_url, size=12) as made:
        yield made


@pytest.fixture
def books(operations):
    """A tenant of the test's own."""
    return Books(operations)
