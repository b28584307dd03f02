from __future__ import annotations

import pytest

from feature_store.registry import Registry, load_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()
