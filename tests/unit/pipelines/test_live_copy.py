"""A look at the live store: whole, without a lock, and gone afterwards."""

import os
import threading
import time

import duckdb
import pytest

from pipelines.explain.live_copy import looked_at
from pipelines.live.store import LiveStore, LiveStoreBusyError


@pytest.fixture
def store(tmp_path):
    store = LiveStore(tmp_path)
    with duckdb.connect(str(tmp_path / "g.duckdb")) as connection:
        connection.execute("create table t as select 1 as x")
    (tmp_path / "current").write_text("g.duckdb")
    return store


def rows(connection):
    return connection.execute("select x from t order by x").fetchall()


def test_without_a_store_there_is_nothing_to_look_at(tmp_path):
    with looked_at(LiveStore(tmp_path)) as connection:
        assert connection is None


def test_a_writer_may_begin_while_somebody_looks(store):
    with looked_at(store) as seen, store.held(), store.open(store.file()) as writer:
        writer.execute("insert into t values (2)")
        assert rows(seen) == [(1,)]
    assert sorted(path.name for path in store.folder.iterdir()) == ["current", "g.duckdb", "tick.lock"]


def test_what_was_committed_and_not_yet_checkpointed_is_seen(store):
    """As a tick leaves it that was killed after its commit."""
    with store.open(store.file()) as writer:
        writer.execute("insert into t values (2)")
        assert (store.folder / "g.duckdb.wal").exists()
        with looked_at(store) as seen:
            assert rows(seen) == [(1,), (2,)]


def test_a_store_that_is_written_to_all_the_time_is_told_so(store):
    stop = threading.Event()

    def touch():
        while not stop.is_set():
            os.utime(store.file())
            time.sleep(0.005)

    writer = threading.Thread(target=touch)
    writer.start()
    try:
        with pytest.raises(LiveStoreBusyError, match="try again"), looked_at(store, patience_s=0.3):
            pass
    finally:
        stop.set()
        writer.join()
    with looked_at(store) as seen:
        assert rows(seen) == [(1,)]


def test_a_file_that_changes_while_it_is_copied_is_copied_again(store, monkeypatch):
    from pipelines.explain import live_copy

    whole, copies = live_copy.shutil.copyfile, []

    def copyfile(source, target):
        whole(source, target)
        copies.append(source)
        if len(copies) == 1:
            with duckdb.connect(str(store.file())) as connection:
                connection.execute("insert into t values (3)")

    monkeypatch.setattr(live_copy.shutil, "copyfile", copyfile)
    with looked_at(store) as seen:
        assert rows(seen) == [(1,), (3,)]
    assert len(copies) == 2


def test_a_copy_of_a_killed_process_is_removed(store):
    left = store.folder / "look-old"
    left.mkdir()
    (left / "store.duckdb").write_text("rows of people")
    os.utime(left, (0, 0))
    with looked_at(store):
        assert not left.exists()
