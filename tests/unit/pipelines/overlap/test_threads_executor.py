"""Steps that do not need each other overlap; those of one pool do not; a failure stops what hangs on it."""

import threading
import time

import dagster as dg
import pytest

from pipelines.overlap.order import longest_ways
from pipelines.overlap.threads import execute, threads_executor
from pipelines.run.expected import step_seconds


class Watch:
    """Which steps were at work together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now, self.together, self.order = set(), set(), []

    def work(self, name, seconds=0.3):
        with self.lock:
            self.now.add(name)
            self.order.append(name)
            self.together |= {frozenset({name, other}) for other in self.now - {name}}
        time.sleep(seconds)
        with self.lock:
            self.now.discard(name)


def asset(name, watch, deps=(), pool=None, fails=False):
    @dg.asset(name=name, deps=list(deps), pool=pool)
    def made() -> None:
        watch.work(name)
        if fails:
            raise ValueError(f"{name} is broken")

    return made


def run(assets, executor=None):
    job = dg.Definitions(
        assets=assets, jobs=[dg.define_asset_job("all_of_it", selection="*")]
    ).resolve_job_def("all_of_it")
    with dg.DagsterInstance.ephemeral() as instance:
        return execute(
            job,
            executor or threads_executor.configured({"at_once": 3}),
            instance=instance,
            selection=None,
            tags={},
        )


def test_independent_steps_overlap_and_a_pool_takes_one_at_a_time():
    watch = Watch()
    assets = [
        asset("first", watch),
        asset("lake_1", watch, ["first"], "lake"),
        asset("lake_2", watch, ["first"], "lake"),
        asset("free", watch, ["first"]),
        asset("last", watch, ["lake_1", "lake_2", "free"]),
    ]
    result = run(assets)
    assert result.success
    assert {step.step_key for step in result.get_step_success_events()} == {a.key.path[0] for a in assets}
    assert frozenset({"lake_1", "free"}) in watch.together or frozenset({"lake_2", "free"}) in watch.together
    assert frozenset({"lake_1", "lake_2"}) not in watch.together
    assert watch.order[0] == "first"
    assert watch.order[-1] == "last"


def test_with_the_in_process_executor_nothing_overlaps():
    watch = Watch()
    result = run([asset("one", watch), asset("two", watch)], dg.in_process_executor)
    assert result.success
    assert not watch.together


def test_a_failure_stops_what_hangs_on_it_and_nothing_else():
    watch = Watch()
    result = run(
        [
            asset("bad", watch, fails=True),
            asset("behind", watch, ["bad"]),
            asset("beside", watch),
            asset("after", watch, ["beside"]),
        ]
    )
    assert not result.success
    assert [event.step_key for event in result.all_events if event.is_step_failure] == ["bad"]
    assert sorted(watch.order) == ["after", "bad", "beside"]


def test_the_longest_way_goes_first():
    ways = longest_ways(
        {
            "raw__orders": set(),
            "raw__promotions": set(),
            "operations__replayed_orders": {"raw__orders"},
            "dbt_build": {"operations__replayed_orders", "raw__promotions"},
        }
    )
    assert ways["raw__orders"] > ways["raw__promotions"] > ways["dbt_build"] > 0
    assert ways["raw__orders"] == pytest.approx(
        step_seconds("raw__orders") + step_seconds("operations__replayed_orders") + ways["dbt_build"]
    )
