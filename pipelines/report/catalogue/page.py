"""Writes the catalogue: entries through the template, the file by atomic rename."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_store.registry import CONSUMER
from pipelines.lake.tables import atomic_path
from pipelines.report.catalogue.entries import Entry, PredictedEntry, all_entries, predicted_entries
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
    shown = [
        *(_shown(entry) for entry in all_entries(settings)),
        *(_shown_prediction(entry) for entry in predicted_entries(settings)),
    ]
    text = template("catalogue/catalogue.html").render(
        entries=shown,
        filters=_filters(shown),
        crowd=CROWD,
    )
    settings.catalogue_file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(settings.catalogue_file) as temporary:
        temporary.write_text(in_language(text, settings.lang), encoding="utf-8")
    return settings.catalogue_file


def _shown(entry: Entry) -> dict[str, Any]:
    """An entry as the template lays it out."""
    tag, definition = entry.tag, entry.definition
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
        **_told(entry),
        "search": " ".join(
            (tag.name, tag.name.replace("_", " "), tag.description, tag.group, *entry.sources, tag.owner)
        ).lower(),
    }


def _shown_prediction(entry: PredictedEntry) -> dict[str, Any]:
    """The same of a tag that a model says."""
    tag = entry.tag
    return {
        "name": tag.name,
        "description": tag.description,
        "entity": CONSUMER,
        "group": "predicted",
        "type": tag.type.value,
        "unit": tag.unit,
        "window": "-",
        "owner": tag.owner,
        "null_rule": "null",
        "valid": tag.valid,
        "refresh": tag.field.refresh.value,
        "privacy": tag.privacy,
        "consent": tag.field.consent,
        "origin": "predicted",
        "sources": tag.model,
        "definition": f"said by the champion of {tag.model}",
        "compares": False,
        **_told(entry),
        "search": " ".join(
            (tag.name, tag.name.replace("_", " "), tag.description, "predicted", tag.model)
        ).lower(),
    }


def _told(entry: Entry | PredictedEntry) -> dict[str, Any]:
    """What the home has of a tag now."""
    values, null_share = entry.values, entry.values.null_share
    return {
        "status": entry.status,
        "as_of": f"{entry.as_of:%Y-%m-%d %H:%M} UTC" if entry.as_of is not None else "",
        "filled": 0.0 if null_share is None else 100 * (1 - null_share),
        "null_share": "" if null_share is None else percent(null_share),
        "distribution": in_words(values),
        "is_hidden": bool(values.hidden),
        "are_quantiles": bool(values.quantiles),
        "example": values.example,
    }


_FILTERS = (
    ("entity", "Entity"),
    ("group", "Group"),
    ("type", "Type"),
    ("refresh", "Refreshed"),
    ("privacy", "Privacy"),
    ("consent", "Purpose"),
    ("origin", "Origin"),
    ("status", "Status"),
)


def _filters(shown: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """Attribute, label and values with their counts, of each choice above the list."""
    return [(name, label, list(Counter(one[name] for one in shown).items())) for name, label in _FILTERS]
