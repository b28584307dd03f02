"""A run with nothing new is decided at once; whatever was done to the home sends it through the graph."""

import datetime as dt
import shutil
from contextlib import contextmanager

import pytest
from tiny_world import AS_OF, REPLAY_DAYS
from world_run import explain

from pipelines.lake.tables import Lake
from pipelines.run.standing import standing_run
from pipelines.settings import Settings

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture(scope="module")
def look(world, first, second):
    """Asks whether the last whole run of the world stands, with other settings if a test wants."""
    patch = pytest.MonkeyPatch()
    for name in ("MUYUN_AS_OF", "MUYUN_HOME", "MUYUN_DATA"):
        patch.delenv(name, raising=False)
    given = {"home": world.home, "data": world.data, "as_of": AS_OF, "replay_days": REPLAY_DAYS, "lang": "en"}
    with world.database() as url:
        yield lambda **other: standing_run(Settings(**{**given, **other}), url)
    patch.undo()


@contextmanager
def gone(path):
    """A file or folder that is away for a while; its time stays."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        aside.rename(path)


def test_a_second_run_says_since_when_there_is_nothing_new_on_the_usual_screen(second, first):
    assert second.returncode == 0, explain(second)
    assert "nothing new since" in second.stdout
    assert [line for line in second.stderr.splitlines() if line.startswith("[")] == [], "no step was asked"
    for line in first.done.stdout.splitlines():
        if line.startswith(("rows received", "published ", "report ", "warehouse ")):
            assert line in second.stdout


def test_a_whole_run_stands(look):
    assert look()["published"]


def test_time_counts_by_the_local_day_only_and_by_orders_that_wait_for_it(look):
    """Noon in UTC is eight in the evening of the shops; an order of 2031 is refused until then."""
    assert look(as_of=AS_OF + dt.timedelta(hours=3, minutes=59)) is not None
    assert look(as_of=AS_OF + dt.timedelta(hours=4)) is None
    assert look(as_of=AS_OF - dt.timedelta(hours=1)) is None, "rows may lie in the future of an earlier time"


@pytest.mark.parametrize(
    "setting", [{"seed": 1}, {"currency": "EUR"}, {"replay_days": 1}, {"time_zone": "Europe/London"}]
)
def test_another_setting_is_news(look, setting):
    assert look(**setting) is None


def one_day(home):
    return sorted((home / "lake" / "accepted" / "orders").glob("day=2025-*"))[3]


LOST = {
    "one day of a table": one_day,
    "a table": lambda home: home / "lake" / "accepted" / "products",
    "the tags": lambda home: Lake(home / "lake").derived_path("features/consumer_tags"),
    "a scored table": lambda home: Lake(home / "lake").derived_path("scores/prices"),
    "the published versions": lambda home: home / "lake" / "published",
    "the models": lambda home: home / "mlflow",
    "the registry of models": lambda home: home / "mlflow" / "mlflow.db",
    "the warehouse of the steps": lambda home: home / "warehouse" / "good.duckdb",
    "the warehouse of analysts": lambda home: home / "warehouse" / "muyun.duckdb",
    "the build": lambda home: home / "warehouse" / "build.duckdb",
    "what the API recorded": lambda home: home / "lake" / "operational" / "books",
    "a step's record": lambda home: home / "state" / "raw__orders.json",
    "the report": lambda home: home / "report" / "index.html",
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
def test_what_is_lost_is_noticed(look, world, lost):
    with gone(lost(world.home)):
        assert look() is None
    assert look() is not None


def test_a_new_row_in_the_folder_is_news(look, world):
    file = world.data / "orders.csv"
    before = file.read_bytes()
    try:
        file.write_bytes(before + before.splitlines(keepends=True)[-1].replace(b"o-", b"p-"))
        assert look() is None
    finally:
        file.write_bytes(before)
    assert look() is not None


def test_limits_of_the_user_are_news(look, world):
    file = world.home / "limits.yaml"
    file.write_text("quarantined_share: {tables: {orders: 0.2}}\n")
    try:
        assert look() is None
    finally:
        file.unlink()


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("pipelines.sources.recorded.extraction.Extraction.has_news", lambda *_: True),
        ("pipelines.stores.publication.is_published", lambda *_, **__: False),
        ("pipelines.run.standing.database_identity", lambda url, tenant_id: "another database"),
        ("pipelines.run.standing.project_version", lambda: "other SQL"),
        ("pipelines.run.code.installed", lambda: ["dagster-99.dist-info"]),
    ],
)
def test_news_from_outside_the_home(look, monkeypatch, where, what):
    monkeypatch.setattr(where, what)
    assert look() is None


def test_a_moved_home_and_a_restored_copy_still_stand(look, world, tmp_path):
    """Times and the place of files differ, their content does not."""
    copy = tmp_path / "copy"
    shutil.copytree(
        world.home, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("postgres", "logs")
    )
    assert look(home=copy) is not None
