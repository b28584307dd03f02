"""Server processes that benchmarks measure: a free port, a start that waits until it answers, a stop."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def server(
    arguments: list[str], environment: dict[str, str], port: int, probe: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers 200 at `probe`; stopped at the end."""
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not answers(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"error: {' '.join(arguments)} did not come up on port {port}")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port of the loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
