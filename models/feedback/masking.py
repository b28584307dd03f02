"""What names a person in a text, made unreadable before the text is shown as an example."""

from __future__ import annotations

import re

_HIDDEN = "＊"
_GAP = r"[ .\-·－—–_/、]{0,2}"
"""What may stand between digits of one number, whoever writes it so that no machine reads it."""
_HAN = r"[\u4e00-\u9fff]"
_PATTERNS = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE),
    # Telephone numbers, identity cards, order and parcel numbers: five digits or more, however grouped.
    re.compile(rf"[A-Za-z]{{0,4}}\d(?:{_GAP}\d){{4,}}[Xx]?"),
    # The same in words: 一三八零零一三八零零零.
    re.compile(
        rf"[零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖](?:{_GAP}[零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖]){{6,}}"
    ),
    re.compile(
        r"(?:微信号?|威信|薇信|加v|vx|wx|wechat|weixin|q{2})\s*(?:[:：是]|号是?)?\s*[A-Za-z0-9_-]{3,}",
        re.IGNORECASE,
    ),
    # Streets and doors.
    re.compile(rf"{_HAN}{{2,8}}(?:路|街|巷|弄|大道)\s*\d+\s*号?(?:\s*\d+\s*(?:号楼|栋|幢|单元|室|楼))*"),
    re.compile(r"\d+\s*(?:号楼|栋|幢|单元|室)(?:\s*\d+\s*(?:单元|室|楼))*"),
    # Somebody by name: 联系人张三, 我叫李小明, 收货人：王芳.
    re.compile(
        rf"(?<=我叫){_HAN}{{2,3}}|(?<=(?:联系人|收货人|收件人))\s*[:：是]?\s*{_HAN}{{2,3}}|(?<=姓名)\s*[:：是]\s*{_HAN}{{2,3}}"
    ),
    re.compile(rf"{_HAN}{{1,2}}(?:先生|女士|小姐)"),
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
