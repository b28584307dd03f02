"""What a title says: words, amounts with their unit, numbers and barcodes. Pure.

Chinese is written without blanks: every two characters that follow each other are a word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_CJK = r"\u3400-\u4dbf\u4e00-\u9fff"
_RUNS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:\.\d+)?")
_AMOUNT = re.compile(
    r"(\d+(?:\.\d+)?)\s*(kg|mg|g|ml|cl|dl|l|gb|tb|mb|mm|cm|m|inch|in|w|kw|千克|公斤|毫克|毫升|克|升|斤)(?![a-z])"
)
_ADVERTISING = re.compile(
    "官方旗舰店|旗舰店|厂家直销|包邮|正品|新款|爆款|特惠|特价|优惠|促销|限时|热卖|热销|现货|批发|"
    "free shipping|hot sale"
)
_ALONE = re.compile(r"(?<![^\W_])\d+(?:\.\d+)?(?![^\W_])")
_CODE = re.compile(r"(?<![^\W_])(?=[a-z0-9]*[a-z])(?=[a-z0-9]*\d)[a-z0-9]+(?![^\W_])")
_SHORTEST_CODE = 3
_GTIN = re.compile(r"(?<!\d)(?:\d{8}|\d{12,14})(?!\d)")
_UNITS = {
    "kg": ("g", 1e3), "千克": ("g", 1e3), "公斤": ("g", 1e3), "斤": ("g", 500.0), "g": ("g", 1.0),
    "克": ("g", 1.0),
    "mg": ("g", 1e-3), "毫克": ("g", 1e-3), "l": ("ml", 1e3), "升": ("ml", 1e3), "dl": ("ml", 100.0),
    "cl": ("ml", 10.0), "ml": ("ml", 1.0), "毫升": ("ml", 1.0), "tb": ("gb", 1e3), "gb": ("gb", 1.0),
    "mb": ("gb", 1e-3), "m": ("mm", 1e3), "cm": ("mm", 10.0), "mm": ("mm", 1.0), "inch": ("inch", 1.0),
    "in": ("inch", 1.0), "kw": ("w", 1e3), "w": ("w", 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Title:
    """What a title says.

    Attributes:
        words: Words, and pairs of Chinese characters; without amounts and advertising.
        amounts: Unit and how much: 1.5 kg is `("g", 1500.0)`.
        numbers: Every other number.
        codes: Words of letters and digits that are no amount, such as a model number.
        gtins: Barcodes with a right check digit, in 14 digits.
    """

    words: tuple[str, ...]
    amounts: frozenset[tuple[str, float]]
    numbers: frozenset[str]
    codes: frozenset[str]
    gtins: frozenset[str]


def read_title(text: str) -> Title:
    """Reads a title, with whatever else belongs to it, such as a pack size.

    >>> read_title("Earl-Grey 茶叶罐 2×250g").words
    ('earl', 'grey', '茶叶', '叶罐', '2')
    >>> sorted(read_title("牛奶 1L 1.5 kg 24").amounts), sorted(read_title("牛奶 1L 24").numbers)
    ([('g', 1500.0), ('ml', 1000.0)], ['24'])
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("×", " ")
    plain = _ADVERTISING.sub(" ", plain)
    amounts = frozenset(
        (_UNITS[unit][0], round(float(number) * _UNITS[unit][1], 6))
        for number, unit in _AMOUNT.findall(plain)
    )
    rest = _AMOUNT.sub(" ", plain)
    words: list[str] = []
    for run in _RUNS.findall(rest):
        is_chinese = "\u3400" <= run[0] <= "\u9fff"
        words += [run[at : at + 2] for at in range(max(1, len(run) - 1))] if is_chinese else [run]
    numbers = frozenset(_ALONE.findall(rest))
    codes = frozenset(code for code in _CODE.findall(rest) if len(code) >= _SHORTEST_CODE)
    return Title(tuple(words), amounts, numbers, codes, gtins_in(plain))


def gtins_in(text: str) -> frozenset[str]:
    """Barcodes in a text: 8, 12, 13 or 14 digits of which the last is the check digit (GS1, mod 10).

    >>> gtins_in("milk 4006381333931"), gtins_in("4006381333932")
    (frozenset({'04006381333931'}), frozenset())
    """
    whole = (found.zfill(14) for found in _GTIN.findall(text))
    return frozenset(code for code in whole if code.strip("0") and _has_right_check_digit(code))


def _has_right_check_digit(code: str) -> bool:
    return sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(code)) % 10 == 0


def contradict(one: Title, other: Title) -> bool:
    """Whether two titles cannot be of one product: other barcodes, or no common amount of a unit of both.

    >>> tea = read_title("tea 250g")
    >>> contradict(tea, read_title("tea 0.25 kg")), contradict(tea, read_title("tea 500g"))
    (False, True)
    """
    if one.gtins and other.gtins:
        return not one.gtins & other.gtins
    units = {unit for unit, _ in one.amounts} & {unit for unit, _ in other.amounts}
    common = {unit for unit, _ in one.amounts & other.amounts}
    return bool(units - common)
