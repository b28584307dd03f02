"""The MLflow store and the folder in which a training works."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.tracking import Tracker


class ModelStore:
    """Registered models of one installation.

    Args:
        folder: The MLflow store.
        work: Below it a training writes its bundles before they are registered.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self._folder = folder
        self._work = work

    @cached_property
    def tracker(self) -> Tracker:
        """The registry; importing MLflow takes seconds, so only steps that need it ask."""
        from models import tracking

        tracking.silence()
        return tracking.Tracker(self._folder)

    def work_dir(self, family: str) -> Path:
        """An empty folder for the bundles that a training writes before they are registered."""
        folder = self._work / family
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
