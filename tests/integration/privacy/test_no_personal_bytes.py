"""A byte search of everything the database writes for values that were stored as personal fields."""

import base64

import psycopg
from placed_orders import place

from serving.db import migrate
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.db.programs import run_program
from serving.db.system_user import server_user
from serving.privacy.data_keys import Vault, rotate_data_key
from serving.privacy.personal_fields import RECIPIENT, Recipient, get_recipient, put_recipient, reencrypt

PLANTED = [
    Recipient(f"夏侯{sign}峰", f"1391357{n:04}", f"浙江省杭州市秘密大街{n:04}号", "330106")
    for n, sign in enumerate("甲乙丙丁戊己庚辛", start=4711)
]
CLEAR = "planted-in-clear-for-the-search"


def forms(text):
    """How a text may lie in a file: as it is, in other encodings, and as hexadecimal or base64 text."""
    raw = text.encode()
    return {raw, text.encode("utf-16-le"), raw.hex().encode(), base64.b64encode(raw)[:-4]}


def lies_in(data, text):
    return any(form in data for form in forms(text))


def everything_below(folder):
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_planted_personal_values_are_in_no_file_of_the_database(private_folder, key_settings):
    # Everything the server can log is logged: statements with their parameters, and errors.
    loud = {
        "shared_buffers": "32MB",
        "log_statement": "all",
        "log_min_duration_statement": "0",
        "log_parameter_max_length_on_error": "-1",
        "wal_level": "logical",
    }
    vault = Vault.of(key_settings)
    with EmbeddedPostgres(private_folder / "postgres", configuration=loud) as cluster:
        url = cluster.connect_info().url("muyun")
        migrate.upgrade(url)
        with Operations(url, size=2) as operations:
            with operations.transaction("shop") as conn:
                for number, recipient in enumerate(PLANTED):
                    place(conn, "shop", f"o{number}")
                    put_recipient(conn, vault, "shop", f"o{number}", recipient)
            with operations.transaction("shop") as conn:
                put_recipient(conn, vault, "shop", "o0", PLANTED[0])
                rotate_data_key(conn, vault, "shop")
                assert reencrypt(conn, vault, "shop", RECIPIENT) == len(PLANTED)
            try:
                with operations.transaction("shop") as conn:
                    put_recipient(conn, vault, "shop", "no-such-order", PLANTED[1])
            except psycopg.errors.ForeignKeyViolation as error:
                message = str(error)
            assert not any(value in message for value in (PLANTED[1].name, PLANTED[1].phone))
            with operations.transaction("shop") as conn:
                back = [get_recipient(conn, vault, "shop", f"o{n}") for n in range(len(PLANTED))]
            assert back == PLANTED
        info = cluster.connect_info()
        with psycopg.connect(info.url("muyun", driver=None), autocommit=True) as conn:
            conn.execute("create table public.scratch (note text)")
            conn.execute("insert into public.scratch values (%s)", (CLEAR,))
            conn.execute("checkpoint")
            ((database,),) = conn.execute(
                "select oid::text from pg_database where datname = current_database()"
            ).fetchall()
        dump = run_program(
            "pg_dump", ["--dbname", info.url("muyun", driver=None)], server_user(), cluster.folder
        )
        assert dump.returncode == 0, dump.output
        places = {
            "dump": dump.output.encode(),
            "tables": everything_below(cluster.data / "base" / database),
            "write-ahead log": everything_below(cluster.data / "pg_wal"),
            "server log": cluster.log.read_bytes(),
        }
        # The search itself works: it finds what lies there in clear, in every one of the places.
        assert {name for name, data in places.items() if lies_in(data, CLEAR)} == places.keys()
        assert "orders.recipient" in dump.output
        assert lies_in(places["dump"], "o7")
        for recipient in PLANTED:
            for value in (recipient.name, recipient.phone, recipient.address):
                assert [name for name, data in places.items() if lies_in(data, value)] == [], value
