import pytest
from member_town import MemberTown

from serving.db.operations import Operations


@pytest.fixture
def town(database_url):
    with Operations(database_url, size=8, timeout_s=60) as operations:
        yield MemberTown(database_url, operations)
