"""Ticks as Dagster sees them: a materialisation with its facts, checks, a bounded history."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pipelines.live.dagster_events import (
    EQUAL_CHECK,
    KEPT,
    LAG_CHECK,
    LIVE,
    facts,
    forget_old,
    tell,
    verdicts,
)
from pipelines.live.log import Comparison, Tick

TICK = Tick(
    number=3,
    generation="g",
    as_of=datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
    began_at=datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
    found=True,
    rows={"events": 20},
    dirty={"15m": 5},
    changed={"15m": 4},
    lag_s=120.0,
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.mark.parametrize(("lag_s", "passed"), [(900.0, True), (900.1, False)])
def test_fifteen_minutes_are_the_most(lag_s: float, passed: bool) -> None:
    assert [(name, good) for name, good, _ in verdicts(replace(TICK, lag_s=lag_s))] == [(LAG_CHECK, passed)]


def test_a_tick_without_rows_makes_no_verdict_on_the_lag() -> None:
    assert not list(verdicts(replace(TICK, lag_s=None)))


@pytest.mark.parametrize(
    ("comparison", "passed"),
    [(Comparison(rows=10), True), (Comparison(rows=10, differences={"core.fct_events": 1}), False)],
)
def test_one_row_that_differs_fails_the_check(comparison: Comparison, passed: bool) -> None:
    found = [(name, good) for name, good, _ in verdicts(replace(TICK, lag_s=None, comparison=comparison))]
    assert found == [(EQUAL_CHECK, passed)]


def test_a_lag_that_nobody_measured_is_not_told() -> None:
    assert facts(TICK)["lag_s"] == 120.0
    assert "lag_s" not in facts(replace(TICK, lag_s=None))


def test_a_tick_is_told_without_a_run(instance: dg.DagsterInstance) -> None:
    tell(instance, TICK)
    event = instance.get_latest_materialization_event(LIVE)
    assert event is not None
    assert event.run_id == ""
    assert event.asset_materialization is not None
    facts = event.asset_materialization.metadata
    assert (facts["tick"].value, facts["new_rows"].value, facts["entities_changed"].value) == (3, 20, 4)
    check = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(LIVE, LAG_CHECK)]
    )
    assert [found.status.value for found in check.values()] == ["SUCCEEDED"]
    assert not instance.get_runs()


def test_events_of_old_ticks_go_and_the_latest_of_each_check_stays(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        tell(instance, TICK)
    now = datetime.now(UTC)
    assert forget_old(instance, now) == 0
    assert forget_old(instance, now + KEPT + timedelta(minutes=1)) > 0
    assert not instance.fetch_materializations(LIVE, limit=10).records
    checks = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(LIVE, LAG_CHECK), limit=10
    )
    assert len(checks) == 1
