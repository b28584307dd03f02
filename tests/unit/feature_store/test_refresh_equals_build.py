"""A state that was refreshed tick by tick equals one that is built at the same moment, to the bit.

Every run says what happened in it, so that none of the promised kinds is left out by chance. Each sixth tick
comes a microsecond before an instant at which the state expects a change, and is compared: a due time that is
late by one microsecond is found there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ticking_shop import Shop

from feature_store.contracts import RefreshClass
from feature_store.due import rules as due
from feature_store.refresh import statement
from feature_store.refresh.state import StateTable
from feature_store.registry import load_registry

LIVE = [[RefreshClass.QUARTER_HOUR], [RefreshClass.HOUR]]
ALL = [frozenset(RefreshClass)]
EVERYTHING = {
    "dated ahead",
    "late",
    "duplicate",
    "corrected",
    "cancelled",
    "deleted person",
    "deleted row",
    "restart",
    "before a due time",
}
BACK = (datetime(2021, 10, 30, 12, 0, tzinfo=UTC), "Europe/Berlin")
"""The clocks are set back in the second night, and the month ends with that day."""
FORWARD = (datetime(2019, 3, 30, 12, 0, tzinfo=UTC), "Europe/Berlin")
"""They are put forward, and the month ends with that day."""
LEAP = (datetime(2016, 2, 28, 20, 0, tzinfo=UTC), "Etc/GMT+5")


def run(shop: Shop, count: int, every: int) -> list[str]:
    """Ticks of a quarter of an hour, some skipped, with an outage of a day; what differed from a build.

    Stops at the first difference.
    """
    outage = shop.rng.randrange(count // 2, count)
    for number in range(count):
        until = None
        if compared := number % every == every - 1:
            until = shop.before_a_due_time(timedelta(hours=6))
        if until is None:
            until = shop.now + timedelta(minutes=15 * shop.rng.choice([1, 1, 1, 1, 2, 3]))
        if number == outage:
            until += timedelta(hours=24)
        for done in shop.tick(until):
            assert done.changed <= done.recomputed <= done.dirty
        if (compared or number == count - 1) and (found := shop.differences()):
            return [f"{when}: {names}" for when, names in found.items()]
    return []


def test_a_day_with_a_change_of_the_clocks_equals_a_build(tmp_path: Path) -> None:
    start = datetime(2017, 11, 4, 22, 0, tzinfo=UTC)
    assert run(Shop(tmp_path / "shop", 7, start, "America/New_York", LIVE), count=8, every=4) == []


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "start", "zone"), [(1, *BACK), (2, *FORWARD), (3, *LEAP)])
def test_live_classes_equal_a_build_after_96_ticks(
    tmp_path: Path, seed: int, start: datetime, zone: str
) -> None:
    check_everything(Shop(tmp_path / "shop", seed, start, zone, LIVE))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "start", "zone"), [(4, *FORWARD), (5, *LEAP)])
def test_all_that_compare_nobody_equal_a_build_after_96_ticks(
    tmp_path: Path, seed: int, start: datetime, zone: str
) -> None:
    check_everything(Shop(tmp_path / "shop", seed, start, zone, ALL))


def check_everything(shop: Shop) -> None:
    """96 ticks without a difference, in which all happened that is promised."""
    began = shop.now.astimezone(ZoneInfo(shop.zone))
    assert run(shop, count=96, every=6) == []
    ended = shop.now.astimezone(ZoneInfo(shop.zone))
    assert set(shop.happened) >= EVERYTHING, shop.happened
    assert shop.happened["before a due time"] >= 10
    assert ended - began > timedelta(hours=24 + 20)
    assert began.month != ended.month
    if shop.zone == "Europe/Berlin":
        assert began.utcoffset() != ended.utcoffset()


@pytest.mark.slow
@pytest.mark.parametrize("entity", ["merchant", "agent", "sku", "supplier"])
def test_tags_of_others_would_be_refreshed_as_well(tmp_path: Path, entity: str) -> None:
    assert run(Shop(tmp_path / "shop", 4, *BACK, ALL, entity), count=32, every=4) == []


@pytest.mark.parametrize("entity", ["merchant", "agent", "sku", "supplier"])
def test_tags_of_others_promise_a_day(entity: str) -> None:
    registry = load_registry(entity=entity)
    assert {tag.refresh for tag in registry.tags.values()} == {RefreshClass.DAY}


def a_microsecond_late(patch: pytest.MonkeyPatch) -> None:
    """Every due time is written a microsecond later."""
    right = statement._DueStatement._last_columns
    late = f" + INTERVAL 1 MICROSECOND AS {statement.DUE}"
    patch.setattr(
        statement._DueStatement,
        "_last_columns",
        lambda self: [text.replace(f" AS {statement.DUE}", late) for text in right(self)],
    )


def whole_days_never_complete(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next whole day of age."""
    right = due._next_step
    never = due.exp.Literal.number(10**15)
    patch.setattr(due, "_next_step", lambda *given: due.Wait(never, right(*given).when))


def late_rows_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Rows that are not visible yet make nobody due."""
    patch.setattr(
        statement._DueStatement, "_later", lambda self, source: "SELECT 0 AS row_id, 0 AS wait_us WHERE FALSE"
    )


def windows_end_for_nobody(patch: pytest.MonkeyPatch) -> None:
    """A row that leaves a window makes nobody due."""
    patch.setattr(due, "_comparison", lambda node, into: due.Kind.STILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [a_microsecond_late, whole_days_never_complete, late_rows_are_forgotten, windows_end_for_nobody]
)
def test_a_fault_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    statement.compile_refresh.cache_clear()
    try:
        fault(monkeypatch)
        assert run(Shop(tmp_path / "shop", 1, *BACK, LIVE[:1]), count=96, every=6)
    finally:
        monkeypatch.undo()
        statement.compile_refresh.cache_clear()


@pytest.mark.slow
def test_a_class_that_is_not_refreshed_is_found(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", 1, *BACK, LIVE[:1])
    shop.classes = []
    table = StateTable.of("consumer", LIVE[0])
    for _ in range(6):
        list(shop.tick(shop.now + timedelta(minutes=15)))
    shop.classes = [frozenset(LIVE[0])]
    assert shop.con.execute(f"SELECT COUNT(*) FROM {table.name}").fetchone() != (0,)
    assert shop.differences()
