"""Command line over the embedded server: `python -m serving.db.embedded start|stop|status|url`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from serving.db import users
from serving.db.embedded import EmbeddedPostgres, embedded_postgres
from serving.errors import EmbeddedPostgresError, ServingError
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked.

    `start` keeps the server running whoever ends, until `stop`, which refuses while somebody uses it.
    """
    parser = argparse.ArgumentParser(prog="python -m serving.db.embedded", description=main.__doc__)
    parser.add_argument("command", choices=("start", "stop", "status", "url"))
    parser.add_argument("--database", default="muyun", help="database of the printed address")
    options = parser.parse_args(arguments)
    cluster = embedded_postgres(Settings())
    try:
        if options.command == "start":
            text = cluster.start().url(options.database)
            cluster.keep(running=True)
        elif options.command == "stop":
            text = _stop(cluster)
        elif options.command == "url":
            text = cluster.connect_info().url(options.database)
        else:
            status = cluster.status()
            text = f"running, pid {status.pid}, port {status.port}" if status.running else "not running"
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(text + "\n")
    return 0


def _stop(cluster: EmbeddedPostgres) -> str:
    if not cluster.status().running:
        return "was not running"
    cluster.keep(running=False)
    if not users.stop_if_unused(cluster):
        raise EmbeddedPostgresError(
            f"the PostgreSQL in {cluster.folder} is used by other processes; it stops when the last one ends"
        )
    return "stopped"
