"""What one tenant's session reaches of another's rows; asked of the catalogue, so that new tables count."""

import psycopg
import pytest
from ledger_postings import NOW, sale

from serving.ledger.accounts import AccountBook, AccountKind, Party
from serving.ledger.posting import post

MINE, OTHER = "t-mine", "t-other"
DEFINERS = {
    "approvals.erase",
    "channels.tenant_of",
    "communities.erase",
    "consumers.count_change",
    "consumers.erase",
    "consumers.erase_mentions",
    "consumers.erase_snapshots",
    "coupons.erase",
    "experiments.erase",
    "feedback.erase",
    "identity.erase",
    "journeys.erase",
    "ledger.close_until",
    "ledger.lock_balances",
    "ledger.open_account",
    "ledger.post",
    "ledger.post_many",
    "links.erase",
    "links.tenant_of",
    "members.erase",
    "ops.key_of",
    "orders.tenant_of_push",
    "promotions.erase",
}
THIEF = Party("supplier", "s-thief")


@pytest.fixture(scope="module")
def accounts(operations):
    """Account ids of both tenants, each with a sale in its books."""
    found = {}
    for tenant in (MINE, OTHER):
        with operations.transaction(tenant) as conn:
            post(conn, tenant, sale("sale"))
            found[tenant] = AccountBook(conn, tenant).ids(
                [(AccountKind.CHANNEL_FROZEN, Party("platform", "")), (AccountKind.SUPPLIER_PENDING, THIEF)]
            )
    return found


def test_every_table_that_the_application_reads_hides_other_tenants(owner):
    open_tables = owner.execute(
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and exists (select 1 from pg_attribute a where a.attrelid = c.oid"
        "   and a.attname = 'tenant_id' and not a.attisdropped)"
        " and has_any_column_privilege('muyun_app', c.oid, 'SELECT')"
        " and (not c.relrowsecurity or not exists (select 1 from pg_policy p where p.polrelid = c.oid"
        "   and pg_get_expr(p.polqual, p.polrelid) like '%tenant_id = ops.current_tenant()%'))"
    ).fetchall()
    assert open_tables == []


def test_no_policy_lets_more_through_than_the_tenant(owner):
    policies = owner.execute("select distinct pg_get_expr(polqual, polrelid) from pg_policy").fetchall()
    assert policies == [("(tenant_id = ops.current_tenant())",)]


def test_every_view_asks_as_its_reader(owner):
    views = owner.execute(
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')"
        " and has_table_privilege('muyun_app', c.oid, 'SELECT')"
        " and not coalesce('security_invoker=true' = any(c.reloptions), false)"
    ).fetchall()
    assert views == []


def test_only_functions_of_the_ledger_and_of_erasure_act_as_the_owner(owner):
    functions = owner.execute(
        "select n.nspname || '.' || p.proname, p.proconfig from pg_proc p"
        " join pg_namespace n on n.oid = p.pronamespace"
        " where p.prosecdef and has_function_privilege('muyun_app', p.oid, 'EXECUTE')"
    ).fetchall()
    assert {name for name, _ in functions} == DEFINERS
    # A definer with the caller's search path runs the caller's functions.
    assert all("search_path=pg_catalog, pg_temp" in configuration for _, configuration in functions)


def test_the_application_deletes_nothing_but_old_nonces(owner):
    deletable = owner.execute(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname in ('ledger', 'orders', 'settlement', 'agents', 'parties',"
        "  'events', 'privacy', 'ops') and (has_table_privilege('muyun_app', c.oid, 'DELETE')"
        "  or has_table_privilege('muyun_app', c.oid, 'TRUNCATE'))"
    ).fetchall()
    assert deletable == [("orders.push_nonce",)]


@pytest.mark.parametrize(
    "call",
    [
        "ledger.open_account('t-other', 'agent_pending', 'agent', 'a-9')",
        "ledger.close_until('t-other', now())",
        "ledger.lock_balances('t-other', '{1}')",
        "ledger.post('t-other', 'k', sha256(''), 'x', null, now(), '{1,2}', '{1,-1}')",
        "ledger.post_many('t-other', '{k}', array[sha256('')], '{x}', '{null}', array[now()],"
        " array[null::jsonb], '{1,1}', '{1,2}', '{1,-1}', '{null,null}')",
    ],
    ids=lambda call: call.partition("(")[0],
)
def test_a_function_refuses_to_act_for_another_tenant(operations, accounts, call):
    with pytest.raises(psycopg.Error) as caught, operations.transaction(MINE) as conn:
        conn.execute(f"select {call}")
    assert caught.value.sqlstate == "MY403"


@pytest.mark.parametrize("function", ["post", "post_many"])
def test_money_does_not_pass_from_one_tenant_to_another(operations, accounts, owner, function):
    """The balance of the other tenant would have moved within the statement; the commit refuses."""
    mine, theirs = accounts[MINE][1], accounts[OTHER][1]
    call = {
        "post": "ledger.post(%(tenant)s, 'steal', sha256(''), 'x', null, %(now)s, %(accounts)s, '{1,-1}')",
        "post_many": "ledger.post_many(%(tenant)s, '{steal}', array[sha256('')], '{x}', '{null}',"
        " array[%(now)s], array[null::jsonb], '{1,1}', %(accounts)s, '{1,-1}', '{null,null}')",
    }[function]
    balances = "select account_id, amount from ledger.balance where account_id = any(%s) order by 1"
    before = owner.execute(balances, ([mine, theirs],)).fetchall()
    for pair in ([mine, theirs], [theirs, mine], [accounts[OTHER][0], theirs]):
        with pytest.raises(psycopg.Error), operations.transaction(MINE) as conn:
            conn.execute(f"select {call}", {"tenant": MINE, "now": NOW, "accounts": pair})
    assert owner.execute(balances, ([mine, theirs],)).fetchall() == before
    keys = owner.execute("select count(*) from ledger.transaction where idempotency_key = 'steal'").fetchone()
    assert keys == (0,)


def test_locking_shows_nothing_of_another_tenant(operations, accounts):
    with operations.transaction(MINE) as conn:
        locked = conn.execute(
            "select account_id from ledger.lock_balances(%s, %s)", (MINE, accounts[OTHER])
        ).fetchall()
    assert locked == []


def test_the_same_key_belongs_to_each_tenant_by_itself(operations, accounts, owner):
    rows = owner.execute(
        "select tenant_id from ledger.transaction where idempotency_key = 'sale' order by 1"
    ).fetchall()
    assert [tenant for (tenant,) in rows] == [MINE, OTHER]
