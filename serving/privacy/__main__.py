"""Command line over the keys of personal values: rotate-data-key, reencrypt, rotate-master, status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from serving.db.connect import ready_database
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.errors import ServingError
from serving.privacy.data_keys import Vault, rotate_data_key, rotate_master
from serving.privacy.personal_fields import PERSONAL_TABLES, reencrypt
from serving.settings import DEFAULT_TENANT, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m serving.privacy COMMAND`; 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m serving.privacy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tenant = argparse.ArgumentParser(add_help=False)
    tenant.add_argument("--tenant", default=DEFAULT_TENANT, help="default: %(default)s")
    commands.add_parser("rotate-data-key", parents=[tenant], help="begin a new data key for a tenant")
    commands.add_parser("reencrypt", parents=[tenant], help="seal a tenant's values with its current key")
    commands.add_parser("rotate-master", help="replace the master key, or wrap by the new MUYUN_MASTER_KEY")
    commands.add_parser("status", help="data keys by tenant, without secrets")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        url = ready_database(settings)
        if options.command == "rotate-data-key":
            _rotate_data_key(url, settings, options.tenant)
        elif options.command == "reencrypt":
            _reencrypt(url, settings, options.tenant)
        elif options.command == "rotate-master":
            with psycopg.connect(libpq_url(url), autocommit=True) as conn:
                changed = rotate_master(conn, settings)
            sys.stdout.write(f"wrapped {changed} data keys again\n")
        else:
            _print_keys(url)
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _rotate_data_key(url: str, settings: Settings, tenant_id: str) -> None:
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        key_id = rotate_data_key(conn, Vault.of(settings), tenant_id)
    sys.stdout.write(f"tenant {tenant_id} seals with data key {key_id.hex()} from now on\n")


def _reencrypt(url: str, settings: Settings, tenant_id: str) -> None:
    vault = Vault.of(settings)
    with Operations(url, size=1) as operations:
        for table in PERSONAL_TABLES:
            rows = 0
            while True:
                with operations.transaction(tenant_id) as conn:
                    changed = reencrypt(conn, vault, tenant_id, table)
                if not changed:
                    break
                rows += changed
            sys.stdout.write(f"{table.qualified}: sealed {rows} rows again\n")


def _print_keys(url: str) -> None:
    with psycopg.connect(libpq_url(url)) as conn:
        rows = conn.execute(
            "select tenant_id, key_id, purpose, created_at, retired_at is null from privacy.data_key"
            " order by tenant_id, purpose, created_at"
        ).fetchall()
    for tenant_id, key_id, purpose, created_at, current in rows:
        state = "current" if current else "opens only"
        sys.stdout.write(f"{tenant_id}  {key_id}  {purpose}  {state}  since {created_at:%Y-%m-%d}\n")


if __name__ == "__main__":
    raise SystemExit(main())
