"""Command line over the published versions; the work is done by `serving.scores.loader`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from serving.db.connect import database_url
from serving.errors import ServingError
from serving.scores.loader import list_versions, release, rollback
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m serving.scores.versions list | rollback [VERSION] | release`."""
    parser = argparse.ArgumentParser(prog="python -m serving.scores.versions")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="versions in the database, newest load first")
    back = commands.add_parser("rollback", help="serve an older version")
    back.add_argument("version", nargs="?", help="default: the one before the current")
    commands.add_parser("release", help="end a rollback: serve the newest version again")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        url, tenant = database_url(settings), settings.tenant
        if options.command == "rollback":
            served = rollback(url, options.version, tenant_id=tenant)
            sys.stdout.write(f"now serving {served}, pinned until it is released\n")
        elif options.command == "release":
            sys.stdout.write(f"now serving {release(url, tenant_id=tenant)}\n")
        else:
            for found in list_versions(url, tenant_id=tenant):
                mark = "*" if found.is_current else " "
                pin = "  pinned" if found.is_pinned else ""
                rows = sum(found.row_counts.values())
                as_of = f"{found.as_of:%Y-%m-%d %H:%M}Z"
                what = f"{found.kind:7}  {found.status:9}"
                sys.stdout.write(f"{mark} {found.version}  {what}  as of {as_of}  {rows} rows{pin}\n")
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
