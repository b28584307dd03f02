"""What a run is about to do and how long it will take, said before anything slow happens."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from models.contracts import REQUIRED_TABLES
from pipelines.console import progress
from pipelines.messages import Texts
from pipelines.run.expected import (
    BYTES_A_ROW,
    OVERLAP,
    PANEL_ROWS,
    all_steps,
    last_seconds,
    run_seconds,
    step_seconds,
)
from pipelines.settings import Settings

FAMILIES = 4


@dataclass(frozen=True)
class Size:
    """What is known of the source without reading it.

    Attributes:
        files: Files of a folder; 0 for the embedded panel.
        bytes: Their size.
        rows: Rows, counted for the panel and guessed for a folder.
    """

    files: int
    bytes: int
    rows: float


def size_of(folder: Path | None) -> Size:
    """Look at the file sizes of a folder; None is the embedded panel."""
    if folder is None:
        return Size(0, 0, PANEL_ROWS)
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    return Size(len(sizes), sum(sizes), sum(sizes) / BYTES_A_ROW)


def announce_plan(settings: Settings) -> None:
    """Print the plan on standard error and prepare the time to go of the lines that follow."""
    text = Texts(settings.lang)
    size = size_of(settings.data)
    share = size.rows / PANEL_ROWS
    last = last_seconds(settings.home / "runs")
    replays = {"operations/replayed_orders", "operations/replayed_journeys"}
    names = [name for name in all_steps() if settings.days_to_replay or name not in replays]
    progress.plan({name: step_seconds(name, share, last) for name in names}, OVERLAP, text.group("progress"))
    progress.CURRENT.says_begins = settings.progress_begins
    if settings.data is None:
        lines = [text("plan.panel", rows=PANEL_ROWS)]
    else:
        megabytes = size.bytes / 2**20
        lines = [text("plan.folder", folder=settings.data, files=size.files, megabytes=megabytes)]
    time = progress.CURRENT.duration(run_seconds(names, share, last))
    lines += [
        text("plan.home", home=settings.home),
        text("plan.steps", tables=_tables(), families=FAMILIES, published=len(REQUIRED_TABLES)),
        text("plan.again" if last else "plan.first", time=time),
    ]
    sys.stderr.write("\n".join(lines) + "\n\n")
    sys.stderr.flush()


def _tables() -> int:
    from pipelines.sources.contract import TABLES

    return len(TABLES)
