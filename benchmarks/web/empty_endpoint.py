"""The peer of `api_read`: one empty endpoint of the same framework on the same server. Nothing else."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from litestar import Litestar, get


@get("/")
async def empty() -> dict[str, str]:
    """The smallest JSON answer."""
    return {"status": "ok"}


def application() -> Litestar:
    """An application with nothing but the endpoint."""
    return Litestar([empty], openapi_config=None, logging_config=None)


def main() -> None:
    """Serve on the port of the first argument, set up like `serving.server`."""
    Granian(
        "benchmarks.web.empty_endpoint:application",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        factory=True,
        workers=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
