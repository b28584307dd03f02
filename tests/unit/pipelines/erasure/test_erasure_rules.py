"""What becomes of rows that name an erased person, in tables, raw chunks, arrays, texts and DuckDB files."""

import datetime as dt
import json

import duckdb
import numpy as np
import polars as pl
import pytest

from pipelines.erasure.duckdb_files import clear_file
from pipelines.erasure.home import clear_home
from pipelines.erasure.intake import PERSON_COLUMNS, ErasureFilter
from pipelines.erasure.parquet import Rewritten, clear_arrays, clear_parquet, clear_quarantine
from pipelines.erasure.rules import OWNERS, cleared, names_one, others_of
from pipelines.erasure.texts import clear_text, pattern_of
from pipelines.erasure.tombstones import Tombstones, keep_tombstones, kept_tombstones
from pipelines.sources.contract import TABLES, empty
from pipelines.sources.protocol import Chunk, TableReading
from serving.consumers.erased import consumer_digest

GONE, NAME = "c-gone-5501", "erased-0123456789abcdef"
AT = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
STONES = Tombstones({consumer_digest("default", GONE): NAME}, {consumer_digest("default", "dev-gone"): AT})


def rows(table, *given):
    return pl.concat([empty(table), pl.DataFrame(list(given), schema_overrides=dict(TABLES[table].dtypes))],
                     how="diagonal")  # fmt: skip


def test_what_was_bought_stays_and_what_was_done_goes():
    orders = cleared("orders", rows("orders", {"order_id": "o1", "consumer_id": GONE},
                                    {"order_id": "o2", "consumer_id": "c-1"},
                                    {"order_id": "o3", "consumer_id": None}), STONES)  # fmt: skip
    assert orders.frame["consumer_id"].to_list() == [NAME, "c-1", None]
    assert (orders.removed, orders.renamed) == (0, 1)
    for table in ("messages", "touches", "points_ledger", "consents", "profiles", "consumer_tags"):
        done = cleared(table, pl.DataFrame({"consumer_id": [GONE, "c-1"]}), STONES)
        assert done.frame["consumer_id"].to_list() == ["c-1"], table
        assert (done.removed, done.renamed) == (1, 0)


def test_a_consumer_keeps_no_attribute_and_whom_they_invited_keeps_the_tie():
    person = {"consumer_id": GONE, "merchant_id": "m-1", "registered_at": AT, "city": "Kunming",
              "birthday": dt.date(1971, 5, 1), "household_size": 2, "inviter_id": "c-2",
              "consent_marketing": True, "consent_profiling": True}  # fmt: skip
    guest = {**person, "consumer_id": "c-3", "inviter_id": GONE}
    done = cleared("consumers", rows("consumers", person, guest), STONES)
    erased, other = done.frame.to_dicts()
    assert erased["consumer_id"] == NAME
    assert erased["merchant_id"] == "m-1"
    assert [erased[name] for name in ("city", "birthday", "household_size", "inviter_id")] == [None] * 4
    assert (erased["consent_marketing"], erased["consent_profiling"]) == (False, False)
    assert (other["consumer_id"], other["inviter_id"], other["city"]) == ("c-3", NAME, "Kunming")


def test_a_profile_that_names_the_person_as_inviter_names_the_pseudonym():
    documents = [f'{{"a":1,"referred_by":"{GONE}","b":"{GONE}-2"}}', '{"referred_by":null}', '{"a":2}']
    profiles = pl.DataFrame({"consumer_id": ["c-1", "c-2", "c-3"], "tags": documents})
    done = cleared("profiles", profiles, STONES)
    assert done.frame["tags"].to_list() == [
        f'{{"a":1,"referred_by":"{NAME}","b":"{GONE}-2"}}', *documents[1:]
    ]  # fmt: skip
    assert (done.removed, done.renamed) == (0, 1)
    tags = cleared("consumer_tags", pl.DataFrame({"consumer_id": ["c-1"], "referred_by": [GONE]}), STONES)
    assert tags.frame.rows() == [("c-1", NAME)]


def test_a_party_is_a_consumer_only_where_the_row_says_so():
    entries = rows("ledger_entries", *({"entry_id": kind, "party_type": kind, "party_id": GONE}
                                       for kind in ("consumer", "agent")))  # fmt: skip
    assert cleared("ledger_entries", entries, STONES).frame["party_id"].to_list() == [NAME, GONE]


def test_events_of_a_visitor_go_up_to_the_erasure_and_not_those_of_who_logged_in_since():
    later = AT + dt.timedelta(seconds=1)
    events = rows(
        "events",
        {"event_id": "before", "anonymous_id": "dev-gone", "occurred_at": AT},
        {"event_id": "after", "anonymous_id": "dev-gone", "occurred_at": later},
        {"event_id": "of-another", "anonymous_id": "dev-gone", "consumer_id": "c-1", "occurred_at": AT},
        {"event_id": "other", "anonymous_id": "dev-2", "occurred_at": AT},
    )
    assert cleared("events", events, STONES).frame["event_id"].to_list() == ["after", "of-another", "other"]


def test_every_contract_table_that_names_a_consumer_is_in_the_list():
    naming = {
        name
        for name, table in TABLES.items()
        if {*OWNERS, "inviter_id", "party_id", "payee_id", "anonymous_id"} & set(table.columns)
    }
    assert naming == set(PERSON_COLUMNS)


def chunk(**columns):
    return Chunk(pl.DataFrame(columns), file="f.csv", first_line=2, is_text=True)


def through(table, *chunks, reading=None):
    kept_out = ErasureFilter(STONES)
    return list(kept_out.chunks(table, chunks, reading)), kept_out.notes(table)


def test_a_feed_that_delivers_the_person_again_brings_nothing_back():
    (done,), notes = through(
        "messages", chunk(message_id=["1", "2", "3"], consumer_id=["c-1", f" {GONE} ", "c-2"])
    )
    assert done.frame["message_id"].to_list() == ["1", "3"]
    assert done.frame["__line__"].to_list() == [2, 4]  # what is refused later is told with its own line
    assert notes == ("1 rows of erased persons left out",)
    untouched = chunk(message_id=["1"], consumer_id=["c-1"])
    assert through("messages", untouched)[0][0] is untouched


def test_of_an_order_that_comes_again_only_what_the_contract_knows_is_left():
    raw = chunk(
        order_id=["o1", "o2"], consumer_id=[GONE, "c-1"], phone=["13812345678", "139"], gone=["no", "yes"]
    )
    reading = TableReading(deleted_when={"gone": ("yes",)})
    (done,), notes = through("orders", raw, reading=reading)
    assert done.frame.drop("__line__").to_dicts() == [
        {"order_id": "o1", "consumer_id": NAME, "phone": None, "gone": "no"},
        {"order_id": "o2", "consumer_id": "c-1", "phone": "139", "gone": "yes"},
    ]
    assert notes == ("1 rows of erased persons under a pseudonym",)


def test_a_raw_consumer_becomes_what_the_accepted_one_became():
    raw = chunk(consumer_id=[GONE, "c-1"], city=["Kunming", "Xi'an"], consent_marketing=["true", "true"])
    (done,), _ = through("consumers", raw)
    assert done.frame.drop("__line__").rows() == [(NAME, None, "false"), ("c-1", "Xi'an", "true")]


def test_rows_that_could_not_be_read_are_not_kept_either():
    refused = pl.DataFrame(
        {"line": [2, 3], "column": ["x", "x"], "value": ["", ""], "reason": ["broken", "broken"],
         "row_json": [f'{{"consumer_id": "{GONE}"}}', '{"consumer_id": "c-1"}']}
    )  # fmt: skip
    one = Chunk(pl.DataFrame({"order_id": [], "consumer_id": []}, schema={"order_id": pl.String,
                "consumer_id": pl.String}), file="f", refused=refused)  # fmt: skip
    (done,), notes = through("orders", one)
    assert done.refused["line"].to_list() == [3]
    assert notes == ("1 rows of erased persons left out",)


@pytest.mark.parametrize(("row", "names"), [
    (f'{{"a": "{GONE}"}}', True), (f'{{"a": "x{GONE}"}}', False), ("[1]", False), ("no json", False),
])  # fmt: skip
def test_a_refused_row_is_known_by_its_values(row, names):
    assert names_one(row, others_of("orders"), STONES) is names


@pytest.mark.parametrize(("table", "row", "names"), [
    ("products", {"sku_id": "510", "brand_id": "b"}, False),  # a sku that is called like the person
    ("order_lines", {"order_id": "o", "qty": "510"}, False),
    ("orders", {"order_id": "510", "consumer_id": "7"}, False),
    ("orders", {"order_id": "7", "consumer_id": "510"}, True),
    ("settlement_legs", {"payee_type": "merchant", "payee_id": "510"}, False),
    ("settlement_legs", {"payee_type": "consumer", "payee_id": "510"}, True),
    ("products", {"sku_id": "7", "buyer": "510"}, True),  # nobody knows what an unknown column says
])  # fmt: skip
def test_a_number_is_a_person_only_where_its_column_says_so(table, row, names, tmp_path):
    stones = Tombstones({consumer_digest("default", "510"): "erased-5"})
    assert names_one(json.dumps(row), others_of(table), stones) is names
    refused = tmp_path / "q.parquet"
    pl.DataFrame({"row_json": [json.dumps(row), "{}"]}).write_parquet(refused)
    assert clear_quarantine(refused, table, stones) == Rewritten(removed=int(names))
    assert pl.read_parquet(refused).height == 2 - names


def test_what_else_is_called_like_the_person_keeps_its_name(tmp_path):
    """Numbers from a shop's own database: a consumer, a sku and a merchant may all be 510."""
    stones = Tombstones({consumer_digest("default", "510"): "erased-5"})
    arrays = tmp_path / "a.npz"
    np.savez_compressed(arrays, consumers=np.array(["510", "7"]), skus=np.array(["9", "510"]))
    assert clear_arrays(arrays, stones) == Rewritten(renamed=1)
    with np.load(arrays) as stored:
        assert stored["consumers"].tolist() == ["erased-5", "7"]
        assert stored["skus"].tolist() == ["9", "510"]
    home = tmp_path / "home"
    lake = home / "lake"
    for table, columns in {
        "orders": {"order_id": ["A1"], "consumer_id": ["A1"]},
        "products": {"sku_id": ["510"]},
        "touches": {"touch_id": ["t"], "consumer_id": ["510"]},
    }.items():
        (lake / "accepted" / table).mkdir(parents=True)
        pl.DataFrame(columns).write_parquet(lake / "accepted" / table / "part-0.parquet")
    said = '<td>510</td>{"sku_id": "510", "id": "A1", "consumer_id": "510"} order A1 of consumer \'A1\''
    (home / "r.html").write_text(said)
    both = Tombstones({**stones.people, consumer_digest("default", "A1"): "erased-a"})
    clear_home(home, lake, both)
    assert (home / "r.html").read_text() == (
        '<td>510</td>{"sku_id": "510", "id": "A1", "consumer_id": "erased-5"}'
        " order A1 of consumer 'erased-a'"
    )
    assert pl.read_parquet(lake / "accepted/products/part-0.parquet")["sku_id"].to_list() == ["510"]
    assert pl.read_parquet(lake / "accepted/orders/part-0.parquet").rows() == [("A1", "erased-a")]


def test_files_are_written_anew_or_not_touched(tmp_path):
    file = tmp_path / "messages.parquet"
    pl.DataFrame({"consumer_id": [GONE, "c-1"], "n": [1, 2]}).write_parquet(file)
    assert clear_parquet(file, "messages", STONES) == Rewritten(removed=1)
    before = file.stat().st_mtime_ns
    assert clear_parquet(file, "messages", STONES) == Rewritten()
    assert file.stat().st_mtime_ns == before
    assert pl.read_parquet(file).rows() == [("c-1", 2)]
    refused = tmp_path / "q.parquet"
    pl.DataFrame({"row_json": [f'{{"c": "{GONE}"}}', "{}"]}).write_parquet(refused)
    assert clear_quarantine(refused, "messages", STONES) == Rewritten(removed=1)
    arrays = tmp_path / "a.npz"
    np.savez_compressed(arrays, consumers=np.array(["c-1", GONE]), data=np.array([3, 4]))
    assert clear_arrays(arrays, STONES) == Rewritten(renamed=1)
    with np.load(arrays) as stored:
        assert stored["consumers"].tolist() == ["c-1", NAME]
        assert stored["data"].tolist() == [3, 4]


def test_a_text_is_searched_for_whole_ids_only(tmp_path):
    file = tmp_path / "r.json"
    file.write_text(f'{{"a": "{GONE}", "b": "{GONE}-2", "n": 1001, "m": "1001"}}')
    ids = {GONE: NAME, "1001": "erased-1"}
    assert clear_text(file, ids, pattern_of(ids)) == Rewritten(renamed=1)
    assert file.read_text() == f'{{"a": "{NAME}", "b": "{GONE}-2", "n": 1001, "m": "1001"}}'


@pytest.mark.parametrize(("before", "after"), [
    ('{"consumer_id": "1001"}', '{"consumer_id": "erased-1"}'),
    ('{"row": "{\\"consumer_id\\":\\"1001\\"}"}', '{"row": "{\\"consumer_id\\":\\"erased-1\\"}"}'),
    ("&quot;inviter_id&quot;: &quot;1001&quot;", "&quot;inviter_id&quot;: &quot;erased-1&quot;"),
    ("GET /v1/wakeup?consumer_id=1001&amp;limit=5", "GET /v1/wakeup?consumer_id=erased-1&amp;limit=5"),
    ("GET /v1/consumers/1001/profile", "GET /v1/consumers/erased-1/profile"),
    ("there is no consumer '1001' at", "there is no consumer 'erased-1' at"),
    ('{"consumer_id": "10015"}', None),
    ('{"consumer_id": 1001}', None),
    ('{"merchant_id": "1001", "payee_id": "1001"}', None),
    ("/v1/prices/1001/7 in 1001 ms, <td>1001</td>", None),
])  # fmt: skip
def test_a_number_is_replaced_after_words_that_say_whose_it_is(before, after, tmp_path):
    file = tmp_path / "r.json"
    file.write_text(before)
    ids = {"1001": "erased-1"}
    clear_text(file, ids, pattern_of(ids))
    assert file.read_text() == (after or before)


def test_the_bytes_of_a_duckdb_file_are_gone_too(tmp_path):
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "create schema core;"
            "create table core.fct_orders (order_id varchar not null, consumer_id varchar);"
            f"insert into core.fct_orders select i::varchar, case when i % 9 = 0 then '{GONE}'"
            "  else 'c-' || i % 50 end from range(20000) t(i);"
            "create table core.fct_events as select * from core.fct_orders;"
            "create view core.all_orders as select * from core.fct_orders"
        )
    assert GONE.encode() in file.read_bytes()
    assert clear_file(file, STONES) == Rewritten(removed=2223, renamed=2223)
    assert GONE.encode() not in file.read_bytes()
    with duckdb.connect(str(file), read_only=True) as connection:
        counts = "select count(*), count(*) filter (consumer_id = ?) from core.all_orders"
        assert connection.execute(counts, [NAME]).fetchone() == (20000, 2223)
        assert connection.execute("select count(*) from core.fct_events").fetchone() == (17777,)
        (nullable,) = connection.execute(
            "select is_nullable from duckdb_columns() where table_name = 'fct_orders'"
            " and column_name = 'order_id'"
        ).fetchone()
        assert not nullable
    assert clear_file(file, STONES) == Rewritten()


def test_a_pass_that_was_killed_is_made_again(tmp_path, monkeypatch):
    import pipelines.erasure.home as home

    lake = tmp_path / "lake"
    for folder, name in (("accepted/messages/day=2025-06-01", "part-0"), ("derived/features", "tags")):
        file = lake / folder / f"{name}.parquet"
        file.parent.mkdir(parents=True)
        pl.DataFrame({"message_id": ["1", "2"], "consumer_id": [GONE, "c-1"]}).write_parquet(file)
    (tmp_path / "run_summary.json").write_text(f'{{"who": "{GONE}"}}')

    def killed(file, place, tombstones):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(home, "_clear", killed)
        with pytest.raises(KeyboardInterrupt):
            clear_home(tmp_path, lake, STONES)
    assert kept_tombstones(lake) == Tombstones()
    done = clear_home(tmp_path, lake, STONES)
    assert (done.people, done.removed) == (1, 2)
    assert kept_tombstones(lake) == STONES
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and GONE.encode() in file.read_bytes()]
    assert clear_home(tmp_path, lake, STONES).files == {}


def test_tombstones_come_back_as_they_were_kept(tmp_path):
    keep_tombstones(tmp_path, STONES)
    assert kept_tombstones(tmp_path) == STONES
    assert GONE.encode() not in (tmp_path / "erasures.json").read_bytes()
