"""The graph is the one that was reviewed: connected, owned, described, light to load."""

import json
from pathlib import Path

import pytest
import yaml
from graph_snapshot import SNAPSHOT, as_text

from pipelines.conventions import Group, Owner
from pipelines.run import expected
from pipelines.sources.contract import TABLES
from pipelines.trainings.due import TRAINED
from pipelines.trainings.retraining import PROMISES, TAGS

pytestmark = pytest.mark.xdist_group("graph")

HEAVY = {
    "torch", "pytorch_lightning", "lightning", "mlflow", "great_expectations", "implicit", "lightgbm",
    "sklearn", "statsforecast", "matplotlib",
}  # fmt: skip
LOADING_CPU_S = 10


def test_the_graph_is_the_committed_one(loaded):
    """A difference that is meant is committed with `python tests/graph/graph_snapshot.py`."""
    assert as_text(loaded["graph"]) == SNAPSHOT.read_text()


def values_of(words):
    """The words that a class of constants holds."""
    return [value for name, value in vars(words).items() if name.isupper()]


@pytest.fixture(scope="module")
def assets(loaded):
    return loaded["graph"]["assets"]


def test_every_asset_has_a_known_group_and_owners(assets):
    groups, owners = set(values_of(Group)), set(values_of(Owner))
    strays = {
        name: (asset["group"], asset["owners"])
        for name, asset in assets.items()
        if asset["group"] not in groups or not asset["owners"] or not set(asset["owners"]) <= owners
    }
    assert not strays


def test_every_asset_is_described(loaded):
    assert loaded["undocumented"] == []


def test_every_asset_says_what_it_is_made_with(assets):
    assert [name for name, asset in assets.items() if not asset["kinds"]] == []


def test_every_asset_can_be_made_here(assets):
    """An upstream key that no asset has would show as an asset that cannot be executed."""
    assert [name for name, asset in assets.items() if not asset["is_executable"]] == []


def test_the_graph_is_one_connected_component(assets):
    neighbours = {name: set(asset["deps"]) for name, asset in assets.items()}
    for name, asset in assets.items():
        for parent in asset["deps"]:
            neighbours[parent].add(name)
    reached, waiting = set(), ["published/publication"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(neighbours[name])
    assert set(assets) - reached == set()


def test_every_way_through_the_graph_ends_in_the_publication(assets):
    """What no later step reads is made for nobody; people read marts and the tags of shops, agents, goods."""
    read = {parent for asset in assets.values() for parent in asset["deps"]}
    ends = {name for name in assets if name not in read and not name.startswith(("marts/", "intermediate/"))}
    people_read = {f"features/{entity}_tags" for entity in ("agent", "merchant", "sku", "supplier")}
    # A file that people open; rows that orders read; orders that suppliers read; requests of transfers; what
    # the report tells; the history of grades, which the next run reads.
    names = ("supplier_gates", "purchases", "transfers", "experiments_day", "grade_history")
    operations = {f"operations/{name}" for name in names}
    acting = {"warehouse/analysts", "growth/training_lifts", *operations}
    assert ends == {"live/profiles_and_prices"} | acting | people_read
    assert "published/publication" in assets["live/profiles_and_prices"]["deps"]


def test_every_contract_table_is_an_asset_with_its_account_as_a_blocking_check(assets):
    raw = {name.removeprefix("raw/"): asset for name, asset in assets.items() if name.startswith("raw/")}
    assert set(raw) == set(TABLES)
    for name, asset in raw.items():
        assert asset["checks"]["received_rows_are_accepted_or_quarantined"] == "blocking", name


def test_a_load_is_one_event_whatever_its_days(assets):
    """Dagster writes one event a partition; days are folders of the lake and a tag of the run instead."""
    assert [name for name, asset in assets.items() if asset["partitions"] is not None] == []


def test_the_boundaries_block(assets):
    boundary = {
        f"{name}: {check}": kind
        for name, asset in assets.items()
        for check, kind in asset["checks"].items()
        if check in {"feed_is_plausible", "features_are_whole"} or check.endswith("_safe_to_serve")
    }
    assert len(boundary) >= 17
    assert set(boundary.values()) == {"blocking"}


def test_every_step_that_shares_a_file_has_a_pool(assets):
    for name, asset in assets.items():
        if asset["group"] == "ingest":
            assert asset["pools"] == ["lake"], name
        if asset["group"] == "warehouse":
            assert asset["pools"] == ["warehouse"], name
    assert assets["published/publication"]["pools"] == ["publication"]


def test_schedules_and_sensors_start_by_themselves(loaded):
    automation = [*loaded["graph"]["schedules"].values(), *loaded["graph"]["sensors"].values()]
    assert {entry["starts"] for entry in automation} == {"RUNNING"}
    assert {entry["cron"] for entry in loaded["graph"]["schedules"].values()} == {
        "0 1 * * *",
        "30 1 * * *",
        "30 2 * * *",
        "0 4 * * 1",
        "*/15 * * * *",
    }


def test_loading_imports_nothing_heavy(loaded):
    assert HEAVY & set(loaded["modules"]) == set()


def test_loading_is_quick(loaded):
    """Processor seconds, which a busy machine does not stretch."""
    assert loaded["cpu_s"] < LOADING_CPU_S


def test_the_snapshot_is_readable_json():
    snapshot = json.loads(SNAPSHOT.read_text())
    assert {"assets", "jobs", "schedules", "sensors"} == set(snapshot)


def test_steps_that_are_spoken_of_by_name_are_in_the_graph(assets):
    """Trainings that wait and ask, drift, promises, and the times that a first run is told by."""
    timed = yaml.safe_load(Path(expected.__file__).with_suffix(".yaml").read_text())
    spoken = {*TRAINED, TAGS, PROMISES, *timed} - {"warehouse/dbt_build", "checks"}
    assert spoken - set(assets) == set()
    assert {key for key in assets if key.startswith("models/")} == set(TRAINED), "a training nobody asks for"
