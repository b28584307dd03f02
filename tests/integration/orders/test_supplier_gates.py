"""A gated supplier's offers route no orders, in the transaction that places them; a lifted gate lets them."""

from datetime import timedelta

import psycopg
import pytest
from small_market import NOW, TENANT

from serving.db.urls import libpq_url
from serving.orders.errors import OutOfStockError
from serving.supply.gates import gates_in_force, put_gates


@pytest.fixture
def put(module_database_url):
    """Puts the gates of a grading into force, as the nightly step does; lifts them at the end."""

    def _put(wanted, tenant=TENANT, now=NOW):
        with psycopg.connect(libpq_url(module_database_url)) as conn:
            return put_gates(conn, tenant, wanted, now)

    yield _put
    _put({})


def suppliers_of(shop, order):
    rows = shop.sql("select supplier_id from orders.order_line where order_id = %(o)s", o=order)
    return [supplier for (supplier,) in rows]


def test_a_gated_supplier_gets_no_order_and_its_backup_does(shop, put):
    shop.list("g-milk", 10_000)
    shop.supply("GA", "g-milk", 9, price=5_000)
    shop.supply("GB", "g-milk", 9, price=6_000)
    shop.place("g-1", ("g-milk", 1))
    assert suppliers_of(shop, "g-1") == ["GA"]
    assert put({"GA": "licence_expired"}) == 1
    shop.place("g-2", ("g-milk", 1))
    assert suppliers_of(shop, "g-2") == ["GB"]
    put({"GA": "licence_expired", "GB": "frozen"})
    with pytest.raises(OutOfStockError, match="no_offer"):
        shop.place("g-3", ("g-milk", 1))
    assert put({}) == 2
    shop.place("g-4", ("g-milk", 1))
    assert suppliers_of(shop, "g-4") == ["GA"]


def test_a_gate_that_stays_keeps_its_time_and_one_that_changes_does_not(shop, put):
    put({"GC": "licence_expired", "GD": "frozen"})
    later = NOW + timedelta(days=1)
    assert put({"GC": "licence_expired", "GD": "licence_revoked"}, now=later) == 1
    since = dict(shop.sql("select supplier_id, since from supply.supplier_gate"))
    assert since == {"GC": NOW, "GD": later}


def test_gates_are_of_their_tenant_and_written_by_the_grading_alone(shop, put):
    put({"GE": "frozen"})
    put({}, tenant="another")
    assert shop.act(gates_in_force) == {"GE": "frozen"}
    with shop.transaction("another") as conn:
        assert gates_in_force(conn, "another") == {}
        assert conn.execute("select count(*) from supply.supplier_gate").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shop.sql("insert into supply.supplier_gate values ('default', 'x', 'frozen', now())")
