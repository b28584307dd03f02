"""The hash chain finds every change; rolled sums equal the sums of the entries (L4, L15)."""

import json
import threading

import psycopg
import pytest
from ledger_postings import NOW, sale

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import balances, chain, restore, roller
from serving.ledger.accounts import AccountKind
from serving.ledger.errors import RestoredDatabaseError
from serving.ledger.posting import Line, Posting, post

TENANT = "default"


@pytest.fixture
def ledger(database_url):
    with Operations(database_url, size=8) as operations:
        yield operations


@pytest.fixture
def owner(database_url):
    with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
        yield conn


def book(operations, *keys):
    for key in keys:
        with operations.transaction(TENANT) as conn:
            post(conn, TENANT, sale(key))


def seal(owner):
    with owner.transaction():
        return chain.seal(owner)


def tamper(owner, statement):
    """As somebody who owns the server would: with the triggers off."""
    owner.execute("set session_replication_role = replica")
    owner.execute(statement)
    owner.execute("set session_replication_role = origin")


def test_an_empty_ledger_has_the_genesis_head(owner):
    assert seal(owner) == chain.verify(owner) == chain.Head(0, chain.GENESIS)


def test_each_seal_covers_what_came_since(ledger, owner):
    book(ledger, "a", "b")
    first = seal(owner)
    assert seal(owner) == first
    book(ledger, "c")
    second = seal(owner)
    assert (first.block_no, second.block_no) == (1, 2)
    assert chain.verify(owner) == second
    blocks = owner.execute("select transaction_ids from ledger.chain_block order by block_no").fetchall()
    ids = [i for (i,) in owner.execute("select transaction_id from ledger.transaction order by 1").fetchall()]
    assert [block for (block,) in blocks] == [ids[:2], ids[2:]]


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.entry set amount = amount + 1 where entry_no = 1",
        "update ledger.transaction set details = '{}' where idempotency_key = 'a'",
        "update ledger.transaction set booked_at = booked_at - interval '1 us' where idempotency_key = 'b'",
        "delete from ledger.entry where entry_no = 4",
        "delete from ledger.transaction where idempotency_key = 'b'",
        "update ledger.entry set account_id = account_id + 1 where entry_no = 4",
        "delete from ledger.chain_block where block_no = 1",
        "update ledger.chain_block set hash = sha256('') where block_no = 1",
        "update ledger.chain_block set transaction_ids = transaction_ids[1:1] where block_no = 1",
    ],
)
def test_every_change_breaks_the_chain(ledger, owner, statement):
    book(ledger, "a", "b")
    seal(owner)
    book(ledger, "c")
    seal(owner)
    tamper(owner, statement)
    with pytest.raises(chain.ChainBrokenError):
        chain.verify(owner)


def test_a_chain_that_was_made_anew_does_not_match_its_anchor(ledger, owner, tmp_path):
    """Whoever changes an entry can compute all blocks again, but not the head that was written elsewhere."""
    anchors = tmp_path / "anchors.jsonl"
    book(ledger, "a", "b")
    chain.anchor(seal(owner), anchors)
    chain.anchor(seal(owner), anchors)
    assert len(anchors.read_text().splitlines()) == 1
    assert chain.verify(owner, anchors).block_no == 1
    tamper(owner, "update ledger.entry set amount = amount * 2")
    tamper(owner, "delete from ledger.chain_block")
    tamper(owner, "update ledger.mark set xact_id = '0'")
    seal(owner)
    assert chain.verify(owner).block_no == 1
    with pytest.raises(chain.ChainBrokenError, match=r"anchored"):
        chain.verify(owner, anchors)


def test_an_anchor_for_a_block_that_is_gone_is_found(ledger, owner, tmp_path):
    anchors = tmp_path / "anchors.jsonl"
    anchors.write_text(json.dumps({"block_no": 7, "hash": "00" * 32}) + "\n")
    with pytest.raises(chain.ChainBrokenError, match="block 7"):
        chain.verify(owner, anchors)


def test_a_transaction_that_commits_late_is_sealed_later_and_once(ledger, owner):
    """It took its number first; sealing must neither skip nor wait for it."""
    book(ledger, "accounts are open")
    with ledger.transaction(TENANT) as conn:
        post(conn, TENANT, sale("slow"))
        with ledger.transaction(TENANT) as other:
            # Platform accounts only: a payee's balance row would make it wait for the slow one.
            lines = [Line(AccountKind.CHANNEL_FROZEN, -1), Line(AccountKind.PLATFORM_FEE, 1)]
            post(other, TENANT, Posting("fast", "test", NOW, lines))
        assert seal(owner).block_no == 1
    assert seal(owner).block_no == 2
    sealed = owner.execute("select transaction_ids from ledger.chain_block order by block_no").fetchall()
    keys = dict(owner.execute("select transaction_id, idempotency_key from ledger.transaction").fetchall())
    assert [[keys[i] for i in ids] for (ids,) in sealed] == [["accounts are open"], ["slow", "fast"]]
    chain.verify(owner)


def sums_by_entries(owner):
    return dict(
        owner.execute(
            "select a.kind || a.party_id, sum(e.amount)::bigint from ledger.entry e"
            " join ledger.account a using (account_id) group by 1"
        ).fetchall()
    )


def sums_by_balance(operations):
    with operations.transaction(TENANT) as conn:
        rows = balances.trial_balance(conn)
    # The platform's accounts are opened together: most of them hold nothing here.
    return {row.kind + row.party.party_id: row.amount for row in rows if row.amount}


def test_rolled_sums_equal_the_entries_before_and_after_every_roll(ledger, owner):
    for turn in range(4):
        book(ledger, f"{turn}a", f"{turn}b")
        assert sums_by_balance(ledger) == sums_by_entries(owner)
        assert roller.roll(owner) == 2
        assert sums_by_balance(ledger) == sums_by_entries(owner)
    assert roller.roll(owner) == 0


def test_rolling_while_others_post_loses_nothing(ledger, owner, database_url):
    done = threading.Event()

    def roll_all_the_time():
        with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
            while not done.is_set():
                roller.roll(conn)

    rolling = threading.Thread(target=roll_all_the_time)
    rolling.start()
    workers = [
        threading.Thread(target=book, args=(ledger, *(f"{w}-{i}" for i in range(40)))) for w in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    rolling.join()
    roller.roll(owner)
    found = sums_by_balance(ledger)
    assert found == sums_by_entries(owner)
    assert found["channel_frozen"] == -160 * 10_000


def come_from_another_server(owner):
    """As after a restore: rows and marks carry numbers that this server has not reached."""
    owner.execute("set session_replication_role = replica")
    owner.execute("update ledger.transaction set xact_id = '900000000000'")
    owner.execute("update ledger.mark set xact_id = '900000000001'")
    owner.execute("set session_replication_role = origin")


def test_a_restored_database_is_noticed_and_made_ready(ledger, owner):
    book(ledger, "sealed")
    seal(owner)
    roller.roll(owner)
    book(ledger, "not sealed")
    come_from_another_server(owner)
    with pytest.raises(RestoredDatabaseError, match="after-restore"):
        seal(owner)
    with pytest.raises(RestoredDatabaseError, match="after-restore"):
        roller.roll(owner)

    with owner.transaction():
        restore.after_restore(owner)
    assert chain.verify(owner).block_no == 2
    assert sums_by_balance(ledger) == sums_by_entries(owner)
    book(ledger, "after")
    assert seal(owner).block_no == 3
    assert roller.roll(owner) == 2
    chain.verify(owner)
    assert sums_by_balance(ledger) == sums_by_entries(owner)
    with pytest.raises(psycopg.Error, match="append-only"):
        owner.execute("delete from ledger.entry")
