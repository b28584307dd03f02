"""Who is looked at again, and when: a microsecond before each instant nobody, then the right ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb
import polars as pl
import pytest

from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago
from feature_store.contracts import RefreshClass
from feature_store.errors import RefreshError, SourceTableError
from feature_store.refresh.engine import Refreshed, build, refresh
from feature_store.registry import Registry

US = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
HOURLY, DAILY = RefreshClass.HOUR, RefreshClass.DAY


class State:
    """The state of one class over a world, built at `NOW`."""

    def __init__(
        self, registry: Registry, world: World, refresh_class: RefreshClass = RefreshClass.QUARTER_HOUR
    ) -> None:
        self.registry, self.refresh_class, self.revision = registry, refresh_class, 0
        self.con = world.connect()
        self.con.execute("CREATE TABLE touched (entity_id VARCHAR)")
        self.built = build(self.con, registry, refresh_class=refresh_class, as_of=NOW, time_zone=ZONE)

    def to(self, moment: Any, *touched: str) -> Refreshed:
        self.revision += 1
        self.con.execute("DELETE FROM touched")
        for name in touched:
            self.con.execute("INSERT INTO touched VALUES (?)", [name])
        return refresh(
            self.con,
            self.registry,
            refresh_class=self.refresh_class,
            as_of=moment,
            time_zone=ZONE,
            touched="touched",
            revision=self.revision,
        )

    def row(self, consumer: str) -> dict[str, Any]:
        found = self.con.execute(
            f"SELECT * FROM tags.consumer_{self.refresh_class.value} WHERE entity_id = ?", [consumer]
        ).pl()
        return found.row(0, named=True) if found.height else {}


@pytest.mark.parametrize(
    ("age", "tag", "before", "after"),
    [
        (timedelta(days=7) - HOUR, "orders_7d", 1, 0),
        (timedelta(days=30) - HOUR, "orders_30d", 1, 0),
        (timedelta(days=90) - HOUR, "order_trend_90d", None, 0.0),
        (timedelta(days=365) - HOUR, "orders_365d", 1, 0),
        (timedelta(days=5) - HOUR, "recency_days", 4, 5),
        (timedelta(days=60) - HOUR, "lifecycle_stage", "cooling", "dormant"),
    ],
)
def test_an_order_falls_due_at_its_edge_and_not_before(
    registry: Registry, age: timedelta, tag: str, before: Any, after: Any
) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.order("c1", NOW - age, net=100)
    state = State(registry, world)
    assert state.row("c1")["due_at"] == (NOW + HOUR).replace(tzinfo=None)
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.row("c1")[tag] == before
    done = state.to(NOW + HOUR)
    assert (done.dirty, done.recomputed, done.changed) == (1, 1, 1)
    assert state.row("c1")[tag] == after
    assert state.row("c1")["revision"] == 2
    assert state.to(NOW + HOUR).dirty == 0  # the same moment again


def test_a_row_that_comes_later_counts_from_then_on(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.consumer("c2", ago(600))
    world.order("other", ago(3.5), net=100)
    world.order("c1", NOW + HOUR, net=100)  # dated ahead
    world.order("c2", ago(2.3), net=100, received_at=NOW + 2 * HOUR)  # late
    state = State(registry, world)
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.to(NOW + HOUR).changed == 1
    assert state.row("c1")["orders_7d"] == 1
    assert state.to(NOW + 2 * HOUR - US).dirty == 0
    assert state.to(NOW + 2 * HOUR).changed == 1
    assert state.row("c2")["orders_7d"] == 1


def test_a_version_counts_until_the_next_one(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.order("c1", ago(1.3), net=100, superseded_at=NOW + HOUR)
    world.order("c1", ago(1.3), net=70, received_at=NOW + HOUR)
    state = State(registry, world)
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.row("c1")["net_spend_7d"] == 100
    assert state.to(NOW + HOUR).changed == 1
    assert state.row("c1")["net_spend_7d"] == 70


def test_a_version_that_nothing_replaces_still_ends(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.order("c1", ago(1.3), net=100, superseded_at=NOW + HOUR)
    state = State(registry, world)
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.to(NOW + HOUR).changed == 1
    assert state.row("c1")["orders_lifetime"] == 0


def test_a_consumer_leaves_also_where_no_tag_reads_its_rows(registry: Registry) -> None:
    world = World()
    world.order("c1", ago(1.3), net=100, superseded_at=NOW + HOUR)
    state = State(registry, world, HOURLY)  # tags of parcels only
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.to(NOW + HOUR).removed == 1


def test_a_consumer_comes_and_goes_with_its_rows(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.consumer("later", NOW + HOUR)
    world.order("short", ago(1.3), net=100, superseded_at=NOW + 2 * HOUR)
    state = State(registry, world)
    assert (state.built.dirty, state.built.recomputed) == (3, 2)
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.row("later") == {}
    assert state.to(NOW + HOUR).changed == 1
    assert state.row("later")["orders_7d"] == 0
    assert state.to(NOW + 2 * HOUR - US).dirty == 0
    done = state.to(NOW + 2 * HOUR)
    assert (done.dirty, done.recomputed, done.removed) == (1, 0, 1)
    assert state.row("short") == {}
    left = state.con.execute("SELECT * FROM tags.removed").fetchall()
    assert left == [("consumer", "short", state.revision)]
    world.order("short", ago(0.1), net=5)
    back = world.frames()["fct_orders"].filter(pl.col("consumer_id") == "short").tail(1)  # noqa: F841
    state.con.execute("INSERT INTO intermediate.int_orders_known SELECT * FROM back")
    assert state.to(NOW + 3 * HOUR, "short").changed == 1
    assert state.con.execute("SELECT * FROM tags.removed").fetchall() == []


def test_an_open_complaint_closes_by_itself(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    opened = {"kind": "complaint", "opened_at": ago(2.5)}
    world.add("fct_after_sales", consumer_id="c1", resolved_at=NOW + 2 * HOUR, **opened)
    world.order("c1", ago(400), net=100)
    world.add("fct_after_sales", consumer_id="c2", kind="refund", opened_at=ago(500), resolved_at=ago(499))
    state = State(registry, world)
    assert state.row("c1")["open_complaint"] is True
    assert state.to(NOW + 2 * HOUR - US).dirty == 0
    assert state.to(NOW + 2 * HOUR).changed == 1
    assert state.row("c1")["open_complaint"] is False


def test_everybody_is_looked_at_when_a_source_first_reports(registry: Registry) -> None:
    world = World()
    for name in ("c1", "c2", "c3"):
        world.consumer(name, ago(600.2))
    world.add("fct_events", consumer_id="c1", session_id="s", event_type="view", occurred_at=NOW + HOUR)
    state = State(registry, world)
    assert state.row("c2")["sessions_7d"] is None
    assert state.to(NOW + HOUR - US).dirty == 0
    assert state.to(NOW + HOUR).changed == 3
    assert state.row("c1")["sessions_7d"] == 1
    assert state.row("c2")["sessions_7d"] == 0
    state.con.execute("DELETE FROM core.fct_events")  # an erasure takes the only row there was
    assert state.to(NOW + HOUR, "c1").changed == 3
    assert state.row("c2")["sessions_7d"] is None


def test_a_local_midnight_and_a_new_year_are_waited_for(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600.2), birthday=ago(9000).date())
    for days in (8, 6, 4):  # a rhythm of two days: lapsed when the fifth day since the last begins
        world.order("c1", ago(days), net=100)
    state = State(registry, world, DAILY)
    assert state.row("c1")["lapsed_category"] is None
    midnight = NOW.replace(hour=5) + timedelta(days=1)  # NOW lies five hours behind UTC
    done = state.to(midnight - US)
    assert state.row("c1")["lapsed_category"] is None
    done = state.to(midnight)
    assert (done.dirty, done.changed) == (1, 1)
    assert state.row("c1")["lapsed_category"] == "l2-a/x"
    year = NOW.replace(month=1, day=1, hour=0).replace(year=NOW.year + 1)
    state.to(year - US)
    assert state.row("c1")["due_at"] == year.replace(tzinfo=None)


def test_what_did_not_change_keeps_its_revision(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.order("c1", ago(1.5), net=100)
    state = State(registry, world)
    done = state.to(NOW + US, "c1", "c1", "nobody")
    assert (done.dirty, done.recomputed, done.changed, done.removed) == (2, 1, 0, 0)
    assert state.row("c1")["revision"] == 0


def test_a_refresh_is_undone_with_its_transaction(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    world.order("c1", ago(6.9), net=100)
    state = State(registry, world)
    state.con.begin()
    assert state.to(NOW + 3 * HOUR).changed == 1
    state.con.rollback()
    assert state.row("c1")["orders_7d"] == 1
    assert state.to(NOW + 3 * HOUR).changed == 1
    assert state.row("c1")["orders_7d"] == 0


def test_small_chunks_give_the_same_state(registry: Registry) -> None:
    world = World()
    for number in range(5):
        world.consumer(f"c{number}", ago(600))
        for days in range(number):
            at = ago(days * 5 + 0.3)
            world.add("fct_shipments", consumer_id=f"c{number}", delivered_at=at, delivery_days=float(days))
    con = world.connect()
    found = []
    for rows in (1, 4, 1_000_000):
        build(con, registry, refresh_class=HOURLY, as_of=NOW, time_zone=ZONE, max_joined_rows=rows)
        found.append(con.execute("SELECT * FROM tags.consumer_1h ORDER BY entity_id").pl())
    assert found[0].equals(found[2])
    assert found[1].equals(found[2])
    assert found[2]["avg_delivery_days_180d"].to_list() == [None, 0.0, 0.5, 1.0, 1.5]


def test_what_cannot_be_refreshed_is_refused(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    con = world.connect()
    con.execute("CREATE TABLE touched (entity_id VARCHAR)")

    def ask(**changes: Any) -> None:
        given: dict[str, Any] = {
            "refresh_class": RefreshClass.QUARTER_HOUR,
            "as_of": NOW,
            "time_zone": ZONE,
            "touched": "touched",
            "revision": 1,
        }
        refresh(con, registry, **(given | changes))

    with pytest.raises(RefreshError, match=r"no state tags.consumer_15m; build it first"):
        ask()
    build(con, registry, refresh_class=RefreshClass.QUARTER_HOUR, as_of=NOW, time_zone=ZONE)
    with pytest.raises(RefreshError, match="must carry a time zone"):
        ask(as_of=NOW.replace(tzinfo=None))
    with pytest.raises(RefreshError, match="later than"):
        ask(as_of=NOW - US)
    with pytest.raises(RefreshError, match="by other definitions or for another time zone"):
        ask(time_zone="Asia/Shanghai")
    with pytest.raises(RefreshError, match=r"no state tags.consumer_1h"):
        ask(refresh_class=RefreshClass.HOUR)
    con.execute("DROP TABLE core.fct_events")
    with pytest.raises(SourceTableError, match=r"'events' cannot read core.fct_events"):
        ask()


def test_nothing_of_the_work_stays_behind(registry: Registry) -> None:
    world = World()
    world.consumer("c1", ago(600))
    state = State(registry, world)
    state.to(NOW + HOUR, "c1")
    tables = "SELECT table_name FROM duckdb_tables() WHERE temporary"
    assert state.con.execute(tables).fetchall() == []
    assert isinstance(state.con, duckdb.DuckDBPyConnection)
