"""The two commands on a folder of files, `check-data` and `template`; neither needs a home or a database."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from pipelines.check_data.check import check
from pipelines.check_data.screen import as_json, as_text
from pipelines.console.template import write_template
from pipelines.limits.document import load_limits
from pipelines.messages import Texts
from pipelines.settings import OWN_CURRENCY, OWN_ZONE, Settings, fixed_zone
from pipelines.sources.contract import SourceError


def on_files(options: argparse.Namespace, settings: Settings) -> tuple[str, int]:
    """Runs one of the two commands.

    Returns:
        What to print, and the exit status: 0 when it was done and, for a check, when a run would work.

    Raises:
        SourceError: No folder is named, it does not exist, or the example's folder is not empty.
    """
    texts = Texts(settings.lang)
    if options.command == "template":
        written = write_template(Path(options.folder))
        return "\n".join([*map(str, written), texts("check.next", folder=options.folder)]), 0
    folder = Path(options.folder) if options.folder else settings.data
    if folder is None:
        raise SourceError("name the folder of your files: make check-data DATA=folder")
    offset = settings.utc_offset_hours
    found = check(
        folder.absolute(),
        feeds=settings.feeds_dir,
        as_of=settings.as_of or datetime.now(UTC),
        default_zone=settings.time_zone or (OWN_ZONE if offset is None else fixed_zone(offset)),
        default_currency=settings.currency or OWN_CURRENCY,
        limits=load_limits(settings.home).quarantined_share,
        refused_share=settings.max_quarantined_share,
        texts=texts,
    )
    return as_json(found) if options.json else as_text(found, texts), 0 if found.works else 1
