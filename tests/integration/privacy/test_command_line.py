import psycopg
from placed_orders import place

from serving.db.urls import libpq_url
from serving.privacy import __main__ as command_line
from serving.privacy.data_keys import Vault
from serving.privacy.envelope import sealed_by
from serving.privacy.personal_fields import Recipient, get_recipient, put_recipient

LI = Recipient("Li", "13900005678", "12 Main Street")


def test_rotate_reencrypt_and_replace_the_master(
    operations, vault, key_settings, database_url, monkeypatch, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", database_url)
    monkeypatch.setenv("MUYUN_HOME", str(key_settings.home))
    monkeypatch.delenv("MUYUN_MASTER_KEY", raising=False)
    with operations.transaction("shop") as conn:
        place(conn, "shop", "o1")
        put_recipient(conn, vault, "shop", "o1", LI)

    def run(*arguments):
        assert command_line.main(arguments) == 0
        return capsys.readouterr().out

    key_id = run("rotate-data-key", "--tenant", "shop").split("data key ")[1].split()[0]
    assert "orders.recipient: sealed 1 rows again" in run("reencrypt", "--tenant", "shop")
    assert "orders.recipient: sealed 0 rows again" in run("reencrypt", "--tenant", "shop")
    with psycopg.connect(libpq_url(database_url)) as conn:
        ((name,),) = conn.execute("select name_enc from orders.recipient").fetchall()
    assert sealed_by(name).hex() == key_id
    old = (key_settings.home / "keys" / "master.key").read_text()
    assert run("rotate-master") == "wrapped 2 data keys again\n"
    assert (key_settings.home / "keys" / "master.key").read_text() != old
    lines = run("status").splitlines()
    assert [line.split("  ")[3] for line in lines] == ["opens only", "current"]
    assert f"shop  {key_id}  field  current" in lines[1]
    with operations.transaction("shop") as conn:
        assert get_recipient(conn, Vault.of(key_settings), "shop", "o1") == LI


def test_a_missing_master_key_is_told_in_one_line(
    operations, vault, key_settings, database_url, monkeypatch, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", database_url)
    monkeypatch.setenv("MUYUN_HOME", str(key_settings.home))
    monkeypatch.delenv("MUYUN_MASTER_KEY", raising=False)
    with operations.transaction("shop") as conn:
        vault.current_key_id(conn, "shop")
    (key_settings.home / "keys" / "master.key").unlink()
    assert command_line.main(["rotate-master"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the master key ")
    assert error.count("\n") == 1
