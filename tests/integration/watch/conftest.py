import pytest
from small_market import NOW, Shop

from serving.db.operations import Operations
from serving.watch.alarms.judging import judge


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=4) as operations:
        made = Shop(database_url, operations)
        made.plan()
        yield made


@pytest.fixture
def find(shop):
    """Judge findings; the numbers of what opened."""

    def judged(*findings, at=NOW):
        return shop.act(judge, list(findings), at)

    return judged
