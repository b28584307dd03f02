"""The rendered report in another language: its texts by a catalogue of the English ones.

Sections write English. Translating what was rendered keeps them free of keys, and a text that nobody
translated stays readable. Names of tables, models, metrics and steps are not texts and stay.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

import yaml

from pipelines.messages import Language

_SKIPPED = re.compile(r"(<style.*?</style>|<script.*?</script>|<code>.*?</code>)", re.DOTALL)
_TEXT = re.compile(r">([^<>]+)<")
_LABEL = re.compile(r'(aria-label|title)="([^"]+)"')
_HOLE = re.compile(r"\{(\w+)\}")
_NAMED = re.compile(r"(\w+): (.+)", re.DOTALL)
_CUT = "…"
_WORD = re.compile(r"[A-Za-z]{2}")


class Translator:
    """Texts of the report in one language.

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

    def page(self, rendered: str) -> str:
        """A rendered page with its texts, labels and titles translated."""
        parts = _SKIPPED.split(rendered)
        return "".join(part if _SKIPPED.fullmatch(part) else self._part(part) for part in parts)

    def _part(self, markup: str) -> str:
        # A text that stands at the end of a part goes on to the next tag, which the split took away.
        def between(found: re.Match[str]) -> str:
            return f">{self._kept(found[1])}<"

        inner = _TEXT.sub(between, f">{markup}<")[1:-1]
        return _LABEL.sub(lambda found: f'{found[1]}="{self._kept(found[2])}"', inner)

    def _kept(self, markup: str) -> str:
        """A text between tags with its white space and entities as they were."""
        text = html.unescape(markup)
        english = text.strip()
        other = self.text(english) if english else english
        return markup if other == english else html.escape(text.replace(english, other))


def _escaped(text: str) -> str:
    """A text as a pattern that still has its holes."""
    return "".join(
        piece if _HOLE.fullmatch(piece) else re.escape(piece) for piece in re.split(r"(\{\w+\})", text)
    )


@cache
def catalogue(language: Language) -> dict[str, str]:
    """English text to translation; empty for English."""
    if language == "en":
        return {}
    document = yaml.safe_load(Path(__file__).with_name(f"{language}.yaml").read_text(encoding="utf-8"))
    return dict(document)


def in_language(rendered: str, language: Language) -> str:
    """A rendered report in a language."""
    if language == "en":
        return rendered
    page = Translator(catalogue(language)).page(rendered)
    return page.replace('<html lang="en">', '<html lang="zh-CN">', 1)
