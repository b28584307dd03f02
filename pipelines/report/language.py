"""The rendered report in another language: texts, labels and titles by a catalogue of the English ones."""

from __future__ import annotations

import html
import re
from pathlib import Path

from pipelines.messages import Language
from pipelines.messages.by_text import Translator, translator

CATALOGUE = Path(__file__).with_name("zh.yaml")

_SKIPPED = re.compile(r"(<style.*?</style>|<script.*?</script>|<code>.*?</code>)", re.DOTALL)
_TEXT = re.compile(r">([^<>]+)<")
_LABEL = re.compile(r'(aria-label|title)="([^"]+)"')


def in_language(rendered: str, language: Language) -> str:
    """A rendered report in a language."""
    if language == "en":
        return rendered
    page = translated(rendered, translator(CATALOGUE, language))
    return page.replace('<html lang="en">', '<html lang="zh-CN">', 1)


def translated(rendered: str, texts: Translator) -> str:
    """A rendered page with its texts, labels and titles translated; code, styles and scripts stay."""
    parts = _SKIPPED.split(rendered)
    return "".join(part if _SKIPPED.fullmatch(part) else _part(part, texts) for part in parts)


def _part(markup: str, texts: Translator) -> str:
    # A text that stands at the end of a part goes on to the next tag, which the split took away.
    inner = _TEXT.sub(lambda found: f">{_kept(found[1], texts)}<", f">{markup}<")[1:-1]
    return _LABEL.sub(lambda found: f'{found[1]}="{_kept(found[2], texts)}"', inner)


def _kept(markup: str, texts: Translator) -> str:
    """A text between tags with its white space as it was."""
    text = html.unescape(markup)
    english = text.strip()
    other = texts.text(english) if english else english
    return markup if other == english else html.escape(text.replace(english, other))
