import base64
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from placed_orders import place
from pydantic import SecretStr

from serving.db.urls import libpq_url
from serving.errors import PrivacyError
from serving.privacy.data_keys import Vault, rewrap, rotate_data_key, rotate_master
from serving.privacy.envelope import new_master_key, sealed_by, wrapped_by
from serving.privacy.master_key import Keyring, load_keyring
from serving.privacy.personal_fields import (
    RECIPIENT,
    WEBHOOK_SECRET,
    Recipient,
    get_recipient,
    put_recipient,
    reencrypt,
)

ANNA = Recipient("王小明", "13800001234", "浙江省杭州市文三路1号", "330106")


def owner(url):
    return psycopg.connect(libpq_url(url), autocommit=True)


def stored(url, query="select name_enc, phone_enc, address_enc from orders.recipient order by order_id"):
    with owner(url) as conn:
        return conn.execute(query).fetchall()


def write(operations, vault, tenant, *order_ids, recipient=ANNA):
    with operations.transaction(tenant) as conn:
        for order_id in order_ids:
            place(conn, tenant, order_id)
            put_recipient(conn, vault, tenant, order_id, recipient)


def read(operations, vault, tenant, order_id):
    with operations.transaction(tenant) as conn:
        return get_recipient(conn, vault, tenant, order_id)


def test_a_recipient_comes_back_and_is_sealed_in_the_table(operations, vault, key_settings, database_url):
    write(operations, vault, "shop", "o1")
    assert read(operations, vault, "shop", "o1") == ANNA
    assert read(operations, vault, "shop", "o2") is None
    # A process that starts later, with the same master key.
    assert read(operations, Vault.of(key_settings), "shop", "o1") == ANNA
    (row,) = stored(database_url)
    assert len({sealed_by(value) for value in row}) == 1
    assert not any(text.encode() in value for value in row for text in (ANNA.name, ANNA.phone))


def test_a_recipient_is_replaced(operations, vault):
    write(operations, vault, "shop", "o1")
    later = Recipient("Li", "13900005678", "12 Main Street")
    with operations.transaction("shop") as conn:
        put_recipient(conn, vault, "shop", "o1", later)
    assert read(operations, vault, "shop", "o1") == later


def test_tenants_have_keys_of_their_own_and_see_no_others(operations, vault, database_url):
    write(operations, vault, "shop", "o1")
    write(operations, vault, "other", "o1")
    keys = stored(database_url, "select tenant_id, key_id from privacy.data_key order by tenant_id")
    assert [tenant for tenant, _ in keys] == ["other", "shop"]
    assert keys[0][1] != keys[1][1]
    with operations.transaction("shop") as conn:
        assert conn.execute("select distinct tenant_id from privacy.data_key").fetchall() == [("shop",)]
        assert get_recipient(conn, vault, "other", "o1") is None
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            vault.add_key(conn, "third", "field")


def test_a_value_moved_to_another_row_or_column_does_not_open(operations, vault, database_url):
    write(operations, vault, "shop", "o1", "o2")
    with owner(database_url) as conn:
        conn.execute(
            "update orders.recipient r set phone_enc = f.phone_enc from orders.recipient f"
            " where r.order_id = 'o2' and f.order_id = 'o1'"
        )
    assert read(operations, vault, "shop", "o1") == ANNA
    with pytest.raises(PrivacyError, match=r"phone_enc of row 'o2' was changed or comes from another place"):
        read(operations, vault, "shop", "o2")
    with owner(database_url) as conn:
        conn.execute("update orders.recipient set phone_enc = name_enc where order_id = 'o1'")
    with pytest.raises(PrivacyError, match=r"phone_enc of row 'o1'"):
        read(operations, vault, "shop", "o1")


def test_after_a_rotation_new_values_have_the_new_key_and_old_ones_open(operations, vault, database_url):
    write(operations, vault, "shop", "o1")
    with operations.transaction("shop") as conn:
        fresh = rotate_data_key(conn, vault, "shop")
    write(operations, vault, "shop", "o2")
    old, new = (sealed_by(row[0]) for row in stored(database_url))
    assert new == fresh != old
    assert read(operations, vault, "shop", "o1") == read(operations, vault, "shop", "o2") == ANNA
    retired = stored(database_url, "select key_id, retired_at is not null from privacy.data_key")
    assert dict(retired) == {old.hex(): True, new.hex(): False}


def test_reencryption_in_batches_leaves_one_key_and_equal_values(operations, vault, database_url):
    write(operations, vault, "shop", *(f"o{n}" for n in range(7)))
    write(operations, vault, "other", "o0")
    for _ in range(2):
        with operations.transaction("shop") as conn:
            fresh = rotate_data_key(conn, vault, "shop")
    sizes = []
    while not sizes or sizes[-1]:
        with operations.transaction("shop") as conn:
            sizes.append(reencrypt(conn, vault, "shop", RECIPIENT, batch=3))
    assert sizes == [3, 3, 1, 0]
    rows = stored(
        database_url, "select name_enc, phone_enc, address_enc from orders.recipient where tenant_id = 'shop'"
    )
    assert {sealed_by(value) for row in rows for value in row} == {fresh}
    assert [read(operations, vault, "shop", f"o{n}") for n in range(7)] == [ANNA] * 7
    assert read(operations, vault, "other", "o0") == ANNA


def test_secrets_of_endpoints_are_reencrypted_as_well(operations, vault):
    def seal(conn):
        return vault.seal_row(conn, "shop", WEBHOOK_SECRET.qualified, "e1", {"secret_enc": "hush"})[
            "secret_enc"
        ]

    with operations.transaction("shop") as conn:
        conn.execute(
            "insert into orders.webhook_endpoint"
            " (tenant_id, endpoint_id, party_type, party_id, url, secret_enc)"
            " values ('shop', 'e1', 'supplier', 's1', 'https://example.org', %s)",
            (seal(conn),),
        )
        fresh = rotate_data_key(conn, vault, "shop")
        assert reencrypt(conn, vault, "shop", WEBHOOK_SECRET) == 1
        ((value,),) = conn.execute("select secret_enc from orders.webhook_endpoint").fetchall()
        assert sealed_by(value) == fresh
        opened = vault.open_row(conn, "shop", WEBHOOK_SECRET.qualified, "e1", {"secret_enc": value})
        assert opened == {"secret_enc": "hush"}


def test_the_first_writers_of_a_tenant_agree_on_one_key(operations, key_settings, database_url):
    ready = Barrier(5)

    def first(number):
        ready.wait(10)
        write(operations, Vault.of(key_settings), "new", f"o{number}")

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(first, range(5)))
    assert len(stored(database_url, "select key_id from privacy.data_key")) == 1
    assert len({sealed_by(row[0]) for row in stored(database_url)}) == 1


def test_a_blind_index_finds_equal_values_across_rotations(operations, vault):
    def index(conn, text, column="phone_enc"):
        return vault.blind_index(conn, "shop", text, table="orders.recipient", column=column)

    with operations.transaction("shop") as conn:
        before = index(conn, ANNA.phone)
        rotate_data_key(conn, vault, "shop")
        assert index(conn, ANNA.phone) == before
        assert index(conn, "13800001235") != before
        assert index(conn, ANNA.phone, "name_enc") != before


def test_the_master_key_rotates_and_the_old_one_opens_nothing(operations, vault, key_settings, database_url):
    write(operations, vault, "shop", "o1")
    write(operations, vault, "other", "o1")
    old = load_keyring(key_settings)
    with owner(database_url) as conn:
        assert rotate_master(conn, key_settings) == 2
    new = load_keyring(key_settings)
    assert len(new.keys) == 1
    assert new.current != old.current
    wrapped = stored(database_url, "select wrapped from privacy.data_key")
    assert {wrapped_by(row[0]) for row in wrapped} == {new.current.key_id}
    assert read(operations, Vault.of(key_settings), "shop", "o1") == ANNA
    # A process that ran all along has the old ring in memory: it reads the new one when it must.
    assert read(operations, vault, "other", "o1") == ANNA
    write(operations, vault, "third", "o1")
    assert read(operations, Vault.of(key_settings), "third", "o1") == ANNA
    with pytest.raises(PrivacyError, match="is missing"):
        read(operations, Vault(lambda: old), "shop", "o1")


def test_a_rotation_of_the_master_key_that_was_cut_off_is_finished_later(
    operations, vault, key_settings, database_url, monkeypatch
):
    write(operations, vault, "shop", "o1")

    def cut_off(conn, keyring):
        assert rewrap(conn, keyring) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.privacy.data_keys.rewrap", cut_off)
    with owner(database_url) as conn, pytest.raises(KeyboardInterrupt):
        rotate_master(conn, key_settings)
    monkeypatch.undo()
    assert len(load_keyring(key_settings).keys) == 2
    assert read(operations, Vault.of(key_settings), "shop", "o1") == ANNA
    with owner(database_url) as conn:
        rotate_master(conn, key_settings)
    assert len(load_keyring(key_settings).keys) == 1
    assert read(operations, Vault.of(key_settings), "shop", "o1") == ANNA


def test_with_the_variable_the_operator_puts_the_new_key_in_front(
    operations, vault, key_settings, database_url
):
    write(operations, vault, "shop", "o1")
    old, new = load_keyring(key_settings).current, new_master_key()
    text = ",".join(_base64(key) for key in (new, old))
    both = key_settings.model_copy(update={"master_key": SecretStr(text)})
    with owner(database_url) as conn:
        assert rotate_master(conn, both) == 1
        assert rotate_master(conn, both) == 0
    assert read(operations, Vault(lambda: Keyring((new,))), "shop", "o1") == ANNA


def test_a_first_key_that_is_made_during_a_master_rotation_is_not_lost(
    operations, key_settings, database_url
):
    """The writer holds its lock before it reads the master key, so the rotation wraps its key again."""
    with owner(database_url) as conn, ThreadPoolExecutor(1) as threads:
        with operations.transaction("late") as writing:
            Vault.of(key_settings).add_key(writing, "late", "field")
            rotation = threads.submit(rotate_master, conn, key_settings)
            with pytest.raises(TimeoutError):
                rotation.result(timeout=0.3)
        assert rotation.result(timeout=20) == 1
    write(operations, Vault.of(key_settings), "late", "o1")
    assert read(operations, Vault.of(key_settings), "late", "o1") == ANNA


def test_the_application_cannot_change_a_wrapped_key(operations, vault):
    write(operations, vault, "shop", "o1")
    for statement in (
        "update privacy.data_key set wrapped = ''",
        "update privacy.data_key set tenant_id = 'shop'",
        "delete from privacy.data_key",
        "truncate privacy.data_key",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), operations.transaction("shop") as conn:
            conn.execute(statement)


def test_a_damaged_or_missing_data_key_is_named(operations, vault, key_settings, database_url):
    write(operations, vault, "shop", "o1")
    with owner(database_url) as conn:
        conn.execute("update privacy.data_key set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)")
    with pytest.raises(PrivacyError, match="was changed: restore"):
        read(operations, Vault.of(key_settings), "shop", "o1")
    with owner(database_url) as conn:
        conn.execute("delete from privacy.data_key")
    with pytest.raises(PrivacyError, match="has no data key"):
        read(operations, Vault.of(key_settings), "shop", "o1")


def _base64(key):
    return base64.b64encode(key.secret).decode()
