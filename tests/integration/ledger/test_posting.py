"""What the ledger books, and what it refuses, whoever asks (L1-L6, L13, L16)."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from ledger_postings import AGENT, NOW, SUPPLIER, sale

from serving.ledger import balances
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.errors import (
    IdempotencyConflictError,
    InsufficientBalanceError,
    PeriodClosedError,
    PostingRefusedError,
)
from serving.ledger.posting import Line, Posting, post


def entries(owner, transaction_id):
    return owner.execute(
        "select a.kind, e.amount from ledger.entry e join ledger.account a using (account_id)"
        " where e.transaction_id = %s order by e.entry_no",
        (transaction_id,),
    ).fetchall()


def test_a_transaction_is_booked_with_its_entries_and_balances(operations, tenant, book_sale, owner):
    posted = book_sale("k1", 10_000, order_id="o1")
    assert posted.is_new
    assert entries(owner, posted.transaction_id) == [
        ("channel_frozen", -10_000),
        ("supplier_pending", 8_500),
        ("agent_pending", 1_000),
        ("platform_fee", 500),
    ]
    with operations.transaction(tenant) as conn:
        assert balances.party_balances(conn, SUPPLIER) == {AccountKind.SUPPLIER_PENDING: 8_500}
        assert balances.balance(conn, AccountKind.CHANNEL_FROZEN, Party("platform", "")) == -10_000
        assert sum(row.amount for row in balances.trial_balance(conn)) == 0


def test_the_same_key_books_once(book_sale, operations, tenant):
    first, again = book_sale("k1"), book_sale("k1")
    assert (again.transaction_id, again.is_new) == (first.transaction_id, False)
    with operations.transaction(tenant) as conn:
        assert balances.party_balances(conn, AGENT) == {AccountKind.AGENT_PENDING: 1_000}


@pytest.mark.parametrize(
    "change",
    [
        {"cents": 10_001},
        {"supplier": Party("supplier", "s-2")},
        {"at": NOW + dt.timedelta(seconds=1)},
        {"order_id": "o"},
    ],
    ids=["amount", "party", "time", "order"],
)
def test_the_same_key_with_another_body_is_refused(book_sale, change):
    book_sale("k1")
    with pytest.raises(IdempotencyConflictError, match="k1"):
        book_sale("k1", **change)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(AccountKind.CHANNEL_FROZEN, -5), (AccountKind.PLATFORM_FEE, 4)], "sum to -1"),
        ([(AccountKind.CHANNEL_FROZEN, 0), (AccountKind.PLATFORM_FEE, 0)], "must not be 0"),
        ([], "two entries"),
        ([(AccountKind.POINTS_LIABILITY, -5), (AccountKind.PLATFORM_FEE, 5)], "sum to"),
    ],
    ids=["unbalanced", "zero", "none", "units"],
)
def test_entries_that_make_no_transaction_are_refused(operations, tenant, lines, message):
    posting = Posting("k", "test", NOW, [Line(kind, cents) for kind, cents in lines])
    with pytest.raises(PostingRefusedError, match=message), operations.transaction(tenant) as conn:
        post(conn, tenant, posting)


def test_a_guarded_account_never_goes_below_zero_and_nothing_of_the_posting_stays(
    operations, tenant, book_sale
):
    book_sale("k1", 10_000)
    too_much = Posting(
        "out",
        "test",
        NOW,
        [Line(AccountKind.PLATFORM_FEE, 8_501), Line(AccountKind.SUPPLIER_PENDING, -8_501, SUPPLIER)],
    )
    with pytest.raises(InsufficientBalanceError), operations.transaction(tenant) as conn:
        post(conn, tenant, too_much)
    with operations.transaction(tenant) as conn:
        assert balances.balance(conn, AccountKind.SUPPLIER_PENDING, SUPPLIER) == 8_500
        assert balances.balance(conn, AccountKind.PLATFORM_FEE, Party("platform", "")) == 500


def test_a_receivable_never_becomes_a_debt_of_the_platform(operations, tenant):
    repay = [
        Line(AccountKind.CLAWBACK_RECEIVABLE, 1, AGENT),
        Line(AccountKind.PLATFORM_FEE, -1),
    ]
    with pytest.raises(InsufficientBalanceError), operations.transaction(tenant) as conn:
        post(conn, tenant, Posting("k", "test", NOW, repay))


def test_a_closed_period_takes_no_entry(operations, tenant, book_sale):
    with operations.transaction(tenant) as conn:
        conn.execute("select ledger.close_until(%s, %s)", (tenant, NOW))
    with pytest.raises(PeriodClosedError, match="closed"):
        book_sale("early", at=NOW - dt.timedelta(microseconds=1))
    assert book_sale("at the edge", at=NOW).is_new


def test_a_period_is_never_opened_again(operations, tenant, book_sale):
    with operations.transaction(tenant) as conn:
        conn.execute("select ledger.close_until(%s, %s)", (tenant, NOW))
        conn.execute("select ledger.close_until(%s, %s)", (tenant, NOW - dt.timedelta(days=30)))
    with pytest.raises(PeriodClosedError):
        book_sale("early", at=NOW - dt.timedelta(days=1))


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.entry set amount = amount + 1",
        "delete from ledger.entry",
        "truncate ledger.entry",
        "update ledger.transaction set kind = 'other'",
        "delete from ledger.transaction",
        "truncate ledger.transaction cascade",
        "truncate ledger.chain_block",
    ],
)
def test_not_even_the_owner_changes_what_was_booked(book_sale, owner, statement):
    book_sale("k1")
    with pytest.raises(psycopg.Error) as failure:
        owner.execute(statement)
    assert failure.value.sqlstate == "MY403"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ledger.entry values (1, 99, 't', 1, 'CNY', 5, null)",
        "insert into ledger.transaction (tenant_id, idempotency_key, request_hash, kind, booked_at)"
        " values ('t', 'k', '', '', now())",
        "update ledger.balance set amount = 1000000",
        "insert into ledger.account (tenant_id, kind, party_type, party_id, unit, has_balance_row)"
        " values ('t', 'penalty', 'platform', '', 'CNY', false)",
        "select ledger.roll_balances()",
        "select * from ledger.chain_block",
        "alter table ledger.entry disable trigger all",
    ],
)
def test_the_application_may_only_post(operations, tenant, book_sale, statement):
    book_sale("k1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), operations.transaction(tenant) as conn:
        conn.execute(statement)


def raw_entries(owner, transaction_id, rows, first_no=1):
    owner.execute(
        "insert into ledger.entry (transaction_id, entry_no, tenant_id, account_id, unit, amount)"
        " select %s, %s + n, tenant, account, 'CNY', amount"
        " from unnest(%s::text[], %s::bigint[], %s::bigint[])"
        " with ordinality as r (tenant, account, amount, n)",
        (
            transaction_id,
            first_no,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
        ),
    )


def raw_posting(owner, tenant, rows):
    """A transaction written past the posting function, by the owner of the tables."""
    with owner.transaction():
        (transaction_id,) = owner.execute(
            "insert into ledger.transaction (tenant_id, idempotency_key, request_hash, kind, booked_at)"
            " values (%s, 'raw', '', 'raw', now()) returning transaction_id",
            (tenant,),
        ).fetchone()
        raw_entries(owner, transaction_id, rows)


def account_ids(owner, tenant):
    return dict(
        owner.execute(
            "select kind, account_id from ledger.account where tenant_id = %s", (tenant,)
        ).fetchall()
    )


@pytest.mark.parametrize("amounts", [(5, -4), (5,), ()], ids=["unbalanced", "one entry", "no entry"])
def test_raw_rows_that_do_not_sum_to_zero_do_not_commit(book_sale, owner, tenant, amounts):
    book_sale("k1")
    accounts = account_ids(owner, tenant)
    rows = [(tenant, accounts["platform_fee"], amount) for amount in amounts]
    with pytest.raises(psycopg.Error) as failure:
        raw_posting(owner, tenant, rows)
    assert failure.value.sqlstate == "MY422"


def test_raw_rows_of_two_tenants_do_not_commit(operations, book_sale, owner, tenant):
    book_sale("k1")
    other = tenant + "-other"
    with operations.transaction(other) as conn:
        post(conn, other, sale("k1"))
    rows = [(tenant, account_ids(owner, tenant)["platform_fee"], 5)]
    rows.append((tenant, account_ids(owner, other)["platform_fee"], -5))
    with pytest.raises(psycopg.Error) as failure:
        raw_posting(owner, tenant, rows)
    assert failure.value.sqlstate == "MY422"


def test_no_entry_is_added_to_a_booked_transaction(book_sale, owner, tenant):
    posted = book_sale("k1")
    accounts = account_ids(owner, tenant)
    rows = [(tenant, accounts["platform_fee"], 5), (tenant, accounts["channel_frozen"], -5)]
    with pytest.raises(psycopg.Error) as failure:
        raw_entries(owner, posted.transaction_id, rows, first_no=90)
    assert failure.value.sqlstate == "MY403"


def test_a_tenant_sees_and_books_only_its_own(operations, tenant, book_sale):
    book_sale("k1")
    other = tenant + "-other"
    with operations.transaction(other) as conn:
        assert balances.trial_balance(conn) == []
        assert conn.execute("select count(*) from ledger.entry").fetchone() == (0,)
    with pytest.raises(psycopg.Error) as failure, operations.transaction(other) as conn:
        conn.execute("select ledger.open_account(%s, 'penalty', 'platform', '')", (tenant,))
    assert failure.value.sqlstate == "MY403"


def test_without_a_tenant_nothing_is_seen(operations, book_sale, module_database_url):
    book_sale("k1")
    with operations.transaction("") as conn:
        assert conn.execute("select count(*) from ledger.entry").fetchone() == (0,)


def test_duplicates_at_the_same_time_book_once(operations, tenant):
    """Three callers a key at once: one books, the others get its answer; a changed body is refused."""
    keys = [f"k{number}" for number in range(60)]

    def call(task):
        key, copy = task
        try:
            with operations.transaction(tenant) as conn:
                return key, post(conn, tenant, sale(key, 10_000 + (7 if copy == 3 else 0)))
        except IdempotencyConflictError:
            return key, None

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(call, [(key, copy) for key in keys for copy in (1, 2, 3)]))
    by_key = {key: [answer for k, answer in answers if k == key] for key in keys}
    for key, found in by_key.items():
        booked = [answer for answer in found if answer is not None]
        assert len({answer.transaction_id for answer in booked}) == 1, key
        assert sum(answer.is_new for answer in booked) == 1, key
    with operations.transaction(tenant) as conn:
        assert conn.execute("select count(*) from ledger.transaction").fetchone() == (len(keys),)


def test_two_hot_payees_in_opposite_order_never_deadlock(operations, tenant):
    one, two = Party("supplier", "s-a"), Party("supplier", "s-b")

    def call(number):
        first, second = (one, two) if number % 2 else (two, one)
        lines = [
            Line(AccountKind.SUPPLIER_PENDING, 3, first),
            Line(AccountKind.SUPPLIER_PENDING, 4, second),
            Line(AccountKind.CHANNEL_FROZEN, -7),
        ]
        with operations.transaction(tenant) as conn:
            post(conn, tenant, Posting(f"k{number}", "test", NOW, lines))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(call, range(200)))
    with operations.transaction(tenant) as conn:
        assert balances.balance(conn, AccountKind.SUPPLIER_PENDING, one) == 700
        assert balances.balance(conn, AccountKind.SUPPLIER_PENDING, two) == 700
