"""`python -m serving.jobs <job>`: the jobs that a scheduler runs and the acts of a month's end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from serving.db.connect import ready_database
from serving.db.operations import Operations
from serving.db.tenants import tenants_of
from serving.errors import DatabaseUnavailableError, ServingError
from serving.jobs.commands import JOBS, Command, Job, JobFailedError
from serving.orders.clock import BusinessClock
from serving.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job and print what it did; 0 when it worked, 1 when it could not or found something wrong.

    A tenant for whom it does not work keeps no other from its turn.
    """
    options = _parser().parse_args(arguments)
    settings = Settings()
    command = JOBS[options.job]
    works = True
    try:
        url = ready_database(settings)
        tenants = _tenants(options.tenant, command, settings.tenant, url)
        with Operations(url) as operations:
            clock = BusinessClock(settings)
            for tenant in tenants if command.turns == "every" else tenants[:1]:
                now = options.as_of
                if now is None:
                    with operations.transaction(tenant) as conn:
                        now = clock.now(conn, tenant)
                job = Job(settings, url, operations, tenant, tuple(tenants), now, options)
                names_it = command.turns == "every" and len(tenants) > 1
                works &= _turn(command, job, f"{tenant}: " if names_it else "")
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0 if works else 1


def _tenants(named: str | None, command: Command, own: str, url: str) -> list[str]:
    if named is not None:
        return [named]
    return [own] if command.turns == "one" else tenants_of(url) or [own]


def _turn(command: Command, job: Job, prefix: str) -> bool:
    """One tenant's turn; whether it worked."""
    try:
        for line in command.run(job):
            sys.stdout.write(f"{prefix}{line}\n")
            sys.stdout.flush()
    except DatabaseUnavailableError:
        raise
    except (ServingError, JobFailedError) as error:
        sys.stderr.write(f"error: {prefix}{error}\n")
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.jobs")
    commands = parser.add_subparsers(dest="job", required=True)
    for name, command in JOBS.items():
        made = commands.add_parser(name, help=command.help)
        every = "all, one after another" if command.turns == "every" else "MUYUN_TENANT"
        made.add_argument("--tenant", help=f"default: {every}")
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
