"""Publications on a small lake and a real PostgreSQL: hash, carrying over, immutability, retention."""

import datetime as dt
import json
import shutil

import polars as pl
import psycopg
import pytest
from empty_tables import empty_table
from published_rows import rows_of

from models.contracts import PUBLISHED_TABLES
from pipelines.lake.tables import Lake
from pipelines.stores import publication, versions
from serving.db.urls import libpq_url
from serving.scores import loader

AS_OF = dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)


def score(lake, name, rows):
    """Put rows where a scoring step leaves them."""
    empty = empty_table(name)
    frame = pl.DataFrame(rows, schema=empty.schema, orient="row") if rows else empty
    lake.put(publication.score_key(name), publication.conform(name, frame))


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    for name, rows in rows_of("first").items():
        score(lake, name, rows)
    return lake


def publish(lake, url, *, as_of=AS_OF, keep=5, models=None, kind="full"):
    return publication.publish(
        lake,
        url,
        as_of=as_of,
        data_from=AS_OF - dt.timedelta(days=90),
        data_to=AS_OF,
        model_versions=models or {"demand_lstm": "version 1"},
        keep_versions=keep,
        keep_refreshes=keep,
        kind=kind,
    )


def folder_of(lake, done):
    return lake.published_dir(done.manifest.version)


def test_the_lake_and_postgresql_hold_the_same_version(lake, database_url):
    done = publish(lake, database_url)
    current = loader.current(database_url)
    manifest = json.loads((folder_of(lake, done) / "manifest.json").read_text())
    assert current.version == done.manifest.version == manifest["version"]
    assert current.content_hash == manifest["content_hash"]
    assert current.row_counts == {name: entry["rows"] for name, entry in manifest["tables"].items()}
    assert {path.stem for path in folder_of(lake, done).glob("*.parquet")} == set(PUBLISHED_TABLES)
    with psycopg.connect(libpq_url(database_url)) as connection:
        served = connection.execute("select price_cents from scores.prices").fetchall()
    assert len(served) == manifest["tables"]["prices"]["rows"]


def test_the_same_content_makes_no_new_version(lake, database_url):
    first = publish(lake, database_url)
    again = publish(lake, database_url)
    assert (first.is_new, again.is_new, again.loaded) == (True, False, {})
    assert again.manifest == first.manifest
    assert len(loader.list_versions(database_url)) == 1


def test_a_changed_table_is_loaded_and_the_others_are_carried(lake, database_url):
    first = publish(lake, database_url)
    score(lake, "prices", rows_of("second")["prices"])
    second = publish(lake, database_url)
    assert set(second.loaded) == {"prices"}
    carried = {name for name, entry in second.manifest.tables.items() if entry.carried_from}
    assert carried == set(PUBLISHED_TABLES) - {"prices"}
    for name in PUBLISHED_TABLES:
        before, after = (folder_of(lake, done) / f"{name}.parquet" for done in (first, second))
        assert before.samefile(after) == (name != "prices")


def test_a_published_version_does_not_change_when_the_scores_do(lake, database_url):
    done = publish(lake, database_url)
    before = {path.name: path.read_bytes() for path in folder_of(lake, done).iterdir()}
    for name, rows in rows_of("second").items():
        score(lake, name, rows)
    publish(lake, database_url)
    assert {path.name: path.read_bytes() for path in folder_of(lake, done).iterdir()} == before


@pytest.mark.parametrize("change", ["as_of", "model", "table"])
def test_the_hash_sees_time_models_and_tables(lake, database_url, change):
    first = publish(lake, database_url)
    if change == "table":
        score(lake, "popular_items", [])
    second = publish(
        lake,
        database_url,
        as_of=AS_OF + dt.timedelta(hours=1) if change == "as_of" else AS_OF,
        models={"demand_lstm": "version 2"} if change == "model" else None,
    )
    assert second.is_new
    assert second.manifest.content_hash != first.manifest.content_hash


def test_equal_content_has_an_equal_hash_in_another_installation(lake, tmp_path, database_url):
    other = Lake(tmp_path / "other")
    for name, rows in rows_of("first").items():
        score(other, name, list(reversed(rows)))
    first = publish(lake, database_url)
    for name in PUBLISHED_TABLES:
        assert (
            publication._entry(other.derived_path(publication.score_key(name)), None, name)
            == (first.manifest.tables[name])
        )


def test_only_the_newest_versions_are_kept_and_each_is_whole(lake, database_url):
    done = []
    for hour in range(4):
        score(lake, "prices", rows_of(f"v{hour}")["prices"])
        done.append(publish(lake, database_url, as_of=AS_OF + dt.timedelta(hours=hour), keep=2))
    kept = {path.name for path in folder_of(lake, done[-1]).parent.iterdir()}
    assert kept == {done[2].manifest.version, done[3].manifest.version}
    assert {v.version for v in loader.list_versions(database_url)} == kept
    for name in PUBLISHED_TABLES:
        rows = pl.read_parquet(folder_of(lake, done[-1]) / f"{name}.parquet").height
        assert rows == done[-1].manifest.tables[name].rows


def test_a_failed_load_leaves_the_last_version_serving_and_the_next_try_succeeds(
    lake, database_url, monkeypatch
):
    first = publish(lake, database_url)
    score(lake, "prices", rows_of("second")["prices"])

    def fail(*_args, **_kwargs):
        raise RuntimeError("the line was cut")

    with monkeypatch.context() as patch:
        patch.setattr(publication.loader, "publish", fail)
        with pytest.raises(RuntimeError, match="cut"):
            publish(lake, database_url)
    assert loader.current(database_url).version == first.manifest.version
    second = publish(lake, database_url)
    assert loader.current(database_url).version == second.manifest.version


def test_a_new_server_gets_the_whole_version_although_the_lake_knows_it(
    lake, database_url, other_database_url
):
    """The database was lost, or another server is named: tables carried in the lake must be loaded there."""
    publish(lake, database_url)
    score(lake, "prices", rows_of("second")["prices"])
    second = publish(lake, database_url)
    there = publish(lake, other_database_url)
    assert there.manifest.version == second.manifest.version
    assert set(there.loaded) == set(PUBLISHED_TABLES)
    counts = loader.current(database_url).row_counts
    assert loader.current(other_database_url).row_counts == counts


def test_a_half_written_version_in_the_lake_does_not_stand_in_the_way(lake, database_url):
    first = publish(lake, database_url)
    dead = 2**22 + 1  # beyond the largest process id
    staging = folder_of(lake, first).with_name(f".{first.manifest.version}.{dead}.tmp")
    staging.mkdir()
    (staging / "prices.parquet").write_bytes(b"half")
    score(lake, "prices", rows_of("second")["prices"])
    assert publish(lake, database_url).is_new
    lake.create()
    assert not staging.exists()


def test_rollback_then_new_scores(lake, database_url):
    first = publish(lake, database_url)
    score(lake, "prices", rows_of("second")["prices"])
    publish(lake, database_url)
    assert loader.rollback(database_url) == first.manifest.version
    score(lake, "prices", rows_of("third")["prices"])
    third = publish(lake, database_url)
    assert set(third.loaded) == {"prices"}
    assert (third.served, third.is_held_back) == (first.manifest.version, True)
    assert loader.current(database_url).version == first.manifest.version
    assert not publish(lake, database_url).is_new
    assert loader.release(database_url) == third.manifest.version


@pytest.mark.parametrize("lost", ["a table in the lake", "a folder of the lake", "the rows", "the database"])
def test_what_was_lost_of_a_version_is_noticed_and_made_again(lake, database_url, lost):
    done = publish(lake, database_url)
    version = done.manifest.version
    assert publication.is_published(lake, database_url, version)
    if lost == "a table in the lake":
        (folder_of(lake, done) / "prices.parquet").unlink()
    elif lost == "a folder of the lake":
        shutil.rmtree(folder_of(lake, done))
    else:
        tables = "scores.prices" if lost == "the rows" else "scores.publication"
        with psycopg.connect(libpq_url(database_url)) as connection:
            connection.execute(f"truncate {tables} cascade")
    assert not publication.is_published(lake, database_url, version)
    again = publish(lake, database_url)
    assert again.manifest.version == version
    assert publication.is_published(lake, database_url, version)
    assert loader.current(database_url).version == version


def test_refreshes_leave_the_nightly_versions_in_the_lake_too(lake, database_url):
    made = {}
    for hour in range(6):
        kind = "full" if hour == 0 else "refresh"
        score(lake, "prices", rows_of(f"v{hour}")["prices"])
        made[hour] = publish(lake, database_url, as_of=AS_OF + dt.timedelta(hours=hour), keep=2, kind=kind)
    kept = {path.name for path in folder_of(lake, made[0]).parent.iterdir()}
    assert kept == {made[hour].manifest.version for hour in (0, 4, 5)}
    assert kept == {found.version for found in loader.list_versions(database_url)}
    night = json.loads((folder_of(lake, made[0]) / "manifest.json").read_text())
    assert night["kind"] == "full"
    assert pl.read_parquet(folder_of(lake, made[5]) / "profiles.parquet").height == 1


def test_a_full_run_over_a_refresh_with_the_same_content_makes_it_full(lake, database_url):
    publish(lake, database_url, kind="refresh")
    done = publish(lake, database_url, kind="full")
    assert (done.is_new, done.manifest.kind) == (False, "full")
    assert loader.current(database_url).kind == "full"
    assert versions.read_manifest(lake, done.manifest.version).kind == "full"
