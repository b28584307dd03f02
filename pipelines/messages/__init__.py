"""What the command line says, in English and Chinese: one catalogue a language, every text in both.

The language is the setting `MUYUN_LANG`, else that of the locale (`LC_ALL`, `LC_MESSAGES`, `LANG`: the first
that is set decides, Chinese when it begins with `zh`), else English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def catalogue(language: Language) -> dict[str, str]:
    """Every text of a language by key, with `{placeholders}`."""
    document = yaml.safe_load(Path(__file__).with_name(f"{language}.yaml").read_text(encoding="utf-8"))
    return {f"{group}.{name}": text for group, texts in document.items() for name, text in texts.items()}


def language_of(environment: Mapping[str, str]) -> Language:
    """The language that an environment asks for.

    >>> language_of({"MUYUN_LANG": "zh"}), language_of({"LANG": "zh_CN.UTF-8"}), language_of({})
    ('zh', 'zh', 'en')
    >>> language_of({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})
    'en'
    """
    asked = environment.get("MUYUN_LANG", "")
    if asked:
        return "zh" if asked == "zh" else "en"
    locale = next(
        (environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), ""
    )
    return "zh" if locale.lower().startswith("zh") else "en"


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
