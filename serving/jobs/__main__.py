"""`python -m serving.jobs <job>`: the jobs that a scheduler runs and the acts of a month's end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from serving.db.connect import ready_database
from serving.db.operations import Operations
from serving.errors import ServingError
from serving.jobs.commands import JOBS, Job, JobFailedError
from serving.orders.clock import BusinessClock
from serving.security import DEFAULT_TENANT
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job and print what it did; 0 when it worked, 1 when it could not or found something wrong."""
    options = _parser().parse_args(arguments)
    settings = Settings()
    try:
        url = ready_database(settings)
        with Operations(url) as operations:
            now = options.as_of
            if now is None:
                with operations.transaction(options.tenant) as conn:
                    now = BusinessClock(settings).now(conn)
            job = Job(settings, url, operations, options.tenant, now, options)
            for line in JOBS[options.job].run(job):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    except (ServingError, JobFailedError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.jobs")
    commands = parser.add_subparsers(dest="job", required=True)
    for name, command in JOBS.items():
        made = commands.add_parser(name, help=command.help)
        made.add_argument("--tenant", default=DEFAULT_TENANT)
        made.add_argument(
            "--as-of", type=_moment, help="business time in ISO 8601; default: MUYUN_AS_OF, or now"
        )
        for flag, keywords in command.arguments.items():
            made.add_argument(flag, **keywords)
    return parser


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
