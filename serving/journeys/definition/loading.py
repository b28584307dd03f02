"""From a journey's document (YAML or a mapping) to a `Journey`, or to a refusal with every reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from serving.journeys.definition.steps import Journey
from serving.journeys.errors import JourneyRefusedError, Refusal


def load(document: str | Mapping[str, Any]) -> Journey:
    """A journey of a good shape.

    Args:
        document: YAML text or its mapping.

    Raises:
        JourneyRefusedError: It cannot be read, or its shape is wrong; with every reason.
    """
    raw = _read(document) if isinstance(document, str) else dict(document)
    try:
        return Journey.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        reasons = [
            Refusal("shape", None, f"{'.'.join(map(str, found['loc']))}: {found['msg']}")
            for found in error.errors(include_url=False, include_context=False)
        ]
        raise JourneyRefusedError(str(raw.get("journey_id", "(unnamed)")), reasons) from error


def digest(journey: Journey) -> str:
    """sha256 of the canonical document."""
    text = json.dumps(journey.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shipped() -> dict[str, str]:
    """YAML texts of the journeys that come with the product, by id."""
    folder = files("serving.journeys.definition").joinpath("shipped")
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in sorted(found, key=lambda one: one.name)
    }


def _read(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise JourneyRefusedError(
            "(unread)", [Refusal("not_yaml", None, f"it cannot be read: {error}")]
        ) from error
    if not isinstance(document, dict):
        raise JourneyRefusedError(
            "(unread)", [Refusal("not_yaml", None, "it is no mapping of keys to values")]
        )
    return document
