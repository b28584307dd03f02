"""The embedded PostgreSQL: bundled binaries, one data folder, TCP on loopback.

Here is the life of the server process (create, start, stop, status) and its address. Schema and migrations
live in `serving.db.migrate`; what runs on the server does not concern this module.

Folder layout: `data/` (the cluster), `password` (0600), `endpoint.json` (the port that was taken last),
`postgres.log`, `lock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg

from serving.db.programs import HOST, MAJOR_VERSION, is_free, run_program, serves, tail
from serving.db.system_user import RunAs, server_user
from serving.db.urls import ensure_database
from serving.errors import DataFolderError, EmbeddedPostgresError, PortTakenError
from serving.settings import Settings

SUPERUSER = "muyun"
DEFAULT_DATABASES = ("muyun", "dagster")
_START_TRIES = 6
_LOG_LIMIT_BYTES = 20_000_000

_CONFIGURATION: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a deep data folder would exceed the length of a socket name
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",  # costs more than it saves on point reads
    "max_parallel_workers_per_gather": "0",  # parallel plans need /dev/shm, which containers keep small
    "io_method": "sync",  # no extra worker processes on a small machine
}


@dataclass(frozen=True)
class ConnectInfo:
    """Where the embedded server listens, and with which credentials."""

    host: str
    port: int
    user: str
    password: str

    def url(self, database: str = "muyun", *, driver: str | None = "psycopg") -> str:
        """SQLAlchemy address of a database; `driver=None` gives the plain libpq form."""
        scheme = "postgresql" if driver is None else f"postgresql+{driver}"
        return f"{scheme}://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True)
class Status:
    """What is known about the server process."""

    running: bool
    pid: int | None
    port: int | None
    folder: Path


class EmbeddedPostgres:
    """One embedded cluster in one folder. All methods may be called again and from several processes.

    Usable as a context manager that starts on entry and stops on exit.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, configuration: Mapping[str, str] | None = None
    ) -> None:
        """Describe a cluster; nothing is touched before `start`.

        Args:
            folder: Home of the cluster, `<home>/postgres`.
            port: TCP port; None takes a free one and keeps it while it stays free.
            configuration: Server parameters that replace the shipped ones.
        """
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._port = port
        self._configuration = {**_CONFIGURATION, **(configuration or {})}

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, databases: Sequence[str] = DEFAULT_DATABASES) -> ConnectInfo:
        """Make the cluster if needed, start it if needed, and make the databases.

        Args:
            databases: Databases that must exist afterwards.

        Returns:
            The address of the running server.

        Raises:
            PortTakenError: An explicitly asked port belongs to another program.
            DataFolderError: The folder is not writable, or holds another PostgreSQL version.
            EmbeddedPostgresError: The server did not come up; the message ends with its log.
        """
        run_as = server_user()
        self._prepare_folder(run_as)
        with self._lock():
            if not (self.data / "PG_VERSION").exists():
                self._create_cluster(run_as)
            self._check_version()
            if not self._is_ready():
                self._launch(run_as)
            info = self.connect_info()
            if self._port is not None and info.port != self._port:
                raise EmbeddedPostgresError(
                    f"the embedded PostgreSQL in {self.folder} already runs on port {info.port}, "
                    f"not on {self._port}: stop it first, or drop MUYUN_POSTGRES_PORT"
                )
        for database in databases:
            ensure_database(info.url("postgres"), database)
        return info

    def stop(self) -> bool:
        """Stop the server if it runs.

        Returns:
            True when a running server was stopped.

        Raises:
            EmbeddedPostgresError: The server does not end within a minute.
        """
        if not self.data.exists():
            return False
        with self._lock():
            if self._postmaster() is None:
                return False
            run_as = server_user()
            for mode in ("fast", "immediate"):
                command = ("stop", "-D", str(self.data), "-m", mode, "-w", "-t", "30")
                if (
                    run_program("pg_ctl", command, run_as, self.folder).returncode == 0
                    or self._postmaster() is None
                ):
                    return True
            raise EmbeddedPostgresError(f"the PostgreSQL in {self.folder} does not stop; see {self.log}")

    def keep(self, *, running: bool) -> None:
        """Say whether the server outlives its users: one that was started by hand does."""
        mark = self.folder / "kept"
        if running:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def is_kept(self) -> bool:
        """Whether the server was started by hand, to be stopped by hand."""
        return (self.folder / "kept").exists()

    def status(self) -> Status:
        """Whether the server runs, and where. Never starts anything."""
        found = self._postmaster()
        if found is None:
            return Status(running=False, pid=None, port=None, folder=self.folder)
        pid, lines = found
        port = int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None
        return Status(running=True, pid=pid, port=port, folder=self.folder)

    def connect_info(self) -> ConnectInfo:
        """The address of the running server.

        Raises:
            EmbeddedPostgresError: The server does not run.
        """
        status = self.status()
        if status.port is None:
            raise EmbeddedPostgresError(
                f"the embedded PostgreSQL in {self.folder} does not run: "
                "start it with `python -m serving.db.embedded start`"
            )
        password = (self.folder / "password").read_text().strip()
        return ConnectInfo(HOST, status.port, SUPERUSER, password)

    def ensure_database(self, name: str) -> str:
        """Make a database if needed and return its SQLAlchemy address."""
        info = self.connect_info()
        ensure_database(info.url("postgres"), name)
        return info.url(name)

    def _prepare_folder(self, run_as: RunAs) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            owner = self.data.stat().st_uid if self.data.exists() else run_as.uid
            if owner != run_as.uid:
                raise DataFolderError(
                    f"the data folder {self.data} belongs to user id {owner}, but PostgreSQL would run as "
                    f"{run_as.name} ({run_as.uid}). Run as its owner, or move the folder away"
                )
            run_as.own(self.folder)
            self.folder.chmod(0o700)
            (self.folder / "lock").touch()
            if self._port is not None and self._postmaster() is None and not is_free(self._port):
                raise _port_taken(self._port)
        except OSError as error:
            raise DataFolderError(
                f"the data folder {self.folder} is not writable ({error.strerror}): "
                "give this user the folder, or set MUYUN_HOME to another one"
            ) from error

    def _create_cluster(self, run_as: RunAs) -> None:
        """Run initdb beside the final place and rename, so that a killed initdb leaves nothing half made."""
        if self.data.exists():
            raise DataFolderError(f"{self.data} exists but is not a PostgreSQL cluster: move it away")
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        run_as.own(password)
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        arguments = (
            *("-D", str(fresh), "-U", SUPERUSER, "--pwfile", str(password), "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        made = run_program("initdb", arguments, run_as, self.folder)
        if made.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed in {self.folder}: {tail(made.output)}")
        with (fresh / "postgresql.conf").open("a") as file:
            file.write("include 'muyun.conf'\n")
        fresh.rename(self.data)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise DataFolderError(
                f"{self.data} was made by PostgreSQL {found}, but the bundled server is {MAJOR_VERSION}: "
                "dump it with the old version and load it here, or move the folder away"
            )

    def _launch(self, run_as: RunAs) -> None:
        self._drop_stale_pid_file()
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        output = ""
        for attempt in range(_START_TRIES):
            port = self._choose_port(fresh=attempt > 0)
            self._write_configuration(port, run_as)
            offset = self.log.stat().st_size if self.log.exists() else 0
            command = ("start", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "60")
            started = run_program("pg_ctl", command, run_as, self.folder)
            if started.returncode == 0:
                (self.folder / "endpoint.json").write_text(json.dumps({"host": HOST, "port": port}) + "\n")
                return
            output = self._log_from(offset) or started.output
            if "shared memory block" in output:
                # Children of a killed server need a moment to notice that their parent is gone.
                time.sleep(0.5)
            elif "Address already in use" not in output:
                break
            elif self._port is not None:
                raise _port_taken(self._port)
        raise EmbeddedPostgresError(f"PostgreSQL did not start in {self.folder}: {tail(output)}")

    def _log_from(self, offset: int) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace").strip()

    def _choose_port(self, *, fresh: bool) -> int:
        if self._port is not None:
            if not is_free(self._port):
                raise _port_taken(self._port)
            return self._port
        record = self.folder / "endpoint.json"
        if record.exists() and not fresh:
            try:
                port = int(json.loads(record.read_text())["port"])
            except (ValueError, KeyError, TypeError):
                port = 0  # a torn record only costs the old port
            if port and is_free(port):
                return port
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    def _write_configuration(self, port: int, run_as: RunAs) -> None:
        lines = [
            f"{name} = '{value}'\n" for name, value in {**self._configuration, "port": str(port)}.items()
        ]
        path = self.data / "muyun.conf"
        path.write_text("# Written at every start; change postgresql.auto.conf instead.\n" + "".join(lines))
        run_as.own(path)

    def _postmaster(self) -> tuple[int, list[str]] | None:
        """Process id and lines of `postmaster.pid`, or None when no server of this folder lives."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        return (pid, lines) if serves(pid, self.data) else None

    def _is_ready(self) -> bool:
        """Wait for a starting or stopping server, then say whether it takes connections."""
        deadline = time.monotonic() + 60
        while (found := self._postmaster()) is not None:
            if len(found[1]) > 7 and found[1][7].strip() == "ready" and self._answers():
                return True
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL in {self.folder} is stuck; see {self.log}")
            time.sleep(0.05)
        return False

    def _answers(self) -> bool:
        """Whether a server that calls itself ready takes connections; one that is being killed does not."""
        try:
            psycopg.connect(self.connect_info().url("postgres", driver=None), connect_timeout=5).close()
        except EmbeddedPostgresError:
            return False
        except psycopg.OperationalError as error:
            # The driver has no error codes for a refused connection, only the server's text.
            if "password authentication failed" in str(error):
                raise EmbeddedPostgresError(
                    f"{self.folder / 'password'} is not the password of the running server: restore the "
                    "file, or stop the server and move the folder away"
                ) from error
            return "too many clients" in str(error)
        return True

    def _drop_stale_pid_file(self) -> None:
        """Remove the mark of a dead server.

        PostgreSQL would refuse to start if the process id meanwhile belongs to another program of the same
        user, which is common in containers.
        """
        if self._postmaster() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _port_taken(port: int) -> PortTakenError:
    return PortTakenError(
        f"port {port} on {HOST} is taken by another program: set MUYUN_POSTGRES_PORT to a free port, "
        "or leave it unset to let one be chosen"
    )


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The embedded cluster that the settings describe."""
    return EmbeddedPostgres(settings.home / "postgres", port=settings.postgres_port)


if __name__ == "__main__":
    from serving.db.embedded_command import main

    raise SystemExit(main())
