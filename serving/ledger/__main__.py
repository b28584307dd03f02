"""`python -m serving.ledger verify|after-restore`: what an operator does by hand with the ledger."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from serving.db.connect import ready_database
from serving.db.urls import libpq_url
from serving.errors import ServingError
from serving.ledger import chain, restore
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 1 when the chain is broken or the database cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m serving.ledger")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verify", help="recompute the hash chain and compare it with the anchors")
    commands.add_parser("after-restore", help="set the marks of the jobs anew after a restore from a dump")
    options = parser.parse_args(arguments)
    settings = Settings()
    try:
        with psycopg.connect(libpq_url(ready_database(settings))) as conn:
            if options.command == "verify":
                head = chain.verify(conn, chain.anchors_of(settings.home))
            else:
                head = restore.after_restore(conn)
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"block {head.block_no} {head.hash.hex()}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
