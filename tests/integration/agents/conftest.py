import pytest
from agent_books import Books

from serving.db.operations import Operations


@pytest.fixture(scope="module")
def operations(module_database_url):
    with Operations(module_database_url, size=16, timeout_s=60) as opened:
        yield opened


@pytest.fixture
def books(operations):
    return Books(operations)
