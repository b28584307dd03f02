"""From candidates to the registry: who is promoted, what is written down, what the checks say."""

import datetime as dt
from types import SimpleNamespace

import pytest

from models.contracts import Candidate, GateDecision, Interval
from models.errors import BundleError, InsufficientDataError
from models.store.cards import Provenance
from models.store.tracking import Evidence
from pipelines.lake.tables import Lake
from pipelines.trainings import registration

AS_OF = dt.datetime(2025, 6, 30, tzinfo=dt.UTC)
PROVENANCE = Provenance("v1", "c1", AS_OF.isoformat())


class FakeTracker:
    """Remembers what it was asked, as the registry would."""

    def __init__(self, champions=()):
        self.champions = dict(champions)
        self.logged, self.promoted, self.demoted = [], [], []
        self.refused = {}

    def champion(self, name):
        return self.champions.get(name)

    def log(self, candidate, provenance):
        self.logged.append((candidate.name, provenance))
        return SimpleNamespace(name=candidate.name, version=str(len(self.logged)))

    def last_refused(self, name):
        return self.refused.get(name)

    def demote(self, name):
        self.demoted.append(name)

    def promote(self, version):
        self.promoted.append((version.name, version.version))


def candidate(name, *, promoted, tmp_path, rows=10, champion_lift=None):
    lift = Interval(0.1, 0.05 if promoted else -0.05, 0.15)
    decision = GateDecision(
        promoted, "auc", 0.8, "recency_rule", 0.7, lift, None, "because", champion_rule_lift=champion_lift
    )
    return Candidate(
        name=name,
        family="lifecycle",
        config={"depth": 3},
        decision=decision,
        metrics={"auc": 0.8},
        leaderboard=[{"system": name, "metric": "auc", "value": 0.8, "level": "consumer"}],
        bundle_dir=tmp_path,
        data_from=AS_OF,
        data_to=AS_OF,
        input_rows=rows,
    )


@pytest.fixture
def register(tmp_path):
    lake = Lake(tmp_path / "lake")

    def call(tracker, train, names=("churn", "rebuy"), reads=lambda *champion: None):
        outcome = registration.register(
            "lifecycle",
            names,
            train,
            reads,
            tracker=tracker,
            lake=lake,
            provenance=PROVENANCE,
        )
        return outcome, lake.read_report("models/lifecycle")

    return call


def test_only_what_passes_the_gate_is_promoted_but_all_is_logged(register, tmp_path):
    tracker = FakeTracker()
    outcome, summary = register(
        tracker,
        lambda _champions: [
            candidate("churn", promoted=True, tmp_path=tmp_path, rows=7),
            candidate("rebuy", promoted=False, tmp_path=tmp_path, rows=9),
        ],
    )
    assert tracker.logged == [("churn", PROVENANCE), ("rebuy", PROVENANCE)]
    assert tracker.promoted == [("churn", "1")]
    assert {check.name: (check.passed, check.is_error) for check in outcome.checks} == {
        "churn_may_serve": (True, False),
        "rebuy_may_serve": (False, False),
    }
    assert outcome.rows == 9
    assert [(row["name"], row["version"], row["promoted"]) for row in summary["models"]] == [
        ("churn", "1", True),
        ("rebuy", "2", False),
    ]


def test_training_is_told_the_settings_of_the_standing_champions(register, tmp_path):
    tracker = FakeTracker({"churn": SimpleNamespace(config={"depth": 2}, bundle_dir=tmp_path)})
    told = []

    def train(champions):
        told.append(dict(champions))
        return [candidate("churn", promoted=False, tmp_path=tmp_path)]

    register(tracker, train)
    assert told == [{"churn": {"depth": 2}}]


def test_too_little_data_is_no_error_and_every_check_says_why(register):
    def train(_champions):
        raise InsufficientDataError("12 weeks of orders, 26 are needed")

    tracker = FakeTracker()
    outcome, summary = register(tracker, train)
    assert (tracker.logged, tracker.promoted, outcome.rows) == ([], [], 0)
    assert [check.passed for check in outcome.checks] == [False, False]
    assert all("12 weeks" in check.metadata["reason"] for check in outcome.checks)
    assert summary["models"] == []
    assert "12 weeks" in summary["note"]


def test_a_model_that_was_not_trained_has_its_check_all_the_same(register, tmp_path):
    outcome, _ = register(
        FakeTracker(), lambda _champions: [candidate("churn", promoted=True, tmp_path=tmp_path)]
    )
    assert {check.name: check.passed for check in outcome.checks} == {
        "churn_may_serve": True,
        "rebuy_may_serve": False,
    }


def test_another_error_of_training_is_not_swallowed(register):
    def train(_champions):
        raise ZeroDivisionError("defect")

    with pytest.raises(ZeroDivisionError):
        register(FakeTracker(), train)


def test_scoring_loads_the_champion_or_is_told_to_use_the_rule(tmp_path):
    champion = SimpleNamespace(bundle_dir=tmp_path, version="3", config={})
    tracker = FakeTracker({"churn": champion})
    assert registration.champion_bundle(tracker, "churn") == (tmp_path, "version 3")
    assert registration.champion_bundle(tracker, "rebuy") == (None, "simple rule")


@pytest.mark.parametrize(("lift", "demoted"), [(-0.01, ["churn"]), (0.0, []), (0.01, [])])
def test_a_champion_behind_the_rule_no_longer_serves(register, tmp_path, lift, demoted):
    tracker = FakeTracker({"churn": SimpleNamespace(config={}, version="4", bundle_dir=tmp_path)})
    behind = candidate(
        "churn", promoted=False, tmp_path=tmp_path, champion_lift=Interval(lift, lift - 0.1, lift + 0.1)
    )
    outcome, _ = register(tracker, lambda _champions: [behind])
    assert tracker.demoted == demoted
    said = {check.name: check.metadata for check in outcome.checks}["churn_may_serve"]
    assert ("demoted" in said) is bool(demoted)


def test_without_a_champion_nothing_is_demoted(register, tmp_path):
    tracker = FakeTracker()
    behind = candidate("churn", promoted=False, tmp_path=tmp_path, champion_lift=Interval(-1.0, -1.0, -1.0))
    register(tracker, lambda _champions: [behind])
    assert tracker.demoted == []


@pytest.mark.parametrize(
    ("rows_then", "days_before", "promoted"),
    [
        (10, 0, False),
        (10, 6, False),
        (10, 7, True),  # a week of newer orders
        (9, 0, True),  # a tenth more
        (11, 0, False),  # fewer by less than a tenth
    ],
)
def test_after_a_refusal_only_new_data_let_a_model_pass(register, tmp_path, rows_then, days_before, promoted):
    tracker = FakeTracker()
    tracker.refused["churn"] = Evidence("3", rows_then, (AS_OF - dt.timedelta(days=days_before)).date())
    outcome, summary = register(
        tracker, lambda _champions: [candidate("churn", promoted=True, tmp_path=tmp_path, rows=10)]
    )
    assert tracker.promoted == ([("churn", "1")] if promoted else [])
    assert outcome.checks[0].passed is promoted
    assert summary["models"][0]["reason"].startswith(
        "because" if promoted else "waits: version 3 was refused"
    )


@pytest.mark.parametrize("error", [BundleError("other features"), TypeError("depth"), KeyError("settings")])
def test_a_champion_that_this_release_cannot_read_serves_no_more(register, tmp_path, error):
    """Neither is it backtested; the other champion stays."""
    champions = {
        name: SimpleNamespace(config={"of": name}, version="2", bundle_dir=tmp_path / name)
        for name in ("churn", "rebuy")
    }
    tracker, told, read = FakeTracker(champions), [], []

    def reads(name, bundle, config):
        read.append((name, bundle, config))
        if name == "churn":
            raise error

    def train(standing):
        told.append(dict(standing))
        return [candidate("churn", promoted=False, tmp_path=tmp_path)]

    outcome, _ = register(tracker, train, reads=reads)
    assert read == [(name, tmp_path / name, {"of": name}) for name in ("churn", "rebuy")]
    assert tracker.demoted == ["churn"]
    assert told == [{"rebuy": {"of": "rebuy"}}]
    said = {check.name: check.metadata for check in outcome.checks}["churn_may_serve"]
    assert said["demoted"].startswith("version 2 of an earlier release cannot be read")
