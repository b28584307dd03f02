"""After a database was restored from a dump: the marks of the background jobs are set anew.

A mark is a transaction number of the server that wrote the rows. On another server the numbers start
elsewhere, and "what came since" would mean nothing: rows would be skipped. Here every restored row becomes
older than any transaction of the new server, what no job had seen is caught up, and the jobs begin at now.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from serving.ledger import chain, roller

_OLDEST = "3"  # the first number that PostgreSQL gives to a transaction


def after_restore(conn: psycopg.Connection) -> chain.Head:
    """Make a restored database ready, as the owner of the tables; nothing else may write meanwhile.

    Args:
        conn: In a transaction; not acting as the application.

    Returns:
        The head of the chain, into which everything that was not sealed before the dump is sealed now.
    """
    tables = conn.execute(
        "select table_schema, table_name from information_schema.columns"
        " where column_name = 'xact_id' and table_schema in ('ledger', 'orders', 'events', 'settlement')"
        " and table_name <> 'mark' order by 1, 2"
    ).fetchall()
    for schema, name in tables:
        table = sql.Identifier(schema, name)
        # The numbers are bookkeeping of the server, not of the business: the append-only triggers look away.
        conn.execute(sql.SQL("alter table {} disable trigger user").format(table))
        conn.execute(sql.SQL("update {} set xact_id = {}::text::xid8").format(table, sql.Literal(_OLDEST)))
        conn.execute(sql.SQL("alter table {} enable trigger user").format(table))
    conn.execute("delete from ledger.rolled_balance")
    conn.execute("update ledger.mark set xact_id = '0'")
    sealed = conn.execute(
        "select coalesce(array_agg(i), '{}') from ledger.chain_block, unnest(transaction_ids) i"
    )
    known = sealed.fetchone()
    head = chain.seal(conn, leave_out=set(known[0]) if known else set())
    roller.roll(conn)
    return head
