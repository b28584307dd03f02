"""Which system user runs the embedded PostgreSQL, and what that user may reach.

PostgreSQL refuses to run as root. Started by root, it runs as the system user `pgserver`, which is made
when missing; started by anybody else, it runs as that user. No server is started here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import EmbeddedPostgresError

SYSTEM_USER = "pgserver"


@dataclass(frozen=True)
class RunAs:
    """The user that runs the server.

    Attributes:
        uid: User id of the server process.
        gid: Group id of the server process.
        name: User name, for messages.
        switches: True when we are root and must change the user of every server command.
    """

    uid: int
    gid: int
    name: str
    switches: bool

    def subprocess_arguments(self) -> dict[str, Any]:
        """Arguments for `subprocess.run` that change the user, if it must change."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switches else {}

    def own(self, path: Path) -> None:
        """Hand a file or folder to the server's user."""
        if self.switches:
            os.chown(path, self.uid, self.gid)


def server_user() -> RunAs:
    """The user for the server; makes the system user when root asks for the first time.

    Raises:
        EmbeddedPostgresError: Root asks and the system user cannot be made.
    """
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
        return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name, switches=False)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _make_system_user()
    return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name, switches=True)


def _make_system_user() -> pwd.struct_passwd:
    command = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    failure = "useradd is not installed"
    if command is not None:
        made = subprocess.run(
            [command, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            capture_output=True,
            text=True,
        )
        failure = made.stderr.strip()
    try:
        # Two processes may have asked at once: only the presence of the user counts.
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root and the system user {SYSTEM_USER!r} cannot be made "
            f"({failure}). Run as an ordinary user, or set MUYUN_DATABASE_URL to a server"
        ) from None


def let_through(path: Path, run_as: RunAs) -> None:
    """Let the server's user pass (not list) the folders above `path`.

    Only root needs it, and only folders that nobody else may pass are touched: they gain `o+x`.
    """
    if not run_as.switches:
        return
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH and folder.stat().st_uid != run_as.uid:
            folder.chmod(mode | stat.S_IXOTH)
