"""The live loop on a finished run: from a row that PostgreSQL recorded to what a reader is served."""

import asyncio
import csv
import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid

import numpy as np
import psycopg
import pytest
from graph_jobs import run_job
from tiny_world import AS_OF

from pipelines.live.log import TickLog
from serving.db.pool import Pool
from serving.db.urls import libpq_url
from serving.events.contracts import Event
from serving.events.storage import store_events
from serving.scores.live import live_pointer
from serving.scores.loader import newest
from serving.scores.reader import ScoreReader

pytestmark = pytest.mark.xdist_group("world")


def given():
    return {name: value for name, value in os.environ.items() if name.startswith("MUYUN_")}


LOUD = "c-erase-me-7731"
"""A consumer with rows in every feed that names consumers, whom nothing else is called like."""


def add_loud(feeds):
    """Give the person rows: orders that ended, what was done and told, a coupon, one row that is refused."""
    day, of = AS_OF.date() - dt.timedelta(days=60), f"{LOUD},m-1"
    at = f"{day}T08:00:00Z"
    lines = {
        "consumers": f"{of},,{at},wecom,1971-05-01,female,Loudtown,2,band-1,true,true,{at}\n"
        f"c-invited,m-1,{LOUD},{at},wecom,1972-05-01,male,Loudtown,2,band-1,true,true,{at}",
        "orders": f"o-loud-1,{of},,mini_program,{at},{at},completed,0,0,\n"
        f"o-loud-2,{of},,pigeon,{at},{at},completed,0,0,",
        "order_lines": "o-loud-1,1,apples-1,s-3,1,1000,0,1000,,",
        "events": f"e-loud,{LOUD},t-loud,view,apples-1,100,{at},{at}",
        "messages": f"n-loud,{LOUD},welcome,wecom,{at},opened",
        "touches": f"t-loud,{LOUD},wecom,spring,10,{at}",
        "points_ledger": f"x-loud,{LOUD},5,order,2026-06-30,{at}",
        "coupons": f"g-loud,{LOUD},mail,1000,100,{at},{at}",
    }
    for table, text in lines.items():
        with (feeds / f"{table}.csv").open("a") as file:
            file.write(f"{text}\n")


@pytest.fixture(scope="module")
def live(branch):
    """The branch with its scores published into its own database, as a night leaves it."""
    from pipelines.home.commands import adopt_source

    add_loud(branch["feeds"])
    adopt_source(settings())
    before = given()
    found = run_job("platform_build")
    assert found["success"], found
    assert given() == before, "what a step leaves behind is read as settings by what follows"
    return branch


def settings():
    from pipelines.settings import Settings

    return Settings()


def tick():
    from pipelines.live.command import loop_of
    from pipelines.live.tick import tick as one

    loop = loop_of(settings())
    done = one(loop)
    TickLog(settings().live_dir).append(done)
    return done


def record(url, consumer_id, count, *, kind="add_to_cart", at=AS_OF):
    """Events of a consumer as `POST /v1/events` stores them."""
    events = [
        Event(
            event_id=str(uuid.uuid4()),
            event_type=kind,
            session_id=f"s-{consumer_id}",
            occurred_at=at - dt.timedelta(minutes=1 + number),
            consumer_id=consumer_id,
        )
        for number in range(count)
    ]
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("set role muyun_app")
        connection.execute("select set_config('muyun.tenant', 'default', false)")
        stored, _ = store_events(connection, "default", events, at)
    assert len(stored) == count


def served(url, consumer_id):
    """Revision and tags that a reader of the profile gets."""

    async def main():
        pool = Pool(url, size=1, timeout_s=20)
        try:
            return await ScoreReader(pool, "default").profiles([consumer_id], merchant_id=None)
        finally:
            await pool.close()

    shown, found = asyncio.run(main())
    stored = found[consumer_id]
    return shown.revision, json.loads(stored.tags or "{}") | json.loads(stored.changed or "{}")


def test_events_are_in_the_profile_after_one_tick(live):
    before = served(live["database"], "c-01")[1]["add_to_cart_30d"] or 0
    record(live["database"], "c-01", 20)
    done = tick()
    assert done.found
    assert done.rows["events"] >= 20
    revision, tags = served(live["database"], "c-01")
    assert tags["add_to_cart_30d"] == before + 20
    assert revision == done.number


def test_a_tick_without_news_publishes_nothing(live):
    tick()
    pointer = live_pointer(live["database"], newest(live["database"]).version)
    done = tick()
    assert not done.found
    assert live_pointer(live["database"], newest(live["database"]).version) == pointer


def test_one_tick_by_hand_is_a_job_of_dagster(live):
    before = served(live["database"], "c-02")[1]["add_to_cart_30d"] or 0
    record(live["database"], "c-02", 3)
    found = run_job("profile_refresh_15min")
    assert found["success"], found
    assert found["made"] == ["live/profiles_and_prices"]
    assert served(live["database"], "c-02")[1]["add_to_cart_30d"] == before + 3


def test_a_second_tick_beside_one_on_its_way_is_told_so(live):
    from pipelines.live.store import LiveStore, LiveStoreBusyError

    with LiveStore(settings().live_dir).held(), pytest.raises(LiveStoreBusyError, match="on its way"):
        tick()


def test_a_tick_that_could_not_publish_is_published_by_the_next(live, monkeypatch):
    from pipelines.live import delta

    before = served(live["database"], "c-03")[1]["add_to_cart_30d"] or 0
    record(live["database"], "c-03", 2)

    def lost(*_arguments, **_named):
        raise ConnectionError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(delta, "publish_delta", lost)
        with pytest.raises(ConnectionError):
            tick()
    assert (served(live["database"], "c-03")[1]["add_to_cart_30d"] or 0) == before
    tick()
    assert served(live["database"], "c-03")[1]["add_to_cart_30d"] == before + 2


def test_a_tick_that_fails_before_its_commit_happened_in_no_respect(live, monkeypatch):
    from pipelines.live import advance

    before = served(live["database"], "c-04")[1]["add_to_cart_30d"] or 0
    record(live["database"], "c-04", 4)

    def failing(*_arguments, **_named):
        raise RuntimeError("no prices today")

    with monkeypatch.context() as patch:
        patch.setattr(advance.prices, "reprice", failing)
        with pytest.raises(RuntimeError):
            tick()
    done = tick()
    assert done.rows["events"] == 4
    assert served(live["database"], "c-04")[1]["add_to_cart_30d"] == before + 4


def test_a_lost_live_store_begins_anew_and_readers_get_the_same(live):
    import shutil

    before = served(live["database"], "c-01")[1]
    shutil.rmtree(settings().live_dir)
    done = tick()
    revision, after = served(live["database"], "c-01")
    assert after == before
    assert revision == done.number


def test_a_database_that_was_set_back_is_read_again_from_the_begin(live):
    """Restored files give out transaction numbers that the cursor has passed: no row may be passed over."""
    from pipelines.live.store import LiveStore

    before = served(live["database"], "c-07")[1]["add_to_cart_30d"] or 0
    tick()
    store = LiveStore(settings().live_dir)
    with store.held(), store.open(store.file()) as connection:
        connection.execute("update live.store set recorded_cursor = 4000000000")
    record(live["database"], "c-07", 6)
    tick()
    assert served(live["database"], "c-07")[1]["add_to_cart_30d"] == before + 6
    with store.held(), store.open(store.file()) as connection:
        ((cursor,),) = connection.execute("select recorded_cursor from live.store").fetchall()
    assert cursor < 4000000000


def explained(entity, entity_id, **options):
    """What `muyun explain` says as a JSON document."""
    from pipelines.explain.command import explained as said

    asked = {"tag": None, "as_of": None, "rows": None, "json": True} | options
    return json.loads(said(settings(), entity, entity_id, **asked))


def muyun(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=os.environ | {"MUYUN_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_tag_is_explained_with_the_value_that_is_served(live):
    record(live["database"], "c-08", 2)
    tick()
    for consumer_id in ("c-08", "c-62"):
        revision, tags = served(live["database"], consumer_id)
        told = explained("consumer", consumer_id)
        assert told["served"]["revision"] == revision
        assert {name: one["value"] for name, one in told["tags"].items()} == {
            name: tags.get(name) for name in told["tags"]
        }
        silent = {name for name, one in told["tags"].items() if one["status"] == "no_source"}
        assert silent == told["tags"].keys() - tags.keys()
        differing = [name for name, one in told["tags"].items() if one["equals_rows"] is False]
        assert differing == []
        said = {name: one["value"] for name, one in told["predictions"].items()}
        assert said == {name: tags.get(name) for name in said}
        assert "churn_probability_28d" in said
        compared = [name for name, one in told["tags"].items() if one["equals_rows"]]
        assert len(compared) > 250


def test_the_rows_of_a_tick_are_shown_while_the_loop_is_free_to_tick(live):
    from pipelines.explain.live_copy import looked_at
    from pipelines.live.store import LiveStore

    before = served(live["database"], "c-09")[1]["add_to_cart_30d"] or 0
    record(live["database"], "c-09", 2)
    tick()
    with looked_at(LiveStore(settings().live_dir)) as connection:
        record(live["database"], "c-09", 1)
        assert tick().rows["events"] == 1  # a reader of the store hinders no tick
        seen = (
            "select count(*) from core.fct_events where consumer_id = 'c-09' and event_type = 'add_to_cart'"
        )
        ((copied,),) = connection.execute(seen).fetchall()
    told = explained("consumer", "c-09", tag="add_to_cart_30d")["tags"]["add_to_cart_30d"]
    assert (told["value"], told["read_from"], told["refresh"]) == (before + 3, "live store", "15m")
    (part,) = told["rows"]
    assert part["count"] == before + 3 <= copied + 1
    assert {row["event_type"] for row in part["rows"]} == {"add_to_cart"}
    assert not list(settings().live_dir.glob("look-*"))


def test_explain_says_who_is_unknown_erased_or_withdrew(live):
    from feature_store.errors import UnknownTagError
    from pipelines.explain.served import ExplainError

    with pytest.raises(ExplainError, match="there is no consumer 'C-10'"):
        explained("consumer", "C-10")
    with pytest.raises(UnknownTagError, match="nearest is 'orders_30d'"):
        explained("consumer", "c-10", tag="order_30d")
    with pytest.raises(ExplainError, match="lies after"):
        explained("consumer", "c-10", as_of="2031-01-01")
    with pytest.raises(ExplainError, match="was not known at"):
        explained("consumer", "c-10", tag="orders_lifetime", as_of="2020-01-01")
    then = explained("consumer", "c-10", tag="orders_lifetime", as_of="2025-03-01")
    now = explained("consumer", "c-10", tag="orders_lifetime")
    assert then["tags"]["orders_lifetime"]["value"] < now["tags"]["orders_lifetime"]["value"]
    with psycopg.connect(libpq_url(live["database"])) as connection:
        connection.execute("set role muyun_app")
        connection.execute("select set_config('muyun.tenant', 'default', false)")
        connection.execute(
            "insert into consumers.consent (tenant_id, consumer_id, purpose, stated_at, granted, source,"
            " received_at) values ('default', 'c-10', 'profiling', now(), false, 'test', now())"
        )
        connection.execute("select consumers.erase('c-11', 'erased-x', %s)", (AS_OF,))
    told = explained("consumer", "c-10", tag="add_to_cart_30d")["tags"]["add_to_cart_30d"]
    assert (told["status"], told["value"]) == ("withheld", None)
    assert "rows" not in told
    gone = muyun("explain", "consumer", "c-11")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "was erased" in gone.stderr
    printed = muyun("explain", "consumer", "c-12", "--tag", "orders_365d", "--rows", "1")
    assert "orders_365d = " in printed.stdout, printed.stderr
    assert "older ones" in printed.stdout


def test_a_segment_is_previewed_over_the_tags_of_the_night(live, tmp_path):
    from pipelines.segments.command import preview_segments

    def previewed(what):
        return json.loads(preview_segments(settings(), what, json=True))

    shipped = previewed("bargain_hunters")
    (one,) = shipped["segments"]
    assert shipped["publication_version"] == newest(live["database"]).version
    assert (one["entered_count"], one["left_count"]) == (0, 0)
    assert one["member_count"] == len(one["members"]) + one["withdrawn_count"] > 0
    file = tmp_path / "mine.yaml"
    file.write_text(
        "segments:\n"
        "  - {name: bargain_hunters, where: orders_lifetime > 0, purpose: service, description: d}\n"
    )
    (wider,) = previewed(str(file))["segments"]
    assert wider["entered_count"] == wider["member_count"] - one["member_count"] > 0
    assert wider["share"] == wider["member_count"] / wider["consumers"]
    assert "service_first" in {other["segment"] for other in wider["overlaps"]}
    said = muyun("segments", "preview", "bargain_hunter")
    assert (said.returncode, "the nearest is 'bargain_hunters'" in said.stderr) == (1, True)


@pytest.mark.parametrize(
    ("entity", "entity_id"), [("merchant", "m-1"), ("sku", "milk-1"), ("supplier", "s-1")]
)
def test_other_entities_are_explained_by_their_tag_table(live, entity, entity_id):
    import polars as pl

    told = explained(entity, entity_id)
    table = pl.read_parquet(live["home"] / "lake" / "derived" / "features" / f"{entity}_tags.parquet")
    row = table.filter(pl.col(f"{entity}_id") == entity_id).row(0, named=True)
    for name, one in told["tags"].items():
        value = row[name].isoformat() if isinstance(row[name], dt.date) else row[name]
        expected = None if one["definition"]["compares_entities"] else True
        assert (one["value"], one["equals_rows"]) == (value, expected), name


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_or_doubled(live):
    """SIGKILL at twelve moments of a tick, spread over its length; then the count must be right."""
    before = served(live["database"], "c-05")[1]["add_to_cart_30d"] or 0
    code = "from pipelines.cli import main; raise SystemExit(main(['refresh']))"
    for round_ in range(12):
        record(live["database"], "c-05", 1)
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(1.5 + 0.4 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait()
    tick()
    assert served(live["database"], "c-05")[1]["add_to_cart_30d"] == before + 12


def joined(url, visitor, consumer_id):
    """An anonymous event, and the link that says whose it is."""
    from serving.identity.edges import link

    event = Event(
        event_id=str(uuid.uuid4()),
        event_type="view",
        session_id=f"s-{visitor}",
        occurred_at=AS_OF - dt.timedelta(minutes=5),
        anonymous_id=visitor,
    )
    begin = AS_OF - dt.timedelta(hours=1)
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("set role muyun_app")
        connection.execute("select set_config('muyun.tenant', 'default', false)")
        store_events(connection, "default", [event], AS_OF)
        link(connection, "default", visitor, consumer_id, begin, "login", AS_OF)


@pytest.mark.slow
def test_the_next_publication_begins_a_generation_that_equals_the_one_before(live, at_hour):
    record(live["database"], "c-06", 5)
    joined(live["database"], "dev-night", "c-06")
    tick()
    at_hour(1)
    assert run_job("settlement_daily")["success"]
    assert run_job("publish_nightly")["success"]
    record(live["database"], "c-06", 2)
    done = tick()
    assert done.generation == newest(live["database"]).version
    assert done.comparison is not None
    assert (done.comparison.reason, done.comparison.differences) == ("", {})
    assert done.comparison.rows > 0


def erased(url, consumer_id):
    """Erase a person as `POST /v1/consumers/{id}/erasure` does."""
    from serving.consumers.erasure import erase

    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("set role muyun_app")
        connection.execute("select set_config('muyun.tenant', 'default', false)")
        return erase(connection, "default", consumer_id, AS_OF).pseudonym


def files_with(folder, text):
    """Files that hold some text: its bytes, or a value of a Parquet file, an array or a DuckDB table.

    Hexadecimal digits on both sides are those of a random id, such as `9f3c-28b1`, and no text of ours.
    """
    import duckdb
    import numpy as np
    import polars as pl

    sought = re.escape(text.encode())
    bare = re.compile(b"(?<![0-9a-f])" + sought + b"|" + sought + b"(?![0-9a-f])")

    def values(file):
        if file.suffix == ".parquet":
            yield from (str(row) for row in pl.read_parquet(file, hive_partitioning=False).iter_rows())
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as stored:
                yield from (str(stored[name].tolist()) for name in stored.files)
        elif file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as connection:
                tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                for schema, table in tables:
                    relation = f'"{schema}"."{table}"'
                    rows = connection.execute(
                        f"select count(*) from {relation} t where contains(t::varchar, ?)", [text]
                    ).fetchone()
                    yield f"{text} in {table}" if rows[0] else ""

    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and (bare.search(file.read_bytes()) or any(text in value for value in values(file)))
    )


def known_to_models(home):
    """Every text in the arrays that models keep."""
    for file in (home / "mlflow/artifacts").rglob("*.npz"):
        with np.load(file, allow_pickle=False) as stored:
            for name in stored.files:
                if stored[name].dtype.kind == "U":
                    yield from stored[name].ravel().tolist()


def test_an_erased_person_leaves_the_live_store_at_once_and_every_file_with_the_pass(live):
    from pipelines.erasure.command import erase
    from pipelines.live.store import LiveStore

    learnt_from = max(text for text in known_to_models(live["home"]) if text.startswith("c-"))
    assert any(file.startswith("mlflow/") for file in files_with(live["home"], learnt_from))
    record(live["database"], LOUD, 3)
    tick()
    assert served(live["database"], LOUD)[1]["add_to_cart_30d"] == 3
    held = files_with(live["home"], LOUD)
    for kind in ("lake/accepted/", "lake/derived/", "lake/published/", "lake/quarantine/", "live/",
                 "warehouse/"):  # fmt: skip
        assert any(file.startswith(kind) for file in held), kind
    pseudonym = erased(live["database"], LOUD)
    erased(live["database"], learnt_from)
    done = tick()
    assert (done.found, done.erased) == (True, 2)
    assert files_with(live["home"] / "live", LOUD) == []
    store = LiveStore(settings().live_dir)
    with store.held(), store.open(store.file()) as connection:
        bought = connection.execute(
            "select count(*), sum(net_paid_cents) from core.fct_order_lines where consumer_id = ?",
            [pseudonym],
        ).fetchone()
        assert bought == (1, 1000)
        assert connection.execute("select count(*) from core.fct_events where consumer_id = ?", [pseudonym]
                                  ).fetchone() == (0,)  # fmt: skip
    assert not tick().erased
    said = erase(settings(), apply=True)
    people = int(said.split(" persons were erased")[0])
    assert people >= 2
    assert files_with(live["home"], LOUD) == files_with(live["home"], learnt_from) == []
    assert "0 files written anew" in erase(settings(), apply=True)
    assert erase(settings(), apply=False).startswith(
        f"{people} persons were erased, 0 of them are still in files"
    )


@pytest.mark.slow
def test_what_the_feed_delivers_of_an_erased_person_stays_out_and_a_night_finds_no_difference(live, at_hour):
    import polars as pl

    from pipelines.lake.tables import Lake
    from pipelines.sources.report import read_report

    erased(live["database"], LOUD)
    tick()
    at_hour(2)
    assert run_job("settlement_daily")["success"]
    found = run_job("platform_build")
    assert found["success"], found
    done = tick()
    assert done.comparison is not None
    assert (done.comparison.reason, done.comparison.differences) == ("", {})
    lake = Lake(settings().lake_dir)
    orders = lake.scan("orders").filter(pl.col("order_id") == "o-loud-1").collect()
    assert orders["consumer_id"][0].startswith("erased-")
    assert "1 rows of erased persons left out" in read_report(lake, "messages").notes
    assert LOUD not in lake.scan("messages").select("consumer_id").collect()["consumer_id"].to_list()
    assert files_with(live["home"], LOUD) == []


def test_anonymous_events_join_who_logged_in_and_leave_when_the_link_is_cut(live):
    from serving.identity.edges import link, unlink

    def as_application(do):
        with psycopg.connect(libpq_url(live["database"])) as connection:
            connection.execute("set role muyun_app")
            connection.execute("select set_config('muyun.tenant', 'default', false)")
            return do(connection)

    def carted():
        return served(live["database"], "c-09")[1]["add_to_cart_30d"] or 0

    before, begin = carted(), AS_OF - dt.timedelta(hours=1)
    visits = [
        Event(event_id=f"anonymous-{number}", event_type="add_to_cart", session_id="s-anonymous",
              occurred_at=AS_OF - dt.timedelta(minutes=minutes), anonymous_id="dev-9")
        for number, minutes in enumerate((10, 20, 90))
    ]  # fmt: skip
    as_application(lambda connection: store_events(connection, "default", visits, AS_OF))
    tick()
    assert carted() == before
    as_application(lambda c: link(c, "default", "dev-9", "c-09", begin, "login", AS_OF))
    done = tick()
    assert done.rows == {"identity_edges": 1}
    assert carted() == before + 2  # the event before the visit in which they logged in is nobody's
    as_application(lambda c: unlink(c, "default", "dev-9", "c-09", begin))
    tick()
    assert carted() == before


def in_force(url):
    """Every price change that was recorded: listing to moment and price, oldest first."""
    found = {}
    with psycopg.connect(libpq_url(url)) as connection:
        for *listing, at, cents in connection.execute(
            "select merchant_id, sku_id, changed_at, price_cents from market.price_change order by changed_at"
        ):
            found.setdefault(tuple(listing), []).append((at, cents))
    return found


def shown_prices(url):
    """What readers see of every listing: price and action."""

    async def main():
        pool = Pool(url, size=1, timeout_s=20)
        try:
            reader = ScoreReader(pool, "default")
            return {
                (merchant, row.sku_id): (row.price_cents, row.action)
                for merchant in ("m-1", "m-2", "m-3")
                for row in (await reader.prices(merchant, version=None, after="", limit=1000)).rows
            }
        finally:
            await pool.close()

    return asyncio.run(main())


def test_a_price_that_was_published_stands_for_its_days_however_often_the_shop_ticks(live, monkeypatch):
    """And what waits for approval is not in force: the next price does not start from it."""
    url = live["database"]
    begin = tick().as_of
    published, suggested = in_force(url), shown_prices(url)
    moved = {listing: moves[-1][1] for listing, moves in published.items()}
    assert moved
    assert {listing: suggested[listing] for listing in moved} == {
        listing: (cents, "publish") for listing, cents in moved.items()
    }
    waiting = {listing for listing, (_, action) in suggested.items() if action == "await_approval"}
    assert waiting
    assert not waiting & published.keys()
    for hours in (1, 2, 25, 7 * 24 - 1):
        monkeypatch.setenv("MUYUN_AS_OF", (begin + dt.timedelta(hours=hours)).isoformat())
        tick()
        shown = shown_prices(url)
        assert {listing: shown[listing] for listing in moved} == {
            listing: (cents, "keep") for listing, cents in moved.items()
        }
        later = in_force(url)
        assert {listing: later[listing] for listing in moved} == published
    assert not {listing for listing in waiting if shown[listing][1] == "await_approval"} & later.keys()
    assert tick().prices == 0


class Office:
    """An operator at the API of the run's database, at a business time of its own."""

    def __init__(self, url, home, at):
        from litestar.testing import TestClient

        from serving.app import create_app
        from serving.security import ROLE_SCOPES, Role, issue_key
        from serving.settings import Settings as ServingSettings

        scopes = sorted(ROLE_SCOPES[Role.OPERATOR])
        self._headers = {"X-API-Key": issue_key(url, name=f"at {at}", scopes=scopes).secret}
        settings = ServingSettings(home=home, as_of=at, key_cache_s=0, log_level="ERROR")
        self._client = TestClient(create_app(settings, url))

    def __enter__(self):
        self._client.__enter__()
        return self

    def __exit__(self, *error):
        self._client.__exit__(*error)

    def send(self, method, path, body=None):
        answer = self._client.request(method, f"/v1{path}", json=body, headers=self._headers)
        assert answer.status_code < 300, answer.text
        return answer.json()


@pytest.mark.slow
def test_the_prices_of_an_hour_are_made_from_what_was_said_within_it(live, monkeypatch):
    """Through the API, an hour each: a competitor's price, terms and stock, an order; a price is approved."""
    from small_market import Shop

    from serving.db.operations import Operations

    url, minute = live["database"], dt.timedelta(minutes=1)
    now = tick().as_of
    asks = sorted(listing for listing, (_, action) in shown_prices(url).items() if action == "await_approval")
    merchant, sku = asks[0]
    with (live["feeds"] / "offers.csv").open() as file:
        *_, of_feed = (row for row in csv.DictReader(file) if row["sku_id"] == sku)
    supplier, cost = of_feed["supplier_id"], int(of_feed["supply_price_cents"])

    def hour():
        nonlocal now
        now += dt.timedelta(hours=1)
        monkeypatch.setenv("MUYUN_AS_OF", now.isoformat())
        return Office(url, live["home"], now)

    def priced(office):
        """After a tick; the printed formula shows demand, stock and competitors whatever model serves."""
        tick()
        return office.send("GET", f"/prices/{merchant}/{sku}")["price"]

    def state_cost(office, cents):
        at = (now - minute).isoformat()
        offer = {"sku_id": sku, "supply_price_cents": cents, "lead_time_days": 1, "source_at": at}
        stated = office.send("PUT", f"/suppliers/{supplier}/offers", {"offers": [offer]})
        assert stated["accepted"] == [sku]

    with hour() as office:
        before = priced(office)["printed_formula_cents"]
        seen = [
            {"sku_id": sku, "competitor": "over-the-road", "observed_at": (now - ago).isoformat(),
             "price_cents": cents, "merchant_id": merchant}
            for ago, cents in ((50 * minute, 100), (5 * minute, 900))
        ]  # fmt: skip
        assert office.send("POST", "/competitor-prices", {"prices": seen})["accepted"] == 2
    with hour() as office:
        rivalled = priced(office)["printed_formula_cents"]
        assert rivalled != before
        at = (now - minute).isoformat()
        product = {"sku_id": sku, "title": "x", "category_ids": []}
        office.send("PUT", "/products", {"products": [product]})
        listing = {"sku_id": sku, "list_price_cents": 9_000}
        office.send("PUT", f"/merchants/{merchant}/listings", {"listings": [listing]})
        office.send("PUT", f"/suppliers/{supplier}/skus", {"skus": [{"sku_id": sku}]})
        state_cost(office, cost)
        counted = {"sku_id": sku, "on_hand_qty": 5_000, "source_at": at}
        office.send("PUT", f"/suppliers/{supplier}/stock", {"stock": [counted]})
    with hour() as office:
        stocked = priced(office)["printed_formula_cents"]
        assert abs(stocked) < abs(rivalled), "more stock, less scarce"
        (one,) = office.send("POST", f"/prices/{merchant}/approvals", {"sku_ids": [sku]})["approvals"]
        shown = {"version": one["version"], "digest": one["digest"]}
        office.send("POST", f"/approvals/{one['approval_id']}/approve", shown)
        read = office.send("GET", f"/prices/{merchant}/{sku}")["price"]
        assert (read["price_cents"], read["action"]) == (one["price_cents"], "publish")
        with Operations(url, size=2) as operations:
            shop = Shop(url, operations)
            who = {"merchant": merchant, "consumer": "c-09"}
            shop.place("o-of-the-hour", (sku, 40), at=now, **who)
            shop.pay("o-of-the-hour", at=now)
    with hour() as office:
        sold = priced(office)
        assert abs(sold["printed_formula_cents"]) > abs(stocked), "more demand, scarcer"
        # The next price starts from the approved one, and stands for its days.
        assert (sold["price_cents"], sold["action"]) == (one["price_cents"], "keep")
        # A unit costs what its supplier has stated within the hour, and leaves 5%.
        state_cost(office, cost * 110 // 100)
    with hour() as office:
        dearer = priced(office)["floor_cents"]
        assert sold["floor_cents"] < dearer == -(-(cost * 110 // 100) * 105 // 100)
