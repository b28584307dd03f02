"""Command line over the API keys: `create`, `list`, `revoke`. What a key is stands in `serving.security`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from serving.db.connect import ready_database
from serving.db.urls import libpq_url
from serving.errors import ServingError
from serving.security import DEFAULT_TENANT, PARTY_ROLES, ROLE_SCOPES, Role, Scope, issue_key, revoke_key
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m serving.keys create|list|revoke`; 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m serving.keys")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it once")
    create.add_argument("--name", required=True, help="whose key it is")
    create.add_argument(
        "--scopes",
        nargs="+",
        required=True,
        metavar="SCOPE",
        help=f"'all' that the role may have, or some of: {', '.join(Scope)}",
    )
    create.add_argument(
        "--role",
        metavar="ROLE",
        help=f"one of: {', '.join(Role)}; default operator, or merchant by --merchant",
    )
    create.add_argument(
        "--party",
        help=f"whose key it is, for the roles {', '.join(sorted(PARTY_ROLES))}: the id of the party",
    )
    create.add_argument("--merchant", help="short for --role merchant --party MERCHANT")
    create.add_argument("--tenant", help="default: MUYUN_TENANT")
    create.add_argument("--rate", type=float, help="requests per second; default MUYUN_RATE_LIMIT_PER_S")
    create.add_argument("--burst", type=int, help="requests at once; default MUYUN_RATE_LIMIT_BURST")
    commands.add_parser("list", help="keys without their secrets")
    revoke = commands.add_parser("revoke", help="end a key")
    revoke.add_argument("key_id")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        url = ready_database(settings)
        if options.command == "create":
            scopes = _all_scopes(options) if options.scopes == ["all"] else options.scopes
            key = issue_key(
                url,
                name=options.name,
                scopes=scopes,
                role=options.role,
                party_id=options.party,
                tenant_id=options.tenant or settings.tenant,
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


def _all_scopes(options: argparse.Namespace) -> list[Scope]:
    role = options.role or (Role.OPERATOR if options.merchant is None else Role.MERCHANT)
    # An unknown role is refused by `issue_key`, whatever scopes come with it.
    return sorted(ROLE_SCOPES.get(role, frozenset(Scope)))


def _print_keys(url: str) -> None:
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute(
            "select key_id, name, scopes, tenant_id, role, party_id, revoked_at is not null from ops.api_key"
            " order by created_at, key_id"
        ).fetchall()
    for key_id, name, scopes, tenant_id, role, party_id, revoked in rows:
        state = "revoked" if revoked else "works"
        whose = role if party_id is None else f"{role} {party_id}"
        tenant = "" if tenant_id == DEFAULT_TENANT else f" of tenant {tenant_id}"
        sys.stdout.write(f"{key_id}  {state:7}  {name}  {whose}{tenant}  {' '.join(scopes)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
