"""Transactions of the operational core: tenant, role, rollback, snapshots, and connections that died."""

import psycopg
import pytest

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.errors import DatabaseUnavailableError

PARTY = "insert into parties.party (tenant_id, party_type, party_id) values (%s, 'agent', %s)"


def parties(operations, tenant):
    with operations.transaction(tenant) as conn:
        return [row[0] for row in conn.execute("select party_id from parties.party order by 1")]


@pytest.fixture
def operations(database_url):
    with Operations(database_url, size=3, timeout_s=5) as made:
        yield made


def test_a_transaction_acts_as_the_application_for_its_tenant(operations):
    with operations.transaction("it's \\ one") as conn:
        row = conn.execute("select current_user, ops.current_tenant(), now() = now()").fetchone()
        conn.execute(PARTY, ("it's \\ one", "a"))
    assert row == ("muyun_app", "it's \\ one", True)
    assert parties(operations, "it's \\ one") == ["a"]
    assert parties(operations, "another") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege), operations.transaction("another") as conn:
        conn.execute(PARTY, ("it's \\ one", "b"))


def test_the_tenant_ends_with_the_transaction(database_url):
    with Operations(database_url, size=1) as operations:
        with operations.transaction("one") as conn:
            conn.execute(PARTY, ("one", "a"))
            pid = conn.info.backend_pid
        with operations.transaction("two") as conn:
            assert conn.info.backend_pid == pid
            assert conn.execute("select count(*) from parties.party").fetchone() == (0,)


def write_and_fail(conn):
    conn.execute(PARTY, ("one", "lost"))
    raise ValueError("no")


def test_an_exception_rolls_back_and_the_connection_is_used_again(operations):
    with pytest.raises(ValueError, match="no"), operations.transaction("one") as conn:
        write_and_fail(conn)
    with pytest.raises(psycopg.errors.UndefinedTable), operations.transaction("one") as conn:
        conn.execute("select * from nothing")
    assert parties(operations, "one") == []


def test_a_block_inside_is_rolled_back_alone(operations):
    with operations.transaction("one") as conn:
        conn.execute(PARTY, ("one", "kept"))
        with pytest.raises(ValueError, match="no"), conn.transaction():
            write_and_fail(conn)
    assert parties(operations, "one") == ["kept"]


def test_repeatable_read_sees_one_moment(operations):
    with operations.transaction("one", repeatable_read=True) as reader:
        assert reader.execute("show transaction_isolation").fetchone() == ("repeatable read",)
        with operations.transaction("one") as writer:
            writer.execute(PARTY, ("one", "a"))
        assert reader.execute("select count(*) from parties.party").fetchone() == (0,)
    with operations.transaction("one") as conn:
        assert conn.execute("show transaction_isolation").fetchone() == ("read committed",)


def test_dead_connections_are_replaced_unnoticed(operations, database_url):
    def three():
        with (
            operations.transaction("one") as a,
            operations.transaction("one") as b,
            operations.transaction("one") as c,
        ):
            return {conn.info.backend_pid for conn in (a, b, c)}

    first = three()
    assert len(first) == 3
    with psycopg.connect(libpq_url(database_url), autocommit=True) as conn:
        conn.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as p (pid)", (list(first),))
    assert three().isdisjoint(first)


def test_a_connection_that_dies_inside_is_told(operations, database_url):
    def write_and_die(conn):
        conn.execute(PARTY, ("one", "a"))
        with psycopg.connect(libpq_url(database_url), autocommit=True) as killer:
            killer.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        conn.execute("select 1")

    with pytest.raises(DatabaseUnavailableError), operations.transaction("one") as conn:
        write_and_die(conn)
    assert parties(operations, "one") == []


def test_a_server_that_is_away_is_told():
    away = "postgresql://nobody@127.0.0.1:1/nothing"
    with (
        Operations(away, size=1, timeout_s=0.5) as operations,
        pytest.raises(DatabaseUnavailableError),
        operations.transaction("one"),
    ):
        pass


def test_a_statement_and_a_wait_for_a_lock_end_in_time(database_url):
    limits = {"statement_timeout_s": 0.4, "lock_timeout_s": 0.1}
    with Operations(database_url, size=2, **limits) as operations:
        late = pytest.raises(DatabaseUnavailableError, match="statement timeout")
        with late, operations.transaction("t") as conn:
            conn.execute("select pg_sleep(5)")
        with operations.transaction("t") as holder:
            holder.execute("select pg_advisory_xact_lock(77)")
            late = pytest.raises(DatabaseUnavailableError, match="lock timeout")
            with late, operations.transaction("t") as waiter:
                waiter.execute("select pg_advisory_xact_lock(77)")
