"""Command line: `python -m serving.db migrate` starts the database if it is ours and updates its schema."""

from __future__ import annotations

import argparse
import sys

from serving.db.connect import ready_database
from serving.db.migrate import current_revision
from serving.db.urls import without_password
from serving.errors import ServingError
from serving.settings import Settings


def main() -> int:
    """Run the command; 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m serving.db")
    parser.add_argument("command", choices=("migrate",))
    parser.parse_args()
    try:
        url = ready_database(Settings())
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{without_password(url)} is at revision {current_revision(url)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
