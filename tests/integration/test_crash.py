"""SIGKILL to API, settlement worker and PostgreSQL under load: what was acknowledged is there, once."""

import os

import pytest

from benchmarks.money import crash_ledger

pytestmark = pytest.mark.slow

CYCLES = 200 if os.environ.get("MUYUN_NIGHTLY") else 10


def test_nothing_acknowledged_is_lost_or_doubled():
    said = []
    outcome = crash_ledger.run(CYCLES, said.append)
    verdict = outcome.verdict
    assert (verdict.lost, verdict.duplicated) == (0, 0)
    assert verdict.broken == []
    assert verdict.refused == []
    assert len(outcome.recoveries_s) == CYCLES
    assert outcome.orders > CYCLES
    assert outcome.retries > 0
