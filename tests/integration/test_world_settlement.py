"""Orders of the tiny world went through settlement, and the warehouse says of it what the ledger says."""

import datetime as dt

import duckdb
import psycopg
import pytest
from tiny_world import AS_OF, REPLAY_DAYS
from tiny_world import world as world_rows

from pipelines.lake.tables import Lake
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import chain, invariants
from serving.ledger.accounts import Party
from serving.settlement.reports.statements import Period, statement

pytestmark = pytest.mark.xdist_group("world")


@pytest.fixture(scope="module")
def warehouse(world, first):
    with duckdb.connect(str(world.home / "warehouse" / "muyun.duckdb"), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def operations(world, first):
    with world.database() as url, Operations(url, size=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def replayed(first):
    return first.summary["settlement"]["replay"]


def test_the_orders_of_the_window_were_replayed(replayed):
    since = AS_OF - dt.timedelta(days=REPLAY_DAYS)
    window = [
        order for order in world_rows()["orders"] if dt.datetime.fromisoformat(order["placed_at"]) > since
    ]
    assert replayed["orders"] == len(window) > 300
    assert replayed["refunds"] > 5
    assert replayed["released_legs"] > 500
    assert replayed["payouts"] > 3
    assert replayed["closed_months"] == ["2025-05"]


def test_no_invariant_of_the_ledger_is_broken(first, operations, world):
    assert first.summary["settlement"]["settlement_day"]["violations"] == []
    with operations.transaction("default") as connection:
        assert invariants.check(connection, "default") == []
    with world.database() as url, psycopg.connect(libpq_url(url)) as connection:
        assert chain.verify(connection, chain.anchors_of(world.home)).block_no >= 1


def test_the_books_in_the_lake_are_those_of_the_database(world, operations):
    lake = Lake(world.home / "lake")
    with operations.transaction("default") as connection:
        entries = connection.execute("select count(*), sum(abs(amount)) from ledger.entry").fetchone()
        legs = connection.execute("select count(*), sum(amount_cents) from settlement.leg").fetchone()
    held = lake.read("ledger_entries")
    assert (held.height, held["amount"].abs().sum()) == entries
    shares = lake.read("settlement_legs")
    assert (shares.height, shares["amount_cents"].sum()) == legs
    assert set(shares["origin"]) == {"observed"}


def test_the_marts_equal_the_ledger_to_the_cent(warehouse, operations):
    found = warehouse.execute(
        "select party_type, party_id, account_kind, sum(amount_cents)::bigint from"
        " analyst.mart_settlement_statement where row_kind = 'movement' group by all"
    ).fetchall()
    with operations.transaction("default") as connection:
        expected = connection.execute(
            "select party_type, case party_type when 'platform' then 'platform' else party_id end, kind,"
            " amount from ledger.account_balance where unit = 'CNY'"
        ).fetchall()
    moved = {tuple(row[:3]): row[3] for row in found}
    assert moved.keys() <= {tuple(row[:3]) for row in expected}
    assert {tuple(row[:3]): row[3] for row in expected if row[3] or tuple(row[:3]) in moved} == moved
    assert len(found) > 20


def test_a_statement_reads_the_same_on_both_sides(warehouse, operations):
    """Month by month, the mart's opening and closing of a party are those of the API's statements."""
    rows = warehouse.execute(
        "select party_type, party_id, strftime(month_start_on, '%Y-%m'),"
        " sum(amount_cents) filter (row_kind = 'opening')::bigint,"
        " sum(amount_cents) filter (row_kind = 'closing')::bigint"
        " from analyst.mart_settlement_statement where party_type in ('supplier', 'merchant', 'agent')"
        " group by all order by all"
    ).fetchall()
    assert len(rows) >= 8
    with operations.transaction("default") as connection:
        for party_type, party_id, month, opening, closing in rows:
            shown = statement(connection, "default", Party(party_type, party_id), Period.parse(month))
            assert (shown.opening_cents, shown.closing_cents) == (opening, closing), (party_id, month)


def test_orders_carry_the_sale_of_their_agent(warehouse, replayed):
    (sold,) = warehouse.execute("select sum(order_count) from analyst.mart_agent_performance").fetchone()
    assert 0 < sold < replayed["orders"]
    accrued, released = warehouse.execute(
        "select sum(commission_accrued_cents), sum(commission_released_cents)"
        " from analyst.mart_agent_performance"
    ).fetchone()
    assert accrued > released > 0


def test_nothing_replayed_is_read_back_as_an_order(world, first):
    manifest = Lake(world.home / "lake").read_report("ingest/orders")
    assert not [note for note in manifest["notes"] if "recorded" in note]


def test_stock_and_offers_stand_in_the_operational_database(operations):
    with operations.transaction("default") as connection:
        offers, stock, reserved = connection.execute(
            "select (select count(*) from orders.offer), count(*), sum(reserved_qty) from orders.stock"
        ).fetchone()
    assert offers == stock == 40
    assert reserved >= 0
