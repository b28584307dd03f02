import pytest
from small_market import Shop

from serving.db.operations import Operations


@pytest.fixture(scope="module")
def shop(module_database_url):
    with Operations(module_database_url, size=16, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        made.may_lose(10**12)  # these tests are not about what a line brings
        yield made
