"""Anchors of a lost database are kept apart for a new ledger, and for no other."""

import psycopg
import pytest

from serving.db.urls import libpq_url
from serving.ledger.chain import Head, anchor, anchors_of, set_anchors_aside


@pytest.fixture
def anchors(tmp_path):
    """A file with the head of a chain that another database held."""
    file = anchors_of(tmp_path)
    anchor(Head(1, bytes(31) + b"1"), file)
    return file


def test_a_new_ledger_begins_without_the_anchors_of_the_lost_one(database_url, anchors):
    before = anchors.read_bytes()
    with psycopg.connect(libpq_url(database_url)) as connection:
        aside = set_anchors_aside(connection, anchors)
        assert not anchors.exists()
        assert aside.read_bytes() == before
        assert aside.parent == anchors.parent
        assert set_anchors_aside(connection, anchors) is None


def test_anchors_of_a_ledger_with_entries_stay(database_url, anchors):
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute(
            "insert into ledger.chain_block (block_no, transaction_ids, previous_hash, hash)"
            " values (1, '{}', %s, %s)",
            (bytes(32), bytes(31) + b"1"),
        )
        assert set_anchors_aside(connection, anchors) is None
    assert anchors.exists()
