"""Errors and problems in the language of the command line, by their English text."""

from __future__ import annotations

from pathlib import Path

from pipelines.messages import Language
from pipelines.messages.by_text import translator

CATALOGUE = Path(__file__).with_name("errors.zh.yaml")


def in_words(english: str, language: Language) -> str:
    """An error in a language; a text that nobody translated stays English."""
    return translator(CATALOGUE, language).text(english)
