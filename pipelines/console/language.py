"""The language that a person is spoken to in; apart from the texts, which no step depends on.

It is the setting `MUYUN_LANG`, else that of the locale (`LC_ALL`, `LC_MESSAGES`, `LANG`: the first that is
set decides, Chinese when it begins with `zh`), else English.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


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
