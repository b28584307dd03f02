"""What the command line says, in English and Chinese: one catalogue a language, every text in both."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from pipelines.console.language import LANGUAGES, Language, language_of

__all__ = ["LANGUAGES", "Language", "Texts", "catalogue", "language_of"]


@cache
def catalogue(language: Language) -> dict[str, str]:
    """Every text of a language by key, with `{placeholders}`."""
    document = yaml.safe_load(Path(__file__).with_name(f"{language}.yaml").read_text(encoding="utf-8"))
    return {f"{group}.{name}": text for group, texts in document.items() for name, text in texts.items()}


class Texts:
    """The texts of one language; call it with a key and the values of its placeholders.

    >>> Texts("en")("progress.unchanged")
    'unchanged'
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """A text with its values put in."""
        return self._texts[key].format(**values)

    def group(self, name: str) -> dict[str, str]:
        """The texts of a group by their names inside it, placeholders and all."""
        begin = f"{name}."
        return {key.removeprefix(begin): text for key, text in self._texts.items() if key.startswith(begin)}
