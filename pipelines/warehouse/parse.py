"""The manifest of the dbt project: parsed once for each content of the project. No Dagster here."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.settings import Settings
from pipelines.warehouse.files import PROJECT_DIR, dbt_environment, dbt_program, project_version


def parsed(settings: Settings) -> Path:
    """The folder with the manifest of the project as it is now.

    Raises:
        RuntimeError: dbt cannot parse the project; the message carries dbt's output.
        OSError: The disk is full.
    """
    target = settings.dbt_target_dir
    target.mkdir(parents=True, exist_ok=True)
    stamp = target / "parsed_from"
    version = project_version()
    if stamp.exists() and stamp.read_text() == version and _is_whole(target / "manifest.json"):
        return target
    done = subprocess.run(
        [
            *(dbt_program(), "parse", "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
            *("--target-path", str(target), "--log-path", str(target / "logs")),
        ],
        capture_output=True,
        text=True,
        env=os.environ | dbt_environment(settings, "1970-01-01T00:00:00+00:00"),
        check=False,
    )
    if os.strerror(errno.ENOSPC) in done.stdout:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    if done.returncode != 0:
        raise RuntimeError(f"dbt cannot parse {PROJECT_DIR.name}:\n{done.stdout}{done.stderr}")
    stamp.write_text(version)
    return target


@contextmanager
def parsing_beside(settings: Settings) -> Iterator[None]:
    """Parse while the block does something else; whoever needs the manifest later asks `parsed`.

    What goes wrong here is told then, where a person is told of failures.
    """

    def parse() -> None:
        with suppress(OSError, RuntimeError):
            parsed(settings)

    thread = threading.Thread(target=parse, name="dbt parse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _is_whole(manifest: Path) -> bool:
    """Whether dbt wrote its manifest to the end; a killed process or a full disk leaves a torn one."""
    try:
        return bool(json.loads(manifest.read_bytes()))
    except (FileNotFoundError, ValueError):
        return False
