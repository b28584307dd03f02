"""Writes the catalogue: entries through the template, the file by atomic rename."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.lake.tables import atomic_path
from pipelines.report.catalogue.entries import Entry, all_entries
from pipelines.report.catalogue.values import CROWD, in_words
from pipelines.report.formats import percent
from pipelines.report.language import in_language
from pipelines.report.templating import template
from pipelines.settings import Settings


def write_catalogue(settings: Settings) -> Path:
    """Write the page of all tags.

    Args:
        settings: The installation's settings; says where tables lie and where the page goes.

    Returns:
        The written file, `Settings.catalogue_file`.

    Raises:
        LakeError: The disk is full or the folder cannot be written.
    """
    entries = all_entries(settings)
    text = template("catalogue/catalogue.html").render(
        entries=[_shown(entry) for entry in entries],
        filters=_filters(entries),
        crowd=CROWD,
    )
    settings.catalogue_file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(settings.catalogue_file) as temporary:
        temporary.write_text(in_language(text, settings.lang), encoding="utf-8")
    return settings.catalogue_file


def _shown(entry: Entry) -> dict[str, Any]:
    """An entry as the template lays it out."""
    tag, definition, null_share = entry.tag, entry.definition, entry.values.null_share
    over = f"  -- over {definition.over}" if definition.over else ""
    where = f" where {definition.where}" if definition.where else ""
    return {
        "name": tag.name,
        "description": tag.description,
        "entity": entry.entity,
        "group": tag.group,
        "type": tag.type.value,
        "unit": tag.unit,
        "window": tag.window,
        "owner": tag.owner,
        "null_rule": tag.null_rule,
        "valid": entry.valid,
        "refresh": tag.refresh.value,
        "privacy": tag.privacy,
        "consent": tag.consent,
        "origin": entry.origin,
        "sources": ", ".join(entry.sources),
        "definition": f"{definition.expression}{over}{where}",
        "compares": definition.compares,
        "status": entry.status,
        "as_of": _moment(entry) if entry.as_of is not None else "",
        "filled": 0.0 if null_share is None else 100 * (1 - null_share),
        "null_share": "" if null_share is None else percent(null_share),
        "distribution": in_words(entry.values),
        "is_hidden": bool(entry.values.hidden),
        "are_quantiles": bool(entry.values.quantiles),
        "example": entry.values.example,
        "search": " ".join(
            (tag.name, tag.name.replace("_", " "), tag.description, tag.group, *entry.sources, tag.owner)
        ).lower(),
    }


def _moment(entry: Entry) -> str:
    return f"{entry.as_of:%Y-%m-%d %H:%M} UTC" if entry.as_of is not None else ""


def _filters(entries: Iterable[Entry]) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """Attribute, label and values with their counts, of each choice above the list."""
    listed = list(entries)
    choices = (
        ("entity", "Entity", lambda e: e.entity),
        ("group", "Group", lambda e: e.tag.group),
        ("type", "Type", lambda e: e.tag.type.value),
        ("refresh", "Refreshed", lambda e: e.tag.refresh.value),
        ("privacy", "Privacy", lambda e: e.tag.privacy),
        ("consent", "Purpose", lambda e: e.tag.consent),
        ("origin", "Origin", lambda e: e.origin),
        ("status", "Status", lambda e: e.status),
    )
    return [(name, label, list(Counter(map(of, listed)).items())) for name, label, of in choices]
