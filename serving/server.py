"""`python -m serving.server`: makes the database ready and serves the API until TERM or INT.

Granian runs `MUYUN_API_WORKERS` processes, which share a port and the rate limits. The database is started
here when it is the embedded one and does not run, and stopped here when nobody else uses it.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from pydantic import ValidationError

from serving.errors import PortTakenError, ServingError
from serving.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

EXIT_FAILED = 1
EXIT_PORT_TAKEN = 3
_BACKLOG = 1024


def application() -> Litestar:
    """The application of a worker process, from the settings in its environment."""
    from serving.app import create_app
    from serving.db.connect import database_url

    settings = Settings()
    return create_app(settings, database_url(settings))


def main() -> int:
    """Serve until a signal comes.

    Returns:
        0 after a signal, 1 when the database or the settings prevent serving, 3 when the port is taken.
    """
    from serving.db.connect import leave_database, ready_database

    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"MUYUN_{item['loc'][0]!s}".upper() + f": {item['msg']}" for item in error.errors()
        )
        sys.stderr.write(f"error: {problems}\n")
        return EXIT_FAILED
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_FAILED
    try:
        port = claim_port(settings.api_host, settings.api_port)
        ready_database(settings)
        sys.stdout.write(f"Muyun API on http://{settings.api_host}:{port} (documentation: /v1/docs)\n")
        sys.stdout.flush()
        with _shared_limits(settings, port):
            _serve(settings.api_host, port, settings.api_workers)
    except PortTakenError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_PORT_TAKEN
    except ServingError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_FAILED
    finally:
        leave_database(settings)
    return 0


def claim_port(host: str, port: int) -> int:
    """A port that can be listened on: the given one, or a free one for 0.

    Granian listens with SO_REUSEPORT, with which two servers would silently share a port; hence this check.

    Raises:
        PortTakenError: Another program listens there, or this user may not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            what = "is taken by another program" if error.errno == errno.EADDRINUSE else f"({error.strerror})"
            raise PortTakenError(
                f"the API cannot listen on {host}:{port}: the port {what}. Set MUYUN_API_PORT to another one"
            ) from error
        return int(probe.getsockname()[1])


@contextmanager
def _shared_limits(settings: Settings, port: int) -> Iterator[None]:
    """Give several processes one file of limits, which begins empty and goes with the server."""
    if settings.api_workers == 1:
        yield
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    file = settings.home / f"api-{port}.limits"
    file.unlink(missing_ok=True)
    os.environ["MUYUN_LIMITS_FILE"] = str(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _serve(host: str, port: int, workers: int) -> None:
    Granian(
        "serving.server:application",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    raise SystemExit(main())
