import pytest
from journey_town import Town

from serving.db.operations import Operations


@pytest.fixture
def town(database_url):
    with Operations(database_url, size=8, timeout_s=60) as operations:
        yield Town(database_url, operations)
