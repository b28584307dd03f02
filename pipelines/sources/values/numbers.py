"""Numbers, money and quantities, exact to the last digit: no value passes through a float.

The plain way of writing a whole number is read at once; all other ways are brought into one form, as sign,
whole part and decimals, first. Whether a comma or a point divides decimals is told by the value, or else by
the others of the column.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from pipelines.sources.values.problems import Parsed, Problems
from pipelines.sources.values.rules import ValueRules

NOT_WHOLE = "not a whole number in range"
NOT_NUMBER = "not a finite number"
YUAN = "amounts look like yuan: set money: major in muyun.yaml"
TOO_FINE_MONEY = "more than 2 decimals in an amount of money"
TOO_FINE_QUANTITY = "more than 3 decimals in a quantity"
UNCLEAR_COMMA = "comma and point cannot be told apart: write numbers like 1234.56"
MIXED_UNITS = "units differ in one column ({units}): convert all to the unit of sale"

MISSING_WORDS = (
    "",
    "-",
    "--",
    "—",
    "–",
    "null",
    "none",
    "nan",
    "na",
    "n/a",
    "#n/a",
    "nil",
    "\\n",
    "无",
    "空",
)
"""Words for 'no value' in columns of numbers, times and flags, in lower case."""

_MOST_DIGITS = 16
_TELLING = 3
"""Amounts with decimals from which on, where they are a tenth, a whole column is taken to be in yuan."""
_FULL_WIDTH = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)} | {
    "￥": "¥", "。": ".", "，": ",", "－": "-", "−": "-", "–": "-", "—": "-", "﹣": "-", "’": "'", "٬": "'",
}  # fmt: skip
_SPACES = "[\\s\u00a0\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]+"
_SIGNS = r"(?:人民币|rmb|cny|usd|eur|gbp|hkd|jpy|us\$|cn¥|hk\$|[¥$€£])"
_MAJOR_WORDS = r"(?:人民币|元|圆|块|yuan|rmb|cny|usd|eur|gbp|hkd|jpy|[¥$€£])"
_MINOR_WORDS = r"(?:分|fen|cents?|pence|ct)"
_MEASURES = (
    "kg", "g", "mg", "t", "千克", "公斤", "克", "斤", "市斤", "两", "吨", "l", "ml", "升", "毫升", "m", "cm",
    "米", "厘米", "lb", "lbs", "oz",
)  # fmt: skip
_PARTS = r"^([+-])?(\d+)?(?:\.(\d*))?$"


def read_integer(raw: pl.Series, dtype: pl.DataType) -> Parsed:
    """Whole numbers; decimals are allowed when they are zero."""
    problems = Problems(len(raw))
    if not _is_numeric(raw):
        return _nothing(raw, dtype, problems, NOT_WHOLE)
    if raw.dtype.is_integer():
        values = raw.cast(dtype, strict=False)
    else:
        values = _scaled(raw, 0, problems, NOT_WHOLE, None).cast(dtype, strict=False)
    problems.add_rest(_present(raw), values, NOT_WHOLE)
    return Parsed(values, problems.take())


def read_money(raw: pl.Series, rules: ValueRules) -> Parsed:
    """Amounts in the smallest unit of the currency."""
    problems = Problems(len(raw))
    if not _is_numeric(raw):
        return _nothing(raw, pl.Int64(), problems, NOT_WHOLE)
    if rules.money == "major":
        values = _scaled(raw, 2, problems, TOO_FINE_MONEY, "major")
    else:
        values = _minor(raw, problems)
    problems.add_rest(
        _present(raw), values, NOT_WHOLE if rules.money == "minor" else "not an amount of money"
    )
    return Parsed(values, problems.take())


def read_quantity(raw: pl.Series) -> Parsed:
    """Quantities in thousandths of the unit of sale."""
    problems = Problems(len(raw))
    if not _is_numeric(raw):
        return _nothing(raw, pl.Int64(), problems, "not a quantity")
    values = _scaled(raw, 3, problems, TOO_FINE_QUANTITY, "quantity")
    problems.add_rest(_present(raw), values, "not a quantity")
    return Parsed(values, problems.take())


def read_float(raw: pl.Series) -> Parsed:
    """Finite numbers that are no amounts, such as probabilities."""
    problems = Problems(len(raw))
    if raw.dtype != pl.String and not raw.dtype.is_numeric():
        return _nothing(raw, pl.Float64(), problems, NOT_NUMBER)
    number = raw.cast(pl.Float64, strict=False)
    if raw.dtype == pl.String:
        rows = (number.is_null() & raw.is_not_null()).arg_true()
        if len(rows):
            number = number.scatter(rows, _plain(raw.gather(rows), None)[0].cast(pl.Float64, strict=False))
    number = number.set(~number.is_finite().fill_null(True), None)
    problems.add_rest(_present(raw) if raw.dtype == pl.String else raw, number, NOT_NUMBER)
    return Parsed(number, problems.take())


def plain_numbers(raw: pl.Series) -> pl.Series:
    """Amounts and quantities as people write them, in the form `-1234.56`; null where it is no number."""
    if raw.dtype != pl.String:
        return raw.cast(pl.String, strict=False)
    text = _present(raw)
    if text.str.contains(r"^-?\d+(?:\.\d+)?$").all():
        return text
    return _plain(text, "major")[0].fill_null(_plain(text, "quantity")[0])


def is_missing(raw: pl.Series) -> pl.Series:
    """Mask of texts that are words for 'no value'; nulls are not among them."""
    return (raw.str.len_bytes().le(4) & raw.str.to_lowercase().is_in(MISSING_WORDS)).fill_null(False)


def _present(raw: pl.Series) -> pl.Series:
    """The column with nulls for words that mean 'no value'."""
    if raw.dtype != pl.String:
        return raw
    missing = is_missing(raw)
    return raw.set(missing, None) if missing.any() else raw


def _is_numeric(raw: pl.Series) -> bool:
    return raw.dtype == pl.String or raw.dtype.is_numeric()


def _nothing(raw: pl.Series, dtype: pl.DataType, problems: Problems, reason: str) -> Parsed:
    values = pl.Series(raw.name, [None], dtype=dtype).new_from_index(0, len(raw))
    problems.add_rest(raw, values, reason)
    return Parsed(values, problems.take())


class _Start(NamedTuple):
    """What is read at once, and what is left to be looked at: positions and texts."""

    whole: pl.Series
    rows: pl.Series
    odd: pl.Series


def _start(raw: pl.Series) -> _Start:
    """Whole numbers as they are; other numbers as the shortest text that stands for them."""
    text = _present(raw)
    if raw.dtype.is_float():
        whole = raw.cast(pl.Int64, strict=False)
        is_whole = ((whole.cast(raw.dtype) == raw) & (raw.abs() < 2**53)).fill_null(False)
        whole = whole.set(~is_whole, None)
    elif raw.dtype == pl.String or raw.dtype.is_integer():
        whole = text.cast(pl.Int64, strict=False)
    else:
        whole = pl.Series(raw.name, [None], dtype=pl.Int64).new_from_index(0, len(raw))
    rows = (whole.is_null() & text.is_not_null()).arg_true()
    return _Start(whole, rows, text.gather(rows).cast(pl.String))


def _minor(raw: pl.Series, problems: Problems) -> pl.Series:
    """Amounts that are given in the smallest unit; what was written in yuan is refused."""
    values, rows, odd = _start(raw)
    if not len(rows):
        return values
    plain, unclear = _plain(odd, "minor")
    problems.add_rows(rows.filter(unclear.fill_null(False)), UNCLEAR_COMMA)
    lower = odd.str.to_lowercase().str.replace_many(_FULL_WIDTH)
    signed = lower.str.contains(_MAJOR_WORDS) & ~lower.str.contains(_MINOR_WORDS) & plain.is_not_null()
    broken = plain.str.contains(r"\.0*[1-9]")
    is_yuan = (signed | broken).fill_null(False)
    if is_yuan.any():
        is_yuan = is_yuan | plain.str.contains(".", literal=True).fill_null(False)
        problems.add_rows(rows.filter(is_yuan), YUAN)
        plain = plain.set(is_yuan, None)
        count = broken.sum() or 0
        if count >= _TELLING and 10 * count >= len(raw) - raw.null_count():
            # A column with many decimals is in yuan throughout: its whole amounts are yuan too.
            problems.add(values.is_not_null(), YUAN)
            values = values.set(values.is_not_null(), None)
    return values.scatter(rows, plain.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False))


def _scaled(raw: pl.Series, decimals: int, problems: Problems, too_fine: str, kind: str | None) -> pl.Series:
    """Numbers times ten to the power of `decimals`, as integers; null where that is no integer in range."""
    whole, rows, odd = _start(raw)
    if decimals:
        bound = 10 ** (_MOST_DIGITS - decimals)
        whole = whole.set(~whole.is_between(-bound, bound).fill_null(True), None) * 10**decimals
    if not len(rows):
        return whole
    plain, unclear = _plain(odd, kind)
    problems.add_rows(rows.filter(unclear.fill_null(False)), UNCLEAR_COMMA)
    if kind == "quantity":
        mixed, units = _mixed_units(odd)
        problems.add_rows(rows.filter(mixed), MIXED_UNITS.format(units=units))
        plain = plain.set(mixed, None)
    scaled, fine = _from_parts(plain, decimals)
    problems.add_rows(rows.filter(fine.fill_null(False)), too_fine)
    return whole.scatter(rows, scaled)


def _from_parts(plain: pl.Series, decimals: int) -> tuple[pl.Series, pl.Series]:
    """Scaled integers out of `-12.34`, and a mask of numbers with too many decimals."""
    parts = pl.DataFrame({"plain": plain}).select(
        negative=pl.col("plain").str.starts_with("-"),
        whole=pl.col("plain").str.extract(_PARTS, 2).fill_null(""),
        rest=pl.col("plain").str.extract(_PARTS, 3).fill_null("").str.strip_chars_end("0"),
        fits=pl.col("plain").str.contains(_PARTS) & pl.col("plain").str.contains(r"\d"),
    )
    whole, rest = parts["whole"].str.strip_chars_start("0"), parts["rest"]
    is_long = rest.str.len_chars() > decimals
    # 0.30000000000000004 and 2.4499999999999997 are 0.3 and 2.45 that a program added up.
    noise = is_long & (whole.str.len_chars() + rest.str.len_chars() >= 15)
    tail = rest.str.slice(decimals)
    down = noise & tail.str.contains(r"^0{5,}")
    up = noise & tail.str.contains(r"^9{5,}")
    kept = rest.str.slice(0, decimals).str.pad_end(decimals, "0") if decimals else rest.str.slice(0, 0)
    digits = (whole + kept).str.strip_chars_start("0")
    number = digits.set(digits == "", "0").cast(pl.Int64, strict=False)
    number = number.set((digits.str.len_chars() > _MOST_DIGITS + 2).fill_null(True), None)
    number = number + up.cast(pl.Int64)
    number = number.zip_with(~parts["negative"].fill_null(False), -number)
    too_fine = is_long & ~down & ~up
    usable = parts["fits"].fill_null(False) & ~too_fine
    return number.set(~usable, None), too_fine & parts["fits"].fill_null(False)


def _plain(text: pl.Series, kind: str | None) -> tuple[pl.Series, pl.Series]:
    """Numbers in the form `-1234.56`, null where a text is none, and a mask of unclear ones."""
    bare = (
        text.str.replace_many(_FULL_WIDTH).str.to_lowercase().str.replace_all(_SPACES, " ").str.strip_chars()
    )
    bare = bare.str.replace(r"^\((.*)\)$", "-${1}").str.replace(r"^([^-]*\d)\s*-$", "-${1}")
    bare = bare.str.replace(r"^-\s*", "-").str.replace(r"^\+\s*", "")
    if kind in ("minor", "major"):
        bare = bare.str.replace(rf"^(-?)\s*{_SIGNS}\s*(-?)\s*", "${1}${2}")
        words = _MAJOR_WORDS if kind == "major" else f"(?:{_MAJOR_WORDS}|{_MINOR_WORDS})"
        bare = bare.str.replace(rf"\s*{words}(?:整|正)?$", "")
    if kind == "quantity":
        bare = bare.str.replace(r"^([-\d][\d.,' ]*?)\s*[^\d\s.,'+\-%_][^\d]*$", "${1}")
    # Thousands parted by blanks or apostrophes.
    grouped = bare.str.contains(r"^-?\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?$")
    bare = bare.str.replace_all(r"[ ']", "").zip_with(grouped.fill_null(False), bare)
    return _pointed(bare)


def _pointed(bare: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers with a point before the decimals and nothing else in them, and a mask of unclear ones."""
    commas = bare.str.contains(r"^-?\d{1,3}(?:,\d{3})+\.\d*$").fill_null(False)  # 1,234.56
    points = bare.str.contains(r"^-?\d{1,3}(?:\.\d{3})+,\d*$").fill_null(False)  # 1.234,56
    many_commas = bare.str.contains(
        r"^-?\d{1,3}(?:,\d{2,3})*,\d{3},\d{3}$|^-?\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?$"
    )
    many_commas = many_commas.fill_null(False)  # 1,234,567 and 12,34,567
    many_points = bare.str.contains(r"^-?\d{1,3}(?:\.\d{3}){2,}$").fill_null(False)  # 1.234.567
    lone_comma = bare.str.contains(r"^-?\d*,\d+$").fill_null(False)
    as_decimal = lone_comma & bare.str.contains(r"^-?(?:0|\d{4,})?,|,(?:\d{1,2}|\d{4,})$").fill_null(False)
    either = lone_comma & ~as_decimal  # 1,234: thousands, unless the column shows decimal commas
    comma_is_decimal = bool((as_decimal | points | many_points).any())
    lone_point = bare.str.contains(r"^-?\d{1,3}\.\d{3}$").fill_null(False) & ~bare.str.contains(r"^-?0")
    point_is_decimal = bool(commas.any() or many_commas.any())
    point_is_decimal |= bool(bare.str.contains(r"^-?\d*\.(?:\d{1,2}|\d{4,})$|^-?0\.").fill_null(False).any())
    if comma_is_decimal and point_is_decimal:
        unclear = either | lone_point.fill_null(False)
    else:
        unclear = pl.repeat(False, len(bare), dtype=pl.Boolean, eager=True)
    without_commas = bare.str.replace_all(",", "", literal=True)
    with_point = bare.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    drop = commas | many_commas | (either if not comma_is_decimal else commas)
    turn = points | many_points | as_decimal
    if comma_is_decimal:
        turn = turn | either | lone_point.fill_null(False)
    result = without_commas.zip_with(drop, with_point.zip_with(turn, bare))
    good = result.str.contains(_PARTS) & result.str.contains(r"\d") & ~unclear
    return result.set(~good.fill_null(False), None), unclear


def _mixed_units(odd: pl.Series) -> tuple[pl.Series, str]:
    """Mask of quantities whose unit is not the one of the column, where measures are mixed with others."""
    unit = (
        odd.str.replace_many(_FULL_WIDTH).str.to_lowercase().str.extract(r"\d\s*([^\d\s.,'+\-%_][^\d]*)$", 1)
    )
    unit = unit.str.strip_chars(" .")
    counts = unit.drop_nulls().value_counts(sort=True)
    names = counts[unit.name].to_list()
    if len(names) < 2 or not any(name in _MEASURES for name in names):
        return pl.repeat(False, len(odd), dtype=pl.Boolean, eager=True), ""
    return unit.is_not_null(), ", ".join(sorted(names))
