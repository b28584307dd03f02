"""Writes the report: evidence to sections, sections through the template, the file by atomic rename."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.lake.tables import atomic_path
from pipelines.report.catalogue import write_catalogue
from pipelines.report.evidence import gather
from pipelines.report.language import in_language
from pipelines.report.origins import MEANING
from pipelines.report.sections import all_sections
from pipelines.report.templating import template
from pipelines.settings import Settings


def write_report(settings: Settings, summary: dict[str, Any]) -> Path:
    """Write the report of a run, and the page of all tags that it links to.

    Args:
        settings: The installation's settings; says where the run left its results and where the report goes.
        summary: As `pipelines.run.summary.summarize` makes it. Parts may be missing; `api` entries may carry
            `body`.

    Returns:
        The written file, `Settings.report_file`.

    Raises:
        LakeError: The disk is full or the folder cannot be written.
    """
    write_catalogue(settings)
    evidence = gather(settings, summary)
    text = template("template.html").render(
        sections=all_sections(evidence), meaning=MEANING, title="Muyun: what the run made of the data"
    )
    with atomic_path(settings.report_file) as temporary:
        temporary.write_text(in_language(text, settings.lang), encoding="utf-8")
    return settings.report_file
