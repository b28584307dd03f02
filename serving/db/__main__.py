"""`python -m serving.db migrate | downgrade REVISION | dump FILE | restore FILE` over the serving database.

Each starts the database if it is ours and updates its schema first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.db import dump
from serving.db.connect import leave_database, ready_database
from serving.db.migrate import current_revision, downgrade, upgrade
from serving.db.urls import without_password
from serving.errors import ServingError
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m serving.db")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="start the database if it is ours and update its schema")
    for name, text in (
        ("dump", "write the database to a file"),
        ("restore", "replace its content by a dump"),
    ):
        commands.add_parser(name, help=text).add_argument("file", type=Path)
    back = commands.add_parser("downgrade", help="take the schema back for an earlier release of Muyun")
    back.add_argument("revision", help="as the earlier release names it; what later ones added is lost")
    options = parser.parse_args(arguments)
    settings = Settings()
    try:
        url = ready_database(settings)
        if options.command == "dump":
            dump.dump(url, options.file)
        elif options.command == "restore":
            dump.restore(url, options.file)
            upgrade(url)
        elif options.command == "downgrade":
            downgrade(url, options.revision)
        text = f"{without_password(url)} is at revision {current_revision(url)}"
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        if options.command != "migrate":
            leave_database(settings)
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
