"""A real MLflow store that is moved, or loses its champion; read with MLflow and without."""

import datetime as dt
import shutil
import sqlite3

import pytest

from models.contracts import Candidate, GateDecision, Interval
from models.errors import TrackingError
from models.store.cards import Provenance
from models.store.store_files import champion_version, follow_move
from models.store.tracking import Evidence, Tracker

DAY = dt.date(2025, 6, 30)


def candidate(folder, reason="because", data_to=DAY):
    bundle = folder / "work"
    bundle.mkdir(exist_ok=True)
    (bundle / "bundle.json").write_text('{"by": "test"}')
    decision = GateDecision(True, "auc", 0.8, "rule", 0.7, Interval(0.1, 0.05, 0.15), None, reason)
    return Candidate(
        name="churn", family="lifecycle", config={"depth": 3}, decision=decision, metrics={"auc": 0.8},
        leaderboard=[], bundle_dir=bundle, data_from=DAY, data_to=data_to, input_rows=10,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with a champion, made once: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("made")
    tracker = Tracker(folder / "mlflow")
    tracker.promote(tracker.log(candidate(folder), Provenance("v1", "c1", "2025-06-30")))
    return folder / "mlflow"


@pytest.fixture
def store(made, tmp_path):
    """A copy of that store: moved, as far as the store can tell, while the first place is still there."""
    shutil.copytree(made, tmp_path / "moved" / "mlflow")
    return tmp_path / "moved" / "mlflow"


def places(store):
    with sqlite3.connect(store / "mlflow.db") as database:
        return [
            row[0]
            for query in (
                "select artifact_uri from runs",
                "select source from model_versions",
                "select storage_location from model_versions",
                "select artifact_location from experiments where name = 'lifecycle'",
            )
            for row in database.execute(query)
        ]


def test_a_champion_is_found_without_mlflow(made):
    assert champion_version(made, "churn") == "1"
    assert champion_version(made, "rebuy") is None


def test_a_moved_store_is_followed(store, made):
    assert all(str(made) in place for place in places(store))
    champion = Tracker(store).champion("churn")
    assert champion.bundle_dir.is_relative_to(store)
    assert (champion.bundle_dir / "bundle.json").exists()
    assert champion.config == {"depth": 3}
    assert all(place.startswith(f"file://{store}/artifacts/lifecycle") for place in places(store))
    assert follow_move(store) is False
    assert champion_version(store, "churn") == "1"


def test_a_store_that_was_not_moved_is_left_alone(made):
    before = places(made)
    assert follow_move(made) is False
    assert places(made) == before


def test_a_new_version_after_the_move_lies_in_the_new_place(store, tmp_path):
    tracker = Tracker(store)
    version = tracker.log(candidate(tmp_path), Provenance("v2", "c1", "2025-07-01"))
    assert (version.version, version.bundle_dir.is_relative_to(store)) == ("2", True)


@pytest.mark.parametrize("lost", ["the store", "the database", "the artifacts"])
def test_what_was_lost_has_no_champion(store, lost):
    if lost == "the store":
        shutil.rmtree(store)
    elif lost == "the database":
        (store / "mlflow.db").unlink()
    else:
        shutil.rmtree(store / "artifacts")
    assert champion_version(store, "churn") is None
    assert Tracker(store).champion("churn") is None


def test_garbage_is_no_champion_and_opening_it_says_so(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    assert champion_version(tmp_path, "churn") is None
    assert follow_move(tmp_path) is False
    with pytest.raises(TrackingError, match="cannot be opened"):
        Tracker(tmp_path)


def test_a_demoted_champion_serves_no_more_and_keeps_its_version(store):
    tracker = Tracker(store)
    tracker.demote("churn")
    assert tracker.champion("churn") is None
    assert champion_version(store, "churn") is None


def test_the_last_refusal_is_remembered_until_a_version_passes(store, tmp_path):
    """Versions that only waited for new data were not judged; times of day do not matter."""
    tracker = Tracker(store)
    assert tracker.last_refused("never trained") is None
    assert tracker.last_refused("churn") is None
    evening = dt.datetime(2025, 7, 1, 23, 30, tzinfo=dt.UTC)
    tracker.log(candidate(tmp_path, "refused: worse", evening), Provenance("v2", "c1", "2025-07-02"))
    tracker.log(candidate(tmp_path, "waits: version 2", evening), Provenance("v3", "c1", "2025-07-03"))
    assert tracker.last_refused("churn") == Evidence("2", 10, dt.date(2025, 7, 1))
    tracker.log(candidate(tmp_path, "promoted: better"), Provenance("v4", "c1", "2025-07-09"))
    assert tracker.last_refused("churn") is None


def test_a_version_carries_its_card_and_the_hashes_of_data_and_code(made):
    with sqlite3.connect(made / "mlflow.db") as database:
        (description,) = database.execute("select description from model_versions").fetchone()
        tags = dict(database.execute("select key, value from tags where key like '%_version'").fetchall())
    assert description.startswith("# churn\n")
    assert tags == {"data_version": "v1", "code_version": "c1"}
    (file,) = made.glob("artifacts/lifecycle/*/artifacts/card.md")
    assert file.read_text() == description
