"""What names a person in a text, made unreadable before the text is shown as an example."""

from __future__ import annotations

import re

_HIDDEN = "＊"
_PATTERNS = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE),
    # Telephone numbers, identity cards, order and parcel numbers: five digits or more, however grouped.
    re.compile(r"[A-Za-z]{0,4}\d(?:[ \-]?\d){4,}[Xx]?"),
    re.compile(r"(?:微信|微信号|vx|VX|wx|QQ|qq)\s*[:：]?\s*[A-Za-z0-9_-]{3,}"),
    # Streets and doors.
    re.compile(
        r"[\u4e00-\u9fff]{2,8}(?:路|街|巷|弄|大道)\s*\d+\s*号?(?:\s*\d+\s*(?:号楼|栋|幢|单元|室|楼))*"
    ),
    re.compile(r"\d+\s*(?:号楼|栋|幢|单元|室)(?:\s*\d+\s*(?:单元|室|楼))*"),
    # Somebody by name: 联系人张三, 我叫李小明.
    re.compile(r"(?<=我叫)[\u4e00-\u9fff]{2,3}|(?<=联系人)[:：]?[\u4e00-\u9fff]{2,3}"),
)


def masked(text: str) -> str:
    """The text without what looks like an address, a number of a person, an account or a name.

    >>> masked("打我电话 138 0013 8000，住人民路12号3栋502室")
    '打我电话 ＊，＊'
    >>> masked("苹果坏了3个，很失望")
    '苹果坏了3个，很失望'
    """
    for pattern in _PATTERNS:
        text = pattern.sub(_HIDDEN, text)
    return text
