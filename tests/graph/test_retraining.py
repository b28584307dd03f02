"""The sensor that asks for retraining, ticked: drift once a day, a refusal only when there is news."""

import datetime as dt
import json

import dagster as dg
import pytest

from pipelines.graph import build_defs
from pipelines.settings import Settings
from pipelines.steps.state import CheckRecord, StateStore, StepRecord
from pipelines.trainings.retraining import Memory

pytestmark = pytest.mark.xdist_group("graph")

REFUSED = "models/demand/forecasters"
TAGS = "features/consumer_tags"


class Watch:
    """The sensor of one home, with its cursor from tick to tick."""

    def __init__(self, home, project):
        self.records = StateStore(home / "state")
        self.cursor = None
        self.settings = Settings.model_construct(home=home, data=home)
        self._project = project

    def remember(self, key, check, passed, version="v1"):
        record = StepRecord(key, "f", version, {}, [CheckRecord(check, passed, is_error=False)], 0, 0)
        self.records.put(record)

    def lines(self, rows):
        self.records.put(StepRecord("raw/order_lines", "f", str(rows), {"rows": rows}, [], 0, 0))

    def tick(self):
        """Reasons of the run that is asked for; None when none is."""
        graph = build_defs(self.settings, {"dbt_project": self._project}).get_repository_def()
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance=instance,
                cursor=self.cursor,
                repository_def=graph,
                resources=graph.get_top_level_resources(),
            )
            data = graph.get_sensor_def("retraining_wanted").evaluate_tick(context)
        self.cursor = data.cursor
        assert len(data.run_requests or ()) <= 1
        return data.run_requests[0].tags["muyun/reason"] if data.run_requests else None


@pytest.fixture
def watch(tmp_path, parsed_project):
    made = Watch(tmp_path, parsed_project)
    made.lines(1000)
    return made


def test_nothing_trained_and_everything_passed_ask_for_nothing(watch):
    assert watch.tick() is None
    watch.remember(REFUSED, "demand_lstm_may_serve", True)
    watch.remember(TAGS, "tags_have_not_drifted_since_training", True)
    assert watch.tick() is None


def test_a_refused_gate_asks_when_the_order_lines_have_changed_by_a_tenth_and_not_before(watch):
    watch.remember(REFUSED, "demand_lstm_may_serve", False)
    assert watch.tick() is None, "it was trained just now"
    assert watch.tick() is None
    watch.lines(1099)
    assert watch.tick() is None
    watch.lines(1100)
    reason = watch.tick()
    assert "demand_lstm_may_serve" in reason
    assert "1,100" in reason
    assert watch.tick() is None, "asked once"
    watch.lines(990)
    assert "990" in watch.tick(), "a tenth fewer is news as well"


def test_days_alone_ask_for_nothing_as_long_as_nothing_changed(watch):
    watch.remember(REFUSED, "demand_lstm_may_serve", False)
    assert watch.tick() is None
    old = json.loads(watch.cursor)
    old["drift_asked_at"] = (dt.datetime.now(dt.UTC) - dt.timedelta(days=30)).isoformat()
    watch.cursor = json.dumps(old)
    assert watch.tick() is None


def test_other_settings_alone_give_a_refused_gate_no_other_try(watch):
    watch.remember(REFUSED, "demand_lstm_may_serve", False)
    assert watch.tick() is None
    watch.settings = watch.settings.model_copy(update={"seed": 5})
    assert watch.tick() is None


def test_promises_that_did_not_come_true_ask_and_other_checks_of_that_step_do_not(watch):
    watch.remember("published/wakeup_list", "logged_vectors_are_made_again_without_a_difference", False)
    assert watch.tick() is None
    watch.remember("published/wakeup_list", "promised_probabilities_came_true", False)
    assert "promised_probabilities_came_true" in watch.tick()
    assert watch.tick() is None


def test_another_refused_training_starts_counting_anew(watch):
    watch.remember(REFUSED, "demand_lstm_may_serve", False)
    assert watch.tick() is None
    watch.lines(1099)
    watch.remember(REFUSED, "demand_lstm_may_serve", False, version="v2")
    assert watch.tick() is None
    watch.lines(1150)
    assert watch.tick() is None
    watch.lines(1209)
    assert watch.tick() is not None


def test_drift_asks_at_once_and_again_after_a_day(watch):
    watch.remember(TAGS, "tags_have_not_drifted_since_training", False)
    assert "drifted" in watch.tick()
    assert watch.tick() is None
    old = json.loads(watch.cursor)
    old["drift_asked_at"] = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1, seconds=1)).isoformat()
    watch.cursor = json.dumps(old)
    assert watch.tick() is not None


@pytest.mark.parametrize(
    "cursor", ["1735689600.0", "", "{}", "[]", '{"refused": {"a": 1}, "drift_asked_at": null}']
)
def test_a_cursor_of_an_earlier_release_is_no_obstacle(watch, cursor):
    watch.remember(REFUSED, "demand_lstm_may_serve", False)
    watch.cursor = cursor
    assert watch.tick() is None
    assert set(Memory.read(watch.cursor).refused) == {REFUSED}
