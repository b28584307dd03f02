"""Deltas over a publication: merged at reading, idempotent, of one revision, gone with their snapshot."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_rows import AS_OF, manifest_of, rows_of

from models.contracts import PUBLISHED_TABLES
from serving.db.pool import Pool
from serving.db.urls import libpq_url
from serving.errors import BaseVersionGoneError, PublicationRejectedError, PublisherBusyError
from serving.scores.live import Delta, live_pointer, publish_delta
from serving.scores.loader import publish, release, rollback
from serving.scores.reader import ScoreReader

QUARTER = timedelta(minutes=15)


def put(url, version, *, profiles=None, **arguments):
    rows = rows_of(version)
    if profiles is not None:
        rows["profiles"] = [(who, json.dumps(tags), "f", AS_OF) for who, tags in profiles.items()]
    return publish(url, manifest_of(version, rows), rows, **arguments)


def carry(url, version, origin, *, own=(), **arguments):
    """Publish a version that brings the tables of `own` and carries the others."""
    rows = rows_of(version)
    carried = {name: origin for name in PUBLISHED_TABLES if name not in own}
    manifest = manifest_of(version, rows, carried=carried)
    return publish(url, manifest, {name: rows[name] for name in own}, **arguments)


def price(sku, cents, mode="live"):
    return ("m1", sku, 1, 9, cents, 2, 8, 5, None, -1.0, mode, "publish", "{}")


def tick(revision, base="v1", **parts):
    """A delta of a revision, fifteen minutes after the one before."""
    parts.setdefault("as_of", {"15m": AS_OF + revision * QUARTER})
    return Delta(base, revision, **parts)


def ask(url, question):
    """The answer of a reader on connections of its own."""

    async def main():
        pool = Pool(url, size=2, timeout_s=20)
        try:
            return await question(ScoreReader(pool, "default"))
        finally:
            await pool.close()

    return asyncio.run(main())


def profile(url, consumer_id):
    """Revision and merged tags of a consumer; None for the tags of somebody unknown."""
    shown, found = ask(url, lambda reader: reader.profiles([consumer_id], merchant_id=None))
    stored = found.get(consumer_id)
    if stored is None:
        return shown.revision, None
    return shown.revision, json.loads(stored.tags or "{}") | json.loads(stored.changed or "{}")


def prices(url, **parameters):
    page = ask(
        url, lambda reader: reader.prices("m1", **{"version": None, "after": "", "limit": 100} | parameters)
    )
    return page.shown.revision, {row.sku_id: row.price_cents for row in page.rows}


def counted(url, table):
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(f"select count(*) from scores.{table}").fetchone()[0]


def overlay_rows(url):
    return {name: counted(url, name) for name in ("live_profile", "live_price", "live_pointer")}


def test_changed_tags_lie_over_the_published_ones(database_url):
    put(database_url, "v1", profiles={"c1": {"a": 1, "b": 2}, "c2": {"a": 5, "b": 6}})
    assert live_pointer(database_url, "v1") is None
    assert profile(database_url, "c1") == (0, {"a": 1, "b": 2})
    result = publish_delta(database_url, tick(1, profiles=[("c1", {"a": 3}), ("new", {"a": 9})]))
    assert (result.applied, result.profiles, result.removed, result.prices) == (True, 2, 0, 0)
    assert profile(database_url, "c1") == (1, {"a": 3, "b": 2})
    assert profile(database_url, "c2") == (1, {"a": 5, "b": 6})
    assert profile(database_url, "new") == (1, {"a": 9})
    publish_delta(database_url, tick(2, profiles=[("c1", {"b": None})]))
    assert profile(database_url, "c1") == (2, {"a": 3, "b": None})
    pointer = live_pointer(database_url, "v1")
    assert (pointer.revision, pointer.as_of) == (2, {"15m": AS_OF + 2 * QUARTER})


def test_who_begins_anew_takes_away_what_lay_there(database_url):
    put(database_url, "v1", profiles={"c1": {"a": 1}, "c2": {"a": 5}})
    publish_delta(
        database_url,
        tick(1, profiles=[("c1", {"a": 3}), ("c2", {"a": 6})], removed=["c9"], prices=[price("s1", 700)]),
    )
    publish_delta(
        database_url,
        tick(2, profiles=[("c2", {"a": 7})], prices=[price("s2", 800)], replaces=True),
    )
    assert profile(database_url, "c1") == (2, {"a": 1})
    assert profile(database_url, "c2") == (2, {"a": 7})
    assert overlay_rows(database_url)["live_price"] == 1
    assert not publish_delta(database_url, tick(2, replaces=True)).applied
    assert profile(database_url, "c2") == (2, {"a": 7})


def test_each_refresh_class_has_its_own_moment(database_url):
    put(database_url, "v1")
    publish_delta(database_url, tick(1, as_of={"15m": AS_OF + QUARTER, "1h": AS_OF}))
    publish_delta(database_url, tick(2))
    shown, _ = ask(database_url, lambda reader: reader.profiles(["c1"], merchant_id=None))
    assert shown.live_as_of == {"15m": AS_OF + 2 * QUARTER, "1h": AS_OF}
    assert shown.newest == AS_OF + 2 * QUARTER


def test_removed_consumers_are_gone_until_they_come_again(database_url):
    put(database_url, "v1", profiles={"c1": {"a": 1, "b": 2}})
    publish_delta(database_url, tick(1, profiles=[("new", {"a": 9})]))
    assert publish_delta(database_url, tick(2, removed=["c1", "new", "never"])).removed == 3
    assert [profile(database_url, who)[1] for who in ("c1", "new", "never")] == [None, None, None]
    publish_delta(database_url, tick(3, profiles=[("new", {"b": 4})]))
    assert profile(database_url, "new") == (3, {"b": 4})
    assert profile(database_url, "c1") == (3, None)


def test_changed_prices_lie_over_the_published_ones(database_url):
    put(database_url, "v1")
    result = publish_delta(
        database_url, tick(4, prices=[price("s1", 7), price("s0a", 6)], prices_as_of=AS_OF + QUARTER)
    )
    assert result.prices == 2
    revision, found = prices(database_url)
    assert revision == 4
    assert found == {f"s{n}": 5 for n in range(40)} | {"s1": 7, "s0a": 6}
    assert list(found) == sorted(found)
    page = ask(database_url, lambda reader: reader.price("m1", "s1"))
    assert (page.shown.revision, page.rows[0].price_cents) == (4, 7)
    assert page.shown.live_as_of == {"prices": AS_OF + QUARTER}
    plain = ask(database_url, lambda reader: reader.price("m1", "s2"))
    assert (plain.shown.revision, plain.rows[0].price_cents) == (4, 5)


def test_a_walk_over_the_pages_meets_every_listing_once(database_url):
    put(database_url, "v1")
    overlay = [price("s1", 7), price("a-first", 6), price("s20b", 4), price("z-last", 3)]
    publish_delta(database_url, tick(1, prices=overlay))
    expected = prices(database_url)[1]
    assert len(expected) == 43
    walked, after = [], ""
    while True:
        found = list(prices(database_url, after=after, limit=6)[1].items())  # one more than asked for
        walked += found[:6]
        if len(found) <= 6:
            break
        after = found[5][0]
    assert walked == list(expected.items())


def test_the_first_prices_of_a_merchant_make_it_known(database_url):
    put(database_url, "v1")
    publish_delta(database_url, tick(1, prices=[("m9", *price("s1", 7)[1:])]))
    page = ask(database_url, lambda reader: reader.prices("m9", version=None, after="s1", limit=5))
    assert (page.owner_known, page.rows) == (True, [])


@pytest.mark.parametrize("again", [3, 2, 1])
def test_the_same_or_an_older_revision_changes_nothing_and_says_so(database_url, again):
    put(database_url, "v1", profiles={"c1": {"a": 1}})
    publish_delta(database_url, tick(3, profiles=[("c1", {"a": 3})], prices=[price("s1", 7)]))
    before = live_pointer(database_url, "v1")
    repeated = publish_delta(
        database_url,
        tick(again, profiles=[("c1", {"a": 0})], removed=["c2"], prices=[price("s1", 1)]),
    )
    assert (repeated.applied, repeated.profiles, repeated.removed, repeated.prices) == (False, 0, 0, 0)
    assert live_pointer(database_url, "v1") == before
    assert profile(database_url, "c1") == (3, {"a": 3})
    assert prices(database_url)[1]["s1"] == 7


def test_a_delta_without_rows_moves_the_moment_alone(database_url):
    put(database_url, "v1")
    result = publish_delta(database_url, tick(1))
    assert (result.applied, result.profiles) == (True, 0)
    assert live_pointer(database_url, "v1").as_of == {"15m": AS_OF + QUARTER}
    assert prices(database_url)[0] == 0  # nobody said anything about prices


def test_a_day_of_ticks_keeps_one_row_a_consumer_and_a_listing(database_url):
    put(database_url, "v1")
    for revision in range(1, 97):
        publish_delta(
            database_url,
            tick(revision, profiles=[("c1", {"a": revision})], prices=[price("s1", revision)]),
        )
    assert [counted(database_url, name) for name in ("live_profile", "live_price", "live_pointer")] == [
        1,
        1,
        2,
    ]
    assert profile(database_url, "c1") == (96, {"by": "v1", "a": 96})
    assert counted(database_url, "publication") == 1


def test_a_row_that_says_nothing_new_is_not_written(database_url):
    put(database_url, "v1")
    publish_delta(database_url, tick(1, profiles=[("c1", {"a": 1, "b": 2})]))
    publish_delta(database_url, tick(2, profiles=[("c1", {"a": 1})]))
    with psycopg.connect(libpq_url(database_url)) as connection:
        row = connection.execute("select revision, tags from scores.live_profile").fetchone()
    assert row == (1, {"a": 1, "b": 2})


def test_versions_that_carry_a_table_share_its_overlay_and_no_other_sees_it(database_url):
    put(database_url, "v1")
    carry(database_url, "v2", "v1", own=("prices",))
    publish_delta(database_url, tick(1, "v2", profiles=[("c1", {"a": 1})], prices=[price("s1", 7)]))
    assert profile(database_url, "c1") == (1, {"by": "v1", "a": 1})
    assert prices(database_url)[1]["s1"] == 7
    assert rollback(database_url) == "v1"
    assert profile(database_url, "c1") == (1, {"by": "v1", "a": 1})
    assert prices(database_url) == (0, {f"s{n}": 5 for n in range(40)})
    put(database_url, "v3")
    assert profile(database_url, "c1")[0] == 1  # still pinned
    release(database_url)
    assert profile(database_url, "c1") == (0, {"by": "v3"})
    assert prices(database_url)[0] == 0


def test_a_delta_over_a_version_that_nobody_sees_waits_for_it(database_url):
    put(database_url, "v1")
    put(database_url, "v2")
    rollback(database_url)
    publish_delta(database_url, tick(1, "v2", profiles=[("c1", {"a": 1})]))
    assert profile(database_url, "c1") == (0, {"by": "v1"})
    assert rollback(database_url, "v2") == "v2"
    assert profile(database_url, "c1") == (1, {"by": "v2", "a": 1})


def test_the_overlay_goes_with_its_snapshot(database_url):
    put(database_url, "v1")
    publish_delta(database_url, tick(1, profiles=[("c1", {"a": 1})], prices=[price("s1", 7)]))
    put(database_url, "v2", keep_versions=2)
    assert counted(database_url, "live_profile") == 1
    put(database_url, "v3", keep_versions=2)
    assert [counted(database_url, name) for name in ("live_profile", "live_price", "live_pointer")] == [
        0,
        0,
        0,
    ]
    with pytest.raises(BaseVersionGoneError, match="'v1' is not in the database any more"):
        publish_delta(database_url, tick(2, profiles=[("c1", {"a": 2})]))
    with pytest.raises(BaseVersionGoneError):
        live_pointer(database_url, "v1")


BAD = {
    "revision": (Delta("v1", 0, {"15m": AS_OF}), "a revision from 1 on, not 0"),
    "class": (Delta("v1", 2, {"5m": AS_OF}), r"refresh classes \['5m'\]; there are 15m, 1h, 1d"),
    "zone": (Delta("v1", 2, {"15m": datetime(2018, 1, 1)}), "carries no time zone"),  # noqa: DTZ001
    "not finite": (tick(2, profiles=[("c1", {"a": float("nan")})]), "consumer 'c1': tag a is nan"),
    "not json": (tick(2, profiles=[("c1", {"a": object()})]), "consumer 'c1': the tags are no JSON"),
    "consumer twice": (tick(2, profiles=[("c1", {"a": 2}), ("c1", {"b": 2})]), "'c1': it comes twice"),
    "changed and removed": (tick(2, profiles=[("c1", {"a": 2})], removed=["c1"]), "'c1': it comes twice"),
    "listing twice": (tick(2, prices=[price("s1", 3), price("s1", 4)]), "a listing has two prices"),
    "null": (tick(2, prices=[price("s1", None)]), "price_cents is null in row"),
    "action": (tick(2, prices=[(*price("s1", 3)[:11], "sell", "{}")]), "action is 'sell'"),
    "no moment": (Delta("v1", 2, {}, profiles=[("c1", {"a": 2})]), "names no moment"),
    "no moment of prices": (Delta("v1", 2, {}, prices=[price("s1", 3)]), "has prices and names no moment"),
    "schema": (tick(2, schema_fingerprint="g"), "under the tag schema g, version 'v1' under f"),
    "zero byte": (tick(2, profiles=[("c1", {"a": "\x00"})]), "unsupported Unicode escape"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_faulty_delta_is_refused_whole(database_url, fault):
    delta, message = BAD[fault]
    put(database_url, "v1")
    publish_delta(database_url, tick(1, profiles=[("c1", {"a": 1})], prices=[price("s1", 7)]))
    before = live_pointer(database_url, "v1")
    parts = {"profiles": [("c9", {"a": 9}), *delta.profiles]} if delta.prices and delta.as_of else {}
    with pytest.raises(PublicationRejectedError, match=message):
        publish_delta(database_url, Delta(**{**vars(delta), **parts}))
    assert live_pointer(database_url, "v1") == before
    assert profile(database_url, "c1") == (1, {"by": "v1", "a": 1})
    assert profile(database_url, "c9") == (1, None)
    assert prices(database_url)[1]["s1"] == 7


def test_a_full_publication_at_work_does_not_hold_a_delta_up(database_url):
    put(database_url, "v1")
    rows = rows_of("slow")
    holding, go_on = threading.Event(), threading.Event()

    def slow():
        holding.set()
        go_on.wait(30)
        yield from rows["prices"]

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(publish, database_url, manifest_of("slow", rows), {**rows, "prices": slow()})
        try:
            assert holding.wait(30)
            assert publish_delta(database_url, tick(1, profiles=[("c1", {"a": 1})]), lock_wait_s=1).applied
        finally:
            go_on.set()
        assert running.result().version == "slow"


def test_deltas_take_turns(database_url):
    put(database_url, "v1")
    holding, go_on = threading.Event(), threading.Event()

    def slow():
        holding.set()
        go_on.wait(30)
        yield ("c1", {"a": 1})

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(publish_delta, database_url, tick(1, profiles=slow()))
        try:
            assert holding.wait(30)
            with pytest.raises(PublisherBusyError):
                publish_delta(database_url, tick(2), lock_wait_s=0.1)
        finally:
            go_on.set()
        assert running.result().applied


def test_a_reader_never_sees_two_revisions(database_url):
    """Readers hammer while deltas come; every answer is of the revision that it names."""
    put(database_url, "v1", profiles={"c1": {"a": 0, "b": 0}})
    done = threading.Event()

    def writer():
        try:
            for revision in range(1, 60):
                publish_delta(
                    database_url,
                    tick(
                        revision,
                        profiles=[("c1", {"a": revision, "b": revision})],
                        prices=[price(f"s{n}", revision) for n in range(40)],
                    ),
                )
        finally:
            done.set()

    async def read(reader, seen):
        while not done.is_set():
            shown, found = await reader.profiles(["c1"], merchant_id=None)
            tags = json.loads(found["c1"].tags) | json.loads(found["c1"].changed or "{}")
            assert tags == {"a": shown.revision, "b": shown.revision}
            assert shown.live_as_of.get("15m", AS_OF) == AS_OF + shown.revision * QUARTER
            page = await reader.prices("m1", version=None, after="", limit=100)
            assert {row.price_cents for row in page.rows} == {page.shown.revision or 5}
            seen.add(shown.revision)

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


def test_a_killed_delta_leaves_no_trace(database_url, tmp_path):
    """kill -9 in the middle of a delta, then the same delta again."""
    put(database_url, "v1")
    script = textwrap.dedent(
        """
        import sys, time
        from datetime import UTC, datetime
        from serving.scores.live import Delta, publish_delta
        def endless():
            for n in range(6000):
                yield (f"c{n}", {"a": n})
            print("half", flush=True)
            time.sleep(60)
        publish_delta(sys.argv[1], Delta("v1", 1, {"15m": datetime.now(UTC)}, profiles=endless()))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, database_url],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert live_pointer(database_url, "v1") is None
    assert counted(database_url, "live_profile") == 0
    assert publish_delta(database_url, tick(1, profiles=[("c1", {"a": 1})])).applied
    assert profile(database_url, "c1") == (1, {"by": "v1", "a": 1})


CONSUMERS = [f"c{n}" for n in range(4)]
CHANGES = st.dictionaries(
    st.sampled_from(CONSUMERS),
    st.none() | st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 3), min_size=1),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deltas=st.lists(CHANGES, max_size=6), again=st.booleans())
def test_any_sequence_of_deltas_reads_like_a_dictionary(module_database_url, deltas, again):
    """Against a plain dictionary of dictionaries; None removes a consumer."""
    base = {"c0": {"a": 1, "b": 1}, "c1": {"a": 2, "b": 2}}
    version = f"v{datetime.now(UTC).timestamp()}"
    put(module_database_url, version, profiles=base, keep_versions=1)
    overlay, gone = {}, set()
    for revision, changes in enumerate(deltas, 1):
        delta = tick(
            revision,
            version,
            profiles=[(who, tags) for who, tags in changes.items() if tags is not None],
            removed=[who for who, tags in changes.items() if tags is None],
        )
        assert publish_delta(module_database_url, delta).applied
        if again:
            assert not publish_delta(module_database_url, delta).applied
        for who, tags in changes.items():
            gone = gone | {who} if tags is None else gone - {who}
            overlay[who] = {} if tags is None else overlay.get(who, {}) | tags
    for who in CONSUMERS:
        known = who not in gone and (who in base or who in overlay)
        expected = base.get(who, {}) | overlay.get(who, {}) if known else None
        assert profile(module_database_url, who) == (len(deltas), expected)
