"""Translation by the English text itself, for texts that are put together where no language is known.

The report's sections and the errors write English. A text that nobody translated stays readable, and names of
tables, models, metrics and steps are not texts and stay.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

from pipelines.messages import Language

_HOLE = re.compile(r"\{(\w+)\}")
_NAMED = re.compile(r"(\w+): (.+)", re.DOTALL)
_CUT = "…"
_WORD = re.compile(r"[A-Za-z]{2}")


class Translator:
    """Texts in one language.

    Args:
        texts: English text to translation, with the same `{holes}` in both.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self._exact = {text: other for text, other in texts.items() if not _HOLE.search(text)}
        self._patterns = [
            (re.compile(_HOLE.sub(r"(?P<\1>.+?)", _escaped(text)), re.DOTALL), other)
            for text, other in texts.items()
            if _HOLE.search(text)
        ]

    def text(self, english: str) -> str:
        """The translation of a text, or the text itself when there is none."""
        exact = self._exact.get(english)
        if exact is not None:
            return exact
        if not _WORD.search(english):
            return english
        for pattern, other in self._patterns:
            found = pattern.fullmatch(english)
            if found is not None:
                return other.format(**{name: self.text(part) for name, part in found.groupdict().items()})
        named = _NAMED.fullmatch(english)
        if named is not None:
            return f"{named[1]}: {self.text(named[2])}"
        return self._shortened(english) if english.endswith(_CUT) else english

    def _shortened(self, english: str) -> str:
        """The translation of a label that was cut to fit a drawing; the whole text decides."""
        begin = english.removesuffix(_CUT)
        whole = [text for text in self._exact if text.startswith(begin)]
        return self._exact[whole[0]] if len(whole) == 1 else english


def _escaped(text: str) -> str:
    """A text as a pattern that still has its holes."""
    return "".join(
        piece if _HOLE.fullmatch(piece) else re.escape(piece) for piece in re.split(r"(\{\w+\})", text)
    )


@cache
def translator(file: Path, language: Language) -> Translator:
    """The translator of a catalogue; for English it changes nothing.

    Args:
        file: YAML of English texts and their translations.
        language: The language; there is a catalogue for Chinese.
    """
    texts = {} if language == "en" else yaml.safe_load(file.read_text(encoding="utf-8"))
    return Translator(dict(texts))
