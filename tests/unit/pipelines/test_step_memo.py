"""The memo of steps: each ingredient changed alone makes the step work again; unchanged, it does not."""

import datetime as dt

import dagster as dg
import pytest

from pipelines.clock import Clock
from pipelines.settings import Settings
from pipelines.steps.memo import Steps
from pipelines.steps.state import CheckRecord, Outcome, StateStore, StepRecord

NOON = dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)
UPSTREAM = dg.AssetKey(["raw", "orders"])


class Bench:
    """One asset on a memo whose every ingredient can be turned by hand."""

    def __init__(self, home):
        self.home = home
        self.settings = {"threshold": 1}
        self.seed = 1
        self.code = "code one"
        self.now = NOON
        self.sensitivity = "instant"
        self.outputs = [home / "out" / "frame.parquet"]
        self.tags = {}
        self.worked = 0
        self.checks = []
        self.outcome = {}
        self.holds = None
        self.waits = None
        self.records = StateStore(home / "state")
        self.upstream("orders one")

    def upstream(self, version):
        self.records.put(StepRecord("raw/orders", "f", version, {}, [], 0, 0))

    def body(self):
        self.worked += 1
        (self.home / "out").mkdir(exist_ok=True)
        (self.home / "out" / "frame.parquet").write_text("rows")
        return Outcome(rows=1, checks=list(self.checks), **self.outcome)

    def steps(self):
        chosen = Settings.model_construct(home=self.home, as_of=self.now, seed=self.seed, data=self.home)
        return Steps(chosen, self.records, Clock(chosen, None), code_of=lambda definition: self.code)

    def run(self, raise_on_error=True):
        """Run the step once; returns whether it worked."""
        before = self.worked

        @dg.asset(
            key=["scores", "frame"],
            deps=[UPSTREAM],
            check_specs=[dg.AssetCheckSpec(c.name, asset=["scores", "frame"]) for c in self.checks],
        )
        def frame(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return self.steps().run(
                context,
                self.body,
                settings=self.settings,
                outputs=self.outputs,
                clock=self.sensitivity,
                holds=self.holds,
                waits=self.waits,
            )

        with dg.DagsterInstance.ephemeral() as instance:
            self.result = dg.materialize(
                [frame, dg.AssetSpec(UPSTREAM)],
                instance=instance,
                tags=self.tags,
                raise_on_error=raise_on_error,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        return self.worked > before


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    assert made.run()
    assert not made.run(), "nothing changed"
    return made


CHANGES = {
    "an input": lambda bench: bench.upstream("orders two"),
    "an input that is gone": lambda bench: bench.records.forget("raw/orders"),
    "the code": lambda bench: setattr(bench, "code", "code two"),
    "a setting": lambda bench: bench.settings.update(threshold=2),
    "a further setting": lambda bench: bench.settings.update(champion="model 2"),
    "the seed": lambda bench: setattr(bench, "seed", 2),
    "the time": lambda bench: setattr(bench, "now", NOON + dt.timedelta(seconds=1)),
    "an output that is gone": lambda bench: bench.outputs[0].unlink(),
    "an output that was rewritten": lambda bench: bench.outputs[0].write_text("other rows"),
    "a further output": lambda bench: bench.outputs.append(bench.home / "more.parquet"),
    "what was done elsewhere": lambda bench: setattr(bench, "holds", lambda record: False),
    "a lost record": lambda bench: bench.records.forget("scores/frame"),
    "force": lambda bench: bench.tags.update({"muyun/force": "true"}),
    "force of this step": lambda bench: bench.tags.update({"muyun/force": "raw/x, scores/frame"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_each_ingredient_changed_alone_makes_the_step_work_again_and_only_once(bench, change):
    change(bench)
    assert bench.run()
    bench.tags.clear()
    bench.holds = None
    assert not bench.run()


def test_force_of_another_step_is_none_of_this_one(bench):
    bench.tags["muyun/force"] = "raw/orders,false"
    assert not bench.run()


def test_what_was_done_elsewhere_and_still_is_there_stands(bench):
    seen = []
    bench.holds = lambda record: seen.append(record.key) or True
    assert not bench.run()
    assert seen == ["scores/frame"]


@pytest.mark.parametrize(
    ("sensitivity", "later", "works"),
    [
        ("none", dt.timedelta(days=400), False),
        ("none", dt.timedelta(days=-400), False),
        ("since", dt.timedelta(days=400), False),
        ("since", dt.timedelta(seconds=-1), True),
        ("day", dt.timedelta(hours=3, minutes=59), False),
        ("day", dt.timedelta(hours=4), True),  # midnight of the shops, eight hours ahead of UTC
        ("day", dt.timedelta(hours=-21), True),
        ("instant", dt.timedelta(microseconds=1), True),
    ],
)
def test_time_matters_as_far_as_the_step_says(tmp_path, sensitivity, later, works):
    bench = Bench(tmp_path)
    bench.sensitivity = sensitivity
    assert bench.run()
    bench.now = NOON + later
    assert bench.run() == works


def test_a_result_may_find_out_that_it_hangs_on_the_instant(tmp_path):
    """Rows were refused as in the future: a later moment accepts them."""
    bench = Bench(tmp_path)
    bench.sensitivity, bench.outcome = "since", {"clock": "instant"}
    assert bench.run()
    bench.now += dt.timedelta(minutes=1)
    bench.outcome = {}
    assert bench.run()
    bench.now += dt.timedelta(minutes=1)
    assert not bench.run()


def test_a_result_may_say_until_when_it_is_true(tmp_path):
    bench = Bench(tmp_path)
    bench.sensitivity, bench.outcome = "since", {"until": NOON + dt.timedelta(hours=1)}
    assert bench.run()
    bench.now = NOON + dt.timedelta(minutes=59)
    assert not bench.run()
    bench.now = NOON + dt.timedelta(hours=1)
    assert bench.run()


def test_a_step_that_was_killed_between_its_work_and_its_record_works_again(bench, monkeypatch):
    class Killed(BaseException):
        pass

    def die(record):
        raise Killed

    bench.code = "code two"
    with monkeypatch.context() as patch:
        patch.setattr(bench.records, "put", die)
        with pytest.raises(Killed):
            bench.run()
    assert bench.records.get("scores/frame") is None, "the old record is no longer true either"
    assert bench.run()


def test_a_step_that_fails_leaves_no_record(bench, monkeypatch):
    bench.code = "code two"
    with monkeypatch.context() as patch:
        patch.setattr(bench, "body", lambda: 1 / 0)
        bench.run(raise_on_error=False)
        assert not bench.result.success
    assert bench.run()


@pytest.mark.parametrize(("is_error", "works_again"), [(True, True), (False, False)])
def test_a_failed_check_is_remembered_only_when_it_warns(tmp_path, is_error, works_again):
    bench = Bench(tmp_path)
    bench.checks = [CheckRecord("is_sound", False, is_error=is_error)]
    assert bench.run()
    assert bench.run() == works_again


def test_dagster_is_told_the_version_that_the_record_holds_also_when_nothing_was_done(bench):
    def told():
        (event,) = bench.result.get_asset_materialization_events()
        return event.materialization.tags["dagster/data_version"]

    recorded = bench.records.version("scores/frame")
    assert told() == recorded
    bench.code = "code two"
    assert bench.run()
    assert told() == recorded, "other code wrote the same bytes: what reads them need not work"
    bench.outputs.clear()
    bench.code = "code three"
    assert bench.run()
    assert told() == bench.records.version("scores/frame") != recorded


WAITING = {
    "other code": lambda bench: setattr(bench, "code", "code two"),
    "other settings": lambda bench: setattr(bench, "settings", {"threshold": 2}),
    "another seed": lambda bench: setattr(bench, "seed", 2),
    "its output is gone": lambda bench: bench.outputs[0].unlink(),
    "forced": lambda bench: setattr(bench, "tags", {"muyun/force": "scores/frame"}),
    "it can wait no longer": lambda bench: setattr(bench, "waits", lambda record: ""),
}


@pytest.fixture
def waiting(bench):
    """A step whose last outcome is good enough for other inputs."""
    bench.sensitivity, bench.waits = "none", lambda record: "can wait"
    bench.records.forget("scores/frame")
    assert bench.run()
    bench.upstream("orders two")
    return bench


def test_a_step_that_can_wait_reports_its_last_outcome_for_other_inputs(waiting, capsys):
    version = waiting.records.version("scores/frame")
    assert not waiting.run()
    assert "scores/frame: 1 rows, can wait" in capsys.readouterr().err
    assert waiting.records.version("scores/frame") == version
    waiting.waits = None
    assert waiting.run(), "its record still says what it was made of"


@pytest.mark.parametrize("change", WAITING.values(), ids=WAITING.keys())
def test_what_else_decides_makes_a_step_work_that_could_wait(waiting, change):
    change(waiting)
    assert waiting.run()


def test_a_record_of_an_earlier_release_cannot_wait(waiting):
    from dataclasses import replace

    waiting.records.put(replace(waiting.records.get("scores/frame"), deciding=""))
    assert waiting.run()
