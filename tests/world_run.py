"""Runs the `muyun` command on the tiny world in processes of its own, as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_world import AS_OF, REPLAY_DAYS

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Installation:
    """A run folder and the feeds it reads.

    Attributes:
        home: `MUYUN_HOME`.
        data: `MUYUN_DATA`.
        overrides: Further environment variables of its processes.
    """

    home: Path
    data: Path
    overrides: dict[str, str] = field(default_factory=dict)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a new process: ours without any setting, then the installation's."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MUYUN_", "DAGSTER_", "PYTEST_", "DBT_"))
        }
        return (
            inherited
            | {
                "MUYUN_HOME": str(self.home),
                "MUYUN_DATA": str(self.data),
                "MUYUN_AS_OF": AS_OF.isoformat(),
                "MUYUN_REPLAY_DAYS": str(REPLAY_DAYS),
                "PYTHONPATH": str(REPOSITORY),
                "MUYUN_PROGRESS_BEGINS": "true",  # tests wait for a step, or see that none began
                "MUYUN_LANG": "en",
            }
            | self.overrides
            | dict(more or {})
        )

    def run(
        self, command: str = "run", more: Mapping[str, str] | None = None, timeout_s: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """`muyun <command>` to its end."""
        return self.python(["-m", "pipelines.cli", *command.split()], more, timeout_s)

    def python(
        self, arguments: list[str], more: Mapping[str, str] | None = None, timeout_s: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """A Python process of this installation to its end."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=self.environment(more),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run_and_kill_at(self, announcement: str, delay_s: float = 0.0) -> str:
        """`muyun run`, killed with its children by SIGKILL when it announces a step; returns what it said."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "run"],
            cwd=REPOSITORY,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = []
        for line in process.stderr or ():
            said.append(line)
            if f"{announcement} ..." in line:
                time.sleep(delay_s)
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.wait()
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(
                f"the run ended with {process.returncode} before {announcement}:\n{''.join(said)}"
            )
        return "".join(said)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Address of the serving database, started if need be; from then on no run of ours stops it."""
        from serving.db import users
        from serving.db.embedded import EmbeddedPostgres

        cluster = EmbeddedPostgres(self.home / "postgres")
        url = cluster.start().url("muyun")
        users.join(cluster)
        yield url

    def stop_database(self) -> None:
        """Stop the embedded server; it outlives the run that started it when that was killed."""
        from serving.db import users
        from serving.db.embedded import EmbeddedPostgres

        cluster = EmbeddedPostgres(self.home / "postgres")
        users.leave(cluster)
        cluster.stop()

    def summary(self) -> dict[str, Any]:
        """`run_summary.json`."""
        found: dict[str, Any] = json.loads((self.home / "run_summary.json").read_text())
        return found

    def manifests(self) -> dict[str, dict[str, Any]]:
        """The published versions in the lake by name."""
        return {
            path.parent.name: json.loads(path.read_text())
            for path in (self.home / "lake" / "published").glob("*/manifest.json")
        }


def explain(done: subprocess.CompletedProcess[str]) -> str:
    """What a process said, for the message of a failed assertion."""
    return f"exit {done.returncode}\n--- out\n{done.stdout[-3000:]}\n--- err\n{done.stderr[-3000:]}"


@dataclass(frozen=True)
class FirstRun:
    """What the first run said and left.

    Attributes:
        done: The finished process.
        summary: `run_summary.json`.
        manifests: Versions in the lake.
        files: Every file below the run folder but the database's, with its size.
    """

    done: subprocess.CompletedProcess[str]
    summary: dict[str, Any]
    manifests: dict[str, dict[str, Any]]
    files: dict[str, int]

    @classmethod
    def of(cls, installation: Installation) -> FirstRun:
        """Run it.

        Raises:
            RuntimeError: The run did not end with 0; the message carries what it said.
        """
        done = installation.run()
        if done.returncode != 0:
            raise RuntimeError(explain(done))
        home = installation.home
        return cls(
            done,
            installation.summary(),
            installation.manifests(),
            {
                str(path.relative_to(home)): path.stat().st_size
                for path in home.rglob("*")
                if path.is_file() and path.relative_to(home).parts[0] != "postgres"
            },
        )
