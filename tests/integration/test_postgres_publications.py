import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import psycopg
import published_rows
import pyarrow as pa
import pytest
from published_rows import manifest_of, rows_of

from models.contracts import PUBLISHED_TABLES, REQUIRED_TABLES
from serving.db import migrate
from serving.db.embedded import EmbeddedPostgres
from serving.db.pool import Pool
from serving.db.urls import libpq_url
from serving.errors import (
    DatabaseUnavailableError,
    PublicationRejectedError,
    PublisherBusyError,
    UnknownVersionError,
)
from serving.scores import versions
from serving.scores.contracts import PublicationManifest
from serving.scores.loader import current, holds, list_versions, publish, release, rollback
from serving.scores.reader import ScoreReader


def put(url, version, **arguments):
    rows = rows_of(version)
    return publish(url, manifest_of(version, rows), rows, **arguments)


def contents(url):
    """What the database holds: rows of every score table by the version that shows them."""
    with psycopg.connect(libpq_url(url)) as connection:
        return {
            name: dict(
                connection.execute(
                    f"select coalesce(t.version, 'nobody'), count(*) from scores.{name} x"
                    " left join scores.publication_table t using (snapshot_id) group by 1"
                ).fetchall()
            )
            for name in PUBLISHED_TABLES
        }


def test_publish_loads_every_table_and_switches(database_url):
    assert current(database_url) is None
    result = put(database_url, "v1")
    assert result.loaded == {name: len(rows) for name, rows in rows_of("v1").items()}
    found = current(database_url)
    assert (found.version, found.status, found.is_current) == ("v1", "loaded", True)
    assert found.row_counts["recommendations"] == 40
    held = contents(database_url)
    assert held["recommendations"] == {"v1": 4}  # folded: one row a consumer
    assert held["popular_items"] == {"v1": 1}
    assert held["prices"] == {"v1": 40}


def test_the_same_publication_again_changes_nothing(database_url):
    put(database_url, "v1")
    before = contents(database_url)
    again = put(database_url, "v1")
    assert again.already_loaded
    assert contents(database_url) == before


def test_a_version_never_changes(database_url):
    put(database_url, "v1")
    other = rows_of("v1")
    with pytest.raises(PublicationRejectedError, match="already published with other content"):
        publish(database_url, manifest_of("v1", other, sha="b"), other)


@pytest.mark.parametrize("frame", ["pyarrow", "polars", "reader"])
def test_arrow_streams_are_taken_by_column_name(database_url, frame):
    rows = rows_of("v1")
    streams = {}
    for name, found in rows.items():
        names = [column.name for column in PUBLISHED_TABLES[name].columns]
        table = pa.table(dict(reversed(list(zip(names, zip(*found, strict=True), strict=True)))))
        streams[name] = {"pyarrow": table, "polars": pl.from_arrow(table), "reader": table.to_reader(7)}[
            frame
        ]
    publish(database_url, manifest_of("v1", rows), streams)
    with psycopg.connect(libpq_url(database_url)) as connection:
        first = connection.execute(
            "select items->0 from scores.recommendations where consumer_id = 'c0'"
        ).fetchone()[0]
        price = connection.execute("select price_cents, explanation from scores.prices limit 1").fetchone()
    assert first == {
        "rank": 1,
        "sku_id": "s0",
        "score": 1.0,
        "lane": "repeat",
        "reason_code": "v1",
        "propensity": 0.5,
    }
    assert price == (5, {"by": "v1"})


def test_empty_tables_are_a_publication(database_url):
    rows = {name: [] for name in PUBLISHED_TABLES}
    result = publish(database_url, manifest_of("empty", rows), rows)
    assert set(result.loaded.values()) == {0}
    assert current(database_url).version == "empty"


def test_a_version_without_an_optional_table_is_whole(database_url):
    rows = rows_of("v1")
    whole = manifest_of("v1", rows)
    kept = {name: entry for name, entry in whole.tables.items() if name in REQUIRED_TABLES}
    manifest = PublicationManifest.build(
        **{**whole.model_dump(exclude={"content_hash"}), "tables": kept},
    )
    publish(database_url, manifest, {name: rows[name] for name in REQUIRED_TABLES})
    assert holds(database_url, "v1")
    assert contents(database_url)["segments"] == {}
    with pytest.raises(ValueError, match=r"missing \['prices'\]"):
        PublicationManifest.build(
            **{
                **whole.model_dump(exclude={"content_hash"}),
                "tables": {name: entry for name, entry in kept.items() if name != "prices"},
            }
        )


def broken(change):
    """Rows of `v2` with one fault, and the manifest that goes with them."""
    rows = rows_of("v2")
    counts = change(rows) or {}
    return rows, manifest_of("v2", rows, counts=counts)


FAULTS = {
    "too few rows": (lambda rows: {"prices": 41}, "manifest says 41 rows, 40 came"),
    "too few folded rows": (lambda rows: {"recommendations": 41}, "manifest says 41 rows, 40 came"),
    "repeated key": (lambda rows: rows["prices"].append(rows["prices"][0]), r"Key .*m1, s0.* already exists"),
    "repeated rank": (lambda rows: rows["popular_items"].append(rows["popular_items"][0]), "not 1..41"),
    "rank with a gap": (lambda rows: rows["popular_items"].__delitem__(0), "not 1..39"),
    "null": (
        lambda rows: rows["prices"].__setitem__(7, (*rows["prices"][7][:4], None, *rows["prices"][7][5:])),
        "price_cents is null in row merchant_id='m1', sku_id='s7'",
    ),
    "not a number": (
        lambda rows: rows["prices"].__setitem__(
            7, (*rows["prices"][7][:9], float("nan"), *rows["prices"][7][10:])
        ),
        "elasticity is nan in row merchant_id='m1', sku_id='s7'",
    ),
    "not json": (
        lambda rows: rows["prices"].__setitem__(7, (*rows["prices"][7][:12], "{torn")),
        "invalid input syntax for type json",
    ),
    "wrong type": (
        lambda rows: rows["prices"].__setitem__(7, ("m1", "s7", "cheap", *rows["prices"][7][3:])),
        "invalid input syntax for type bigint",
    ),
    "wrong width": (lambda rows: rows["prices"].__setitem__(7, ("m1", "s7")), "rows have"),
    "unknown lane": (
        lambda rows: rows["recommendations"].__setitem__(
            0, (*rows["recommendations"][0][:5], "fast", *rows["recommendations"][0][6:])
        ),
        "lane is 'fast'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_load_leaves_the_old_version_and_no_trace(database_url, fault):
    change, message = FAULTS[fault]
    put(database_url, "v1")
    before = contents(database_url)
    rows, manifest = broken(change)
    with pytest.raises(PublicationRejectedError, match=message):
        publish(database_url, manifest, rows)
    assert current(database_url).version == "v1"
    assert [found.version for found in list_versions(database_url)] == ["v1"]
    assert contents(database_url) == before
    put(database_url, "v2")
    assert current(database_url).version == "v2"


def test_a_source_that_breaks_off_leaves_no_trace(database_url):
    put(database_url, "v1")
    rows = rows_of("v2")

    def torn():
        yield from rows["prices"][:20]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        publish(database_url, manifest_of("v2", rows), {**rows, "prices": torn()})
    assert current(database_url).version == "v1"
    assert contents(database_url)["prices"] == {"v1": 40}


def test_tables_must_be_the_published_ones(database_url):
    rows = rows_of("v1")
    manifest = manifest_of("v1", rows)
    without = {name: found for name, found in rows.items() if name != "prices"}
    with pytest.raises(PublicationRejectedError, match=r"needs rows for \['prices'\]"):
        publish(database_url, manifest, without)


def test_carried_tables_show_the_same_rows(database_url):
    put(database_url, "v1")
    rows = rows_of("v2")
    carried = {name: "v1" for name in PUBLISHED_TABLES if name != "prices"}
    result = publish(database_url, manifest_of("v2", rows, carried=carried), {"prices": rows["prices"]})
    assert result.loaded == {"prices": 40}
    assert set(result.carried) == set(PUBLISHED_TABLES) - {"prices"}
    assert contents(database_url)["prices"] == {"v1": 40, "v2": 40}
    assert contents(database_url)["recommendations"] == {"v1": 4, "v2": 4}
    with pytest.raises(UnknownVersionError, match="'v9' is not in the database"):
        publish(
            database_url,
            manifest_of("v3", rows, carried=dict.fromkeys(carried, "v9")),
            {"prices": rows["prices"]},
        )
    with pytest.raises(PublicationRejectedError, match="differs from it"):
        publish(database_url, manifest_of("v3", rows, carried=carried, sha="b"), {"prices": rows["prices"]})
    assert current(database_url).version == "v2"


def test_retention_keeps_the_newest_and_what_they_carry(database_url):
    put(database_url, "v1")
    carried = {name: "v1" for name in PUBLISHED_TABLES if name != "prices"}
    for version in ("v2", "v3", "v4"):
        rows = rows_of(version)
        result = publish(
            database_url,
            manifest_of(version, rows, carried=carried),
            {"prices": rows["prices"]},
            keep_versions=2,
        )
        carried = dict.fromkeys(carried, version)
    assert result.dropped_versions == ("v2",)
    assert [found.version for found in list_versions(database_url)] == ["v4", "v3"]
    held = contents(database_url)
    assert held["prices"] == {"v3": 40, "v4": 40}
    assert held["profiles"] == {"v3": 1, "v4": 1}  # loaded by v1, which is gone, and still shown


def test_rollback_and_forward_again(database_url, monkeypatch, capsys):
    with pytest.raises(UnknownVersionError, match="no older loaded version"):
        rollback(database_url)
    for version in ("v1", "v2", "v3"):
        put(database_url, version)
    assert rollback(database_url) == "v2"
    assert rollback(database_url) == "v1"
    with pytest.raises(UnknownVersionError, match="no older loaded version"):
        rollback(database_url)
    states = {found.version: (found.status, found.is_current) for found in list_versions(database_url)}
    assert states == {"v1": ("loaded", True), "v2": ("withdrawn", False), "v3": ("withdrawn", False)}
    with pytest.raises(UnknownVersionError, match="'v7' is not in the database; there are"):
        rollback(database_url, "v7")
    assert rollback(database_url, "v3") == "v3"
    assert current(database_url).status == "loaded"
    monkeypatch.setenv("MUYUN_DATABASE_URL", database_url)
    assert versions.main(["rollback", "v2"]) == 0
    assert capsys.readouterr().out == "now serving v2, pinned until it is released\n"
    assert versions.main(["list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert (
        [line for line in listed if line.endswith("  pinned")]
        == [line for line in listed if line.startswith("* v2  full     loaded")]
        != []
    )
    assert versions.main(["rollback", "v9"]) == 1
    assert versions.main(["release"]) == 0
    assert capsys.readouterr().out == "now serving v2\n"


def seen(url):
    """What readers see, and whether they are pinned there."""
    found = current(url)
    return (found.version, found.is_pinned)


def test_a_rollback_holds_readers_until_it_is_released(database_url):
    for version in ("v1", "v2"):
        put(database_url, version)
    assert seen(database_url) == ("v2", False)
    rollback(database_url)
    result = put(database_url, "v3")
    assert (result.version, result.served) == ("v3", "v1")
    assert seen(database_url) == ("v1", True)
    put(database_url, "v4")
    assert seen(database_url) == ("v1", True)
    assert release(database_url) == "v4"
    assert seen(database_url) == ("v4", False)
    assert put(database_url, "v5").served == "v5"
    with pytest.raises(UnknownVersionError, match="no version is pinned"):
        release(database_url)


def test_a_release_does_not_bring_back_what_the_rollback_withdrew(database_url):
    for version in ("v1", "v2"):
        put(database_url, version)
    rollback(database_url)
    assert release(database_url) == "v1"
    assert put(database_url, "v3").served == "v3"


def test_a_pinned_version_is_never_dropped(database_url):
    for version in ("v1", "v2"):
        put(database_url, version, keep_versions=1)
        if version == "v1":
            put(database_url, "other", keep_versions=2)
            rollback(database_url)
    for number in range(3, 6):
        put(database_url, f"v{number}", keep_versions=1)
    assert {found.version for found in list_versions(database_url)} == {"v1", "v5"}
    assert seen(database_url) == ("v1", True)


def test_refreshes_do_not_push_full_versions_out(database_url):
    put(database_url, "night-1", keep_versions=2, keep_refreshes=2)
    put(database_url, "night-2", keep_versions=2, keep_refreshes=2)
    for number in range(5):
        rows = rows_of(f"minute-{number}")
        manifest = manifest_of(f"minute-{number}", rows, kind="refresh")
        publish(database_url, manifest, rows, keep_versions=2, keep_refreshes=2)
    kept = {found.version: found.kind for found in list_versions(database_url)}
    assert kept == {
        **dict.fromkeys(("night-1", "night-2"), "full"),
        **dict.fromkeys(("minute-3", "minute-4"), "refresh"),
    }
    put(database_url, "night-3", keep_versions=2, keep_refreshes=2)
    kept = {found.version for found in list_versions(database_url)}
    assert kept == {"night-2", "night-3", "minute-3", "minute-4"}


@pytest.mark.parametrize("lost", ["a table's rows", "the pointer", "the version"])
def test_a_version_that_lost_something_is_noticed_and_loaded_again(database_url, lost):
    put(database_url, "v1")
    assert holds(database_url, "v1")
    assert not holds(database_url, "v2")
    statements = {
        "a table's rows": "delete from scores.prices where sku_id = 's1'",
        "the pointer": "delete from scores.current_publication",
        "the version": "truncate scores.publication cascade",
    }
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute(statements[lost])
    assert not holds(database_url, "v1")
    put(database_url, "v1")
    assert holds(database_url, "v1")
    assert contents(database_url)["prices"]["v1"] == 40


def test_two_publishers_take_turns(database_url):
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda version: put(database_url, version), ("v1", "v2", "v3")))
    assert {result.version for result in results} == {"v1", "v2", "v3"}
    assert len(list_versions(database_url)) == 3


def test_a_publisher_that_never_ends_is_reported(database_url):
    rows = rows_of("slow")
    holding, release = threading.Event(), threading.Event()

    def slow():
        holding.set()
        release.wait(30)
        yield from rows["prices"]

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(publish, database_url, manifest_of("slow", rows), {**rows, "prices": slow()})
        assert holding.wait(30)
        with pytest.raises(PublisherBusyError, match="another publisher"):
            put(database_url, "v2", lock_wait_s=0.1)
        release.set()
        assert running.result().version == "slow"


def test_a_reader_never_sees_a_mixture(database_url):
    """Readers hammer while versions come, go back and are dropped; every answer is of one version."""
    put(database_url, "v0")
    done = threading.Event()

    def writer():
        try:
            for number in range(1, 9):
                put(database_url, f"v{number}", keep_versions=2)
                if number % 3 == 0:
                    rollback(database_url)
                    release(database_url)
        finally:
            done.set()

    async def read(reader, seen):
        while not done.is_set():
            ranked = await reader.recommendations("m1", "c1")
            assert {item.reason_code for item in ranked.items} == {ranked.shown.version}
            assert len(ranked.items) == 10
            popular = await reader.recommendations("m1", "nobody")
            assert {item.reason_code for item in popular.items} == {popular.shown.version}
            page = await reader.prices("m1", version=None, after="", limit=100)
            assert {row.pricing_mode for row in page.rows} == {page.shown.version}
            assert len(page.rows) == 40
            shown, found = await reader.profiles(["c1"], merchant_id=None)
            assert found["c1"].tags == f'{{"by": "{shown.version}"}}'
            seen.add(shown.version)

    async def main():
        pool = Pool(database_url, size=4, timeout_s=20)
        seen = set()
        await asyncio.gather(*(read(ScoreReader(pool, "default"), seen) for _ in range(3)))
        await pool.close()
        return seen

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(writer)
        seen = asyncio.run(main())
        running.result()
    assert len(seen) > 1


def test_a_killed_publisher_leaves_the_old_version(database_url, tmp_path):
    """kill -9 in the middle of the load, then the same publication again."""
    put(database_url, "v1")
    script = textwrap.dedent(
        """
        import sys, time
        sys.path.insert(0, sys.argv[2])
        from published_rows import manifest_of, rows_of
        from serving.scores.loader import publish
        rows = rows_of("v2")
        def endless():
            yield from rows["prices"][:30]
            print("half", flush=True)
            time.sleep(60)
        publish(sys.argv[1], manifest_of("v2", rows), {**rows, "prices": endless()})
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, database_url, os.path.dirname(published_rows.__file__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert current(database_url).version == "v1"
    put(database_url, "v2")
    assert current(database_url).version == "v2"
    assert contents(database_url)["prices"] == {"v1": 40, "v2": 40}


def test_postgres_killed_in_the_middle_of_a_load(private_folder):
    cluster = EmbeddedPostgres(private_folder / "postgres", configuration={"shared_buffers": "16MB"})
    try:
        url = cluster.start().url()
        migrate.upgrade(url)
        put(url, "v1")
        rows = rows_of("v2")

        def killing():
            yield from rows["prices"][:20]
            os.kill(cluster.status().pid, signal.SIGKILL)
            for _ in range(2000):  # enough to fill the driver's buffers, so that the loss is noticed
                yield from rows["prices"]

        with pytest.raises(DatabaseUnavailableError, match="The version that served before still serves"):
            publish(url, manifest_of("v2", rows), {**rows, "prices": killing()})
        url = cluster.start().url()
        assert current(url).version == "v1"
        assert contents(url)["prices"] == {"v1": 40}
        put(url, "v2")
        assert current(url).version == "v2"
    finally:
        cluster.stop()


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1") as failure:
        put("postgresql+psycopg://someone:secret@127.0.0.1:1/none", "v1")
    assert "secret" not in str(failure.value)


def test_an_unmigrated_database_is_named(postgres_url):
    with pytest.raises(DatabaseUnavailableError, match=r"python -m serving\.db migrate"):
        put(postgres_url, "v1")
