"""Tests of channels as the operational database has them."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.steps.state import fingerprint
from serving.channel_tests.records import ChannelTest, standing
from serving.db.operations import Operations


def standing_tests(url: str, tenant_id: str) -> Sequence[ChannelTest]:
    """Every test that was not given up, by id.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose tests.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return standing(conn, tenant_id)


def version_of(tests: Sequence[ChannelTest]) -> str:
    """What tells these tests from others."""
    return fingerprint({test.test_id: str(test) for test in tests})
