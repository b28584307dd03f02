"""Writing operations against each other on the same rows: PostgreSQL never has to end one for another.

All pairs, with more orders and threads: `python -m benchmarks lock_pairs`.
"""

import itertools

import pytest

from benchmarks.money.lock_arena import OPERATIONS, TENANT, Arena, clash
from serving.db.operations import Operations
from serving.ledger import invariants

pytestmark = pytest.mark.xdist_group("pairs_never_deadlock")  # one world for all, in order

BY_NAME = {operation.name: operation for operation in OPERATIONS}
HARD = [
    ("refund", "reject"),
    ("reject", "reject"),
    ("cancel_units", "reject"),
    ("release", "refund_part"),
    ("deadline", "release"),
    ("pay_out", "hold_party"),
    ("quality_night", "place"),
    ("quality_night", "reject"),
    ("quality_night", "accept_short"),
]
"""Stock against balances, several lines against several lines, batches of orders against single ones, and who
waits for all who sell against those who do."""


@pytest.fixture(scope="module")
def arena(module_database_url):
    with Operations(module_database_url, size=16, timeout_s=60) as operations:
        yield Arena(operations)


def assert_peaceful(arena, first, second, *, orders, threads):
    before = arena.lost.copy()
    found = clash(arena, BY_NAME[first], BY_NAME[second], orders=orders, threads=threads)
    assert found.faults == []
    assert found.done > 0
    assert dict(arena.lost - before) == {}


@pytest.mark.parametrize(("first", "second"), HARD, ids=[" against ".join(pair) for pair in HARD])
def test_hard_pairs(arena, first, second):
    assert_peaceful(arena, first, second, orders=4, threads=8)


def test_the_books_are_sound_after_all_that(arena):
    with arena.transactions() as conn:
        assert invariants.check(conn, TENANT) == []


@pytest.mark.slow
def test_every_pair(arena):
    for first, second in itertools.combinations_with_replacement(BY_NAME, 2):
        assert_peaceful(arena, first, second, orders=3, threads=8)
