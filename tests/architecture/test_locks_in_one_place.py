"""Nothing of serving locks outside of `serving.db.locks` and of the functions of the migrations."""

import re
from pathlib import Path

import pytest

SERVING = Path(__file__).resolve().parents[2] / "serving"
HOME = SERVING / "db" / "locks.py"
MIGRATIONS = SERVING / "db" / "migrations"
LOCK = re.compile(
    r"\bfor\s+(no\s+key\s+)?update\b|\bfor\s+(key\s+)?share\b(?!\s+in\b)|pg_(try_)?advisory|\block\s+table\b"
    r"|ledger\.lock_balances",
    re.IGNORECASE,
)


def locks_in(text):
    return [match.group() for match in LOCK.finditer(text)]


def test_nothing_locks_elsewhere():
    sources = [page for page in SERVING.rglob("*.py") if page != HOME and MIGRATIONS not in page.parents]
    found = {page.relative_to(SERVING).as_posix(): locks_in(page.read_text()) for page in sources}
    assert {page: locks for page, locks in found.items() if locks} == {}


def test_the_one_place_locks():
    assert len(locks_in(HOME.read_text())) > 15


@pytest.mark.parametrize(
    "text",
    [
        "select 1 from t FOR UPDATE",
        "order by a for no key update of a",
        "for key share",
        "for share",
        "select pg_advisory_xact_lock_shared(1)",
        "pg_try_advisory_lock(1)",
        "lock table t in share mode",
        "select * from ledger.lock_balances(%s, %s)",
    ],
)
def test_every_kind_of_lock_is_seen(text):
    assert locks_in(text)


def test_a_loop_is_no_lock():
    assert not locks_in("for share in waiting:")
