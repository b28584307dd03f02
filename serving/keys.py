"""Command line over the API keys: `create`, `list`, `revoke`. What a key is stands in `serving.security`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from serving.db.connect import ready_database
from serving.db.urls import libpq_url
from serving.errors import ServingError
from serving.security import Scope, issue_key, revoke_key
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m serving.keys create|list|revoke`; 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m serving.keys")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it once")
    create.add_argument("--name", required=True, help="whose key it is")
    create.add_argument(
        "--scopes", nargs="+", required=True, metavar="SCOPE", help=f"'all', or some of: {', '.join(Scope)}"
    )
    create.add_argument("--merchant", help="restrict the key to one merchant")
    create.add_argument("--rate", type=float, help="requests per second; default MUYUN_RATE_LIMIT_PER_S")
    create.add_argument("--burst", type=int, help="requests at once; default MUYUN_RATE_LIMIT_BURST")
    commands.add_parser("list", help="keys without their secrets")
    revoke = commands.add_parser("revoke", help="end a key")
    revoke.add_argument("key_id")
    options = parser.parse_args(arguments)
    try:
        url = ready_database(Settings())
        if options.command == "create":
            scopes = list(Scope) if options.scopes == ["all"] else options.scopes
            key = issue_key(
                url,
                name=options.name,
                scopes=scopes,
                merchant_id=options.merchant,
                rate_per_s=options.rate,
                burst=options.burst,
            )
            sys.stdout.write(f"{key.secret}\n")
            sys.stderr.write(f"key id {key.key_id}; the key is shown only this once\n")
        elif options.command == "revoke":
            revoke_key(url, options.key_id)
            sys.stdout.write(f"revoked {options.key_id}\n")
        else:
            _print_keys(url)
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _print_keys(url: str) -> None:
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute(
            "select key_id, name, scopes, merchant_id, revoked_at is not null from ops.api_key"
            " order by created_at, key_id"
        ).fetchall()
    for key_id, name, scopes, merchant_id, revoked in rows:
        state = "revoked" if revoked else "works"
        whose = f"merchant {merchant_id}" if merchant_id else "all merchants"
        sys.stdout.write(f"{key_id}  {state:7}  {name}  {whose}  {' '.join(scopes)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
