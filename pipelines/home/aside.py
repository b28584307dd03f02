"""Setting the state of a home aside, whole, so that another source may start from nothing."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from pipelines.home.lock import UI, WORK, HomeBusyError, home_lock
from pipelines.settings import Settings
from serving.db import users
from serving.db.embedded import embedded_postgres
from serving.settings import Settings as ServingSettings

FOLDER = "aside"


def set_aside(settings: Settings) -> Path | None:
    """Move everything in the home into a folder of its own, which is a whole home itself.

    Returns:
        That folder; None when the home holds nothing.

    Raises:
        HomeBusyError: A run, the user interface or another process works in the home.
    """
    home = settings.home
    stays = {WORK, UI, FOLDER}
    if not home.is_dir() or not any(path.name not in stays for path in home.iterdir()):
        return None
    with ExitStack() as stack:
        for name in (UI, WORK):
            stack.enter_context(home_lock(home, "muyun forget-source", name=name, wait=False))
        cluster = embedded_postgres(ServingSettings())
        users.leave(cluster)
        if cluster.status().running:
            raise HomeBusyError(
                f"the PostgreSQL in {cluster.folder} is in use: stop what uses it, or "
                "`python -m serving.db.embedded stop` if it was started by hand"
            )
        place = home / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        place.mkdir(parents=True)
        for path in sorted(home.iterdir(), key=lambda path: path.name == "muyun.toml"):
            if path.name not in stays:
                path.rename(place / path.name)
        _point_back(place, home)
        return place


def _point_back(place: Path, home: Path) -> None:
    """Keep the way to a folder that was written relative to the home."""
    from serving.home_record import read_record, write_record

    record = read_record(place)
    if record is not None and record.folder_as_given is not None:
        data = record.data(home)
        write_record(place, record.with_source(place, data, {}))
