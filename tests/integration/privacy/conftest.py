import pytest

from serving.db.operations import Operations
from serving.privacy.data_keys import Vault
from serving.settings import Settings


@pytest.fixture
def key_settings(tmp_path):
    """Settings whose master key lies in a folder of the test."""
    return Settings(home=tmp_path, database_url="postgresql://unused/unused", master_key=None)


@pytest.fixture
def vault(key_settings):
    return Vault.of(key_settings)


@pytest.fixture
def operations(database_url):
    with Operations(database_url, size=6) as opened:
        yield opened
