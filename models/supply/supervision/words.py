"""Words by which a complaint calls goods counterfeit, told from those that deny it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

WORDS = (
    "假货", "仿冒", "山寨", "假冒", "高仿", "冒牌", "赝品", "盗版", "非正品", "不是正品",
    "counterfeit", "fake", "knockoff", "knock-off", "replica", "imitation", "not genuine", "not authentic",
)  # fmt: skip
"""What such complaints say."""
DENIALS = (
    "不是", "并非", "绝非", "不算", "不像", "不属于", "没有", "没发现", "未发现", "并无",
    "not", "no", "never", "isn't", "wasn't", "aren't", "isnt", "wasnt", "without",
)  # fmt: skip
"""What turns such a word around when it stands shortly before it, in the same clause."""

_CLAUSE_END = re.compile(r"[,.;:!?，。；：！？、\n]|\bbut\b|但是|可是|而是|却")
_NEAR, _FAR = 3, 12
"""Characters that may stand between a Chinese, an English denial and the word that it turns around."""
_ASKED = re.compile(r"(?:是不是|是否|会不会是)\s*$")
"""A question that is no denial: whoever asks suspects it."""


def names_a_counterfeit(text: str, words: Iterable[str] = WORDS) -> str | None:
    """The first word by which a text calls goods counterfeit; None where none does or each is denied.

    A reason code counts as its words: `fake_goods` says fake.

    Args:
        text: What was complained, of any width and case.
        words: The words.

    >>> names_a_counterfeit("收到的是假货!"), names_a_counterfeit("不是假货,只是坏了")
    ('假货', None)
    """
    told = unicodedata.normalize("NFKC", text).lower().replace("_", " ").replace("\u2019", "'")
    found = [(match.start(), word) for word in words for match in _word(word).finditer(told)]
    for start, word in sorted(found):
        if not _is_denied(told[:start]):
            return word
    return None


def _is_denied(before: str) -> bool:
    clause = _CLAUSE_END.split(before)[-1]
    if _ASKED.search(clause):
        return False
    return any(_denial(word).search(clause) for word in DENIALS)


@cache
def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z]){re.escape(word)}s?(?![a-z])" if word.isascii() else re.escape(word))


@cache
def _denial(word: str) -> re.Pattern[str]:
    if word.isascii():
        return re.compile(rf"(?<![a-z']){re.escape(word)}(?![a-z']).{{0,{_FAR}}}$")
    return re.compile(rf"{re.escape(word)}.{{0,{_NEAR}}}$")
