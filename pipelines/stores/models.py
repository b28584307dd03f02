"""The MLflow store and the folder in which a training works."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.store.store_files import champion_bundle_dir, champion_mark, newest_bundles

if TYPE_CHECKING:
    from models.store.tracking import Tracker


class ModelStore:
    """Registered models of one installation.

    Args:
        folder: The MLflow store.
        work: Below it a training writes its bundles before they are registered.
        trains_apart: Whether a training has a process of its own.
    """

    def __init__(self, folder: Path, work: Path, *, trains_apart: bool = False) -> None:
        self._folder = folder
        self._work = work
        self.trains_apart = trains_apart
        self._opening = threading.Lock()
        self._tracker: Tracker | None = None

    def champions(self, names: Sequence[str]) -> dict[str, str | None]:
        """What tells each model's champion from every other; None where the simple rule serves."""
        return {name: champion_mark(self._folder, name) for name in names}

    def champion_dir(self, name: str) -> Path | None:
        """Folder of the champion's bundle; None where the simple rule serves. Quick: MLflow is not opened."""
        return champion_bundle_dir(self._folder, name)

    def bundles(self, names: Sequence[str]) -> list[Path]:
        """Folder of the newest version of each model, as far as the store still knows one."""
        return newest_bundles(self._folder, names)

    @property
    def tracker(self) -> Tracker:
        """The registry, opened once for all steps; importing MLflow takes seconds, so only some steps ask."""
        with self._opening:
            if self._tracker is None:
                from models.store import tracking

                tracking.silence()
                self._tracker = tracking.Tracker(self._folder)
            return self._tracker

    def work_dir(self, family: str) -> Path:
        """An empty folder for the bundles that a training writes before they are registered."""
        folder = self._work / family
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def checkpoints_dir(self, family: str) -> Path:
        """Where a training that is killed leaves what the next one goes on from."""
        return self._work / "checkpoints" / family

    def forget_checkpoints(self, family: str) -> None:
        """Remove what killed trainings of a family left."""
        shutil.rmtree(self.checkpoints_dir(family), ignore_errors=True)
