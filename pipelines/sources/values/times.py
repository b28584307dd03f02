"""Times and dates, as programs and people write them, to UTC.

A time without an offset is local time in the zone of the rules: of a local time that happens twice the first
is meant, and one that is skipped when clocks go forward is moved forward as clocks are. 02/11/2026 is read
only when the rules, or another value of the column, tell the order of day and month.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from pipelines.sources.protocol import Chunk
from pipelines.sources.values.numbers import is_missing
from pipelines.sources.values.problems import Parsed, Problems
from pipelines.sources.values.rules import ValueRules

NOT_TIME = "not a time (ISO 8601, such as 2026-11-01T09:30:00Z)"
NOT_DATE = "not a date (YYYY-MM-DD)"
UNCLEAR_ORDER = "day and month cannot be told apart: set day_first in muyun.yaml"
NO_DATE = "an unset clock, not a time"
TWICE = "local times that happen twice: the first is taken"
SKIPPED = "local times that clocks skip: moved forward"

_UTC = pl.Datetime("us", "UTC")
_WALL = pl.Datetime("us")
_FIXED = ("UTC", "Etc/UTC", "GMT", "Z", "Zulu")
_ORDERED = r"^\s*(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?:\D|$)"
_SERIAL = r"^(\d{5})([.,]\d+)?$"
_FIRST_SERIAL, _LAST_SERIAL = 32_874, 73_050  # 1990-01-01 and 2099-12-31
_SERIAL_ZERO = -25_569  # days from 1970-01-01 to 1899-12-30
_DAY = 86_400_000_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL_WIDTH = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)} | {
    "年": "-", "月": "-", "日": " ", "号": " ", "时": ":", "点": ":", "分": ":", "秒": "",
    "\u3000": " ", "\u00a0": " ", "\u202f": " ", "−": "-",
}  # fmt: skip
_CLOCK = (
    r"(?:[t ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?:?(?:\s*([ap])\.?m\.?)?"
    r"\s*(z|utc|gmt|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?)?)?$"
)
_YEAR_FIRST = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK
_YEAR_LAST = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK
_DIGITS = r"^(\d{4})(\d{2})(\d{2})(?:[t ]?(\d{2})(\d{2})(\d{2})?)?(z)?$"


class _Walls(NamedTuple):
    """What clocks showed, and how far ahead of UTC they were; null where the zone must tell."""

    wall: pl.Series
    offset: pl.Series


def day_orders(chunks: Iterable[Chunk], columns: Iterable[str]) -> dict[str, bool]:
    """Whether the day comes first, for each column of which at least one value tells and none contradicts.

    Args:
        chunks: All rows of a file.
        columns: Columns that may hold times.
    """
    wanted = set(columns)
    seen: dict[str, set[bool]] = {}
    for chunk in chunks:
        for name in wanted & set(chunk.frame.columns):
            if chunk.frame.schema[name] != pl.String:
                continue
            text = chunk.frame[name]
            dated = text.filter(text.str.contains(_ORDERED).fill_null(False))
            if not len(dated):
                continue
            first = dated.str.extract(_ORDERED, 1).cast(pl.Int64)
            second = dated.str.extract(_ORDERED, 2).cast(pl.Int64)
            told = seen.setdefault(name, set())
            if ((first > 12) & (second <= 12)).any():
                told.add(True)
            if ((second > 12) & (first <= 12)).any():
                told.add(False)
    return {name: next(iter(told)) for name, told in seen.items() if len(told) == 1}


def has_unclear_days(chunk: Chunk, columns: Iterable[str]) -> bool:
    """Whether a column of a chunk has dates that end with the year: day and month must be told apart."""
    return any(
        chunk.frame.schema[name] == pl.String and chunk.frame[name].str.contains(_ORDERED).any()
        for name in columns
        if name in chunk.frame.columns
    )


def read_time(raw: pl.Series, rules: ValueRules) -> Parsed:
    """Times in UTC with microseconds."""
    problems = Problems(len(raw))
    if isinstance(raw.dtype, pl.Datetime):
        if raw.dtype.time_zone is not None:
            return Parsed(raw.cast(_UTC))
        values, remarks = _to_utc(raw.cast(_WALL), rules.time_zone)
        return Parsed(values, (), remarks)
    if raw.dtype == pl.Date:
        values, remarks = _to_utc(raw.cast(_WALL), rules.time_zone)
        return Parsed(values, (), remarks)
    text = _as_text(raw)
    if text is None:
        values = pl.Series(raw.name, [None], dtype=_UTC).new_from_index(0, len(raw))
        problems.add_rest(raw, values, NOT_TIME)
        return Parsed(values, problems.take())
    walls = _walls(text, rules, problems)
    local = walls.offset.is_null()
    if local.all():
        values, remarks = _to_utc(walls.wall, rules.time_zone)
    elif not local.any():
        values, remarks = _shifted(walls), ()
    else:
        values, remarks = _to_utc(walls.wall.set(~local, None), rules.time_zone)
        values = _shifted(walls).zip_with(~local, values)
    problems.add_rest(_present(raw), values, NOT_TIME)
    return Parsed(values.alias(raw.name), problems.take(), remarks)


def read_date(raw: pl.Series, rules: ValueRules) -> Parsed:
    """Local calendar dates; a time with an offset is of the day that the zone of the rules shows then."""
    problems = Problems(len(raw))
    if raw.dtype == pl.Date:
        return Parsed(raw)
    if isinstance(raw.dtype, pl.Datetime):
        zoned = raw if raw.dtype.time_zone is None else raw.dt.convert_time_zone(rules.time_zone)
        return Parsed(zoned.dt.date())
    text = _as_text(raw)
    if text is None:
        values = pl.Series(raw.name, [None], dtype=pl.Date).new_from_index(0, len(raw))
        problems.add_rest(raw, values, NOT_DATE)
        return Parsed(values, problems.take())
    values = text.str.to_date("%Y-%m-%d", strict=False)
    rows = (values.is_null() & text.is_not_null()).arg_true()
    if len(rows):
        found = Problems(len(rows))
        walls = _walls(text.gather(rows), rules, found)
        zoned = _shifted(walls).dt.convert_time_zone(rules.time_zone).dt.date()
        values = values.scatter(rows, walls.wall.dt.date().zip_with(walls.offset.is_null(), zoned))
        for mask, reason in found.take():
            problems.add_rows(rows.filter(mask), reason)
    problems.add_rest(_present(raw), values, NOT_DATE)
    return Parsed(values.alias(raw.name), problems.take())


def _present(raw: pl.Series) -> pl.Series:
    if raw.dtype != pl.String:
        return raw
    missing = is_missing(raw)
    return raw.set(missing, None) if missing.any() else raw


def _as_text(raw: pl.Series) -> pl.Series | None:
    """The column as text; whole numbers are epochs, others serial dates; None for types that are no times."""
    if raw.dtype == pl.String:
        return _present(raw)
    if raw.dtype.is_integer():
        return raw.cast(pl.String)
    if raw.dtype.is_float():
        whole = raw.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == raw.cast(pl.Float64)).fill_null(False)
        return whole.cast(pl.String).zip_with(is_whole, raw.cast(pl.Float64).cast(pl.String))
    return None


def _to_utc(wall: pl.Series, zone: str) -> tuple[pl.Series, tuple[tuple[str, int], ...]]:
    """Local times to UTC, and what was decided on the way."""
    if zone in _FIXED:
        return wall.dt.replace_time_zone("UTC"), ()
    first = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    values = first.dt.convert_time_zone("UTC")
    if zone.startswith("Etc/"):
        return values, ()
    remarks = []
    twice = (first != wall.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")).sum()
    if twice:
        remarks.append((TWICE, int(twice)))
    skipped = (values.is_null() & wall.is_not_null()).arg_true()
    if len(skipped):
        # The offset of the day before still holds, so the clock moves forward by as much as it jumps.
        before = wall.gather(skipped).dt.offset_by("-1d")
        earlier = before.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        values = values.scatter(skipped, earlier.dt.convert_time_zone("UTC").dt.offset_by("1d"))
        remarks.append((SKIPPED, len(skipped)))
    return values, tuple(remarks)


def _shifted(walls: _Walls) -> pl.Series:
    """Times with an offset of their own in UTC."""
    ahead = pl.select((pl.lit(walls.offset).cast(pl.Int64) * 60_000_000).cast(pl.Duration("us"))).to_series()
    return (walls.wall - ahead).dt.replace_time_zone("UTC")


def _walls(text: pl.Series, rules: ValueRules, problems: Problems) -> _Walls:
    """Clock times of texts in any known form; reasons of their own are recorded, the rest stays null."""
    form = "%Y-%m-%dT%H:%M:%S%.f"
    bare = text.str.replace(" ", "T", literal=True)
    zulu = bare.str.ends_with("Z").fill_null(False)
    offset = pl.Series("offset", [None], dtype=pl.Int32).new_from_index(0, len(text))
    if zulu.any():
        bare = bare.str.strip_suffix("Z")
        offset = offset.set(zulu, 0)
    wall = bare.str.to_datetime(form, strict=False, time_unit="us")
    rows = (wall.is_null() & text.is_not_null()).arg_true()
    if not len(rows):
        return _Walls(wall, offset)
    odd = text.gather(rows)
    plain = (
        odd.str.replace_all(r"\s*(?:星期|周)[一二三四五六日天]\s*", " ")
        .str.replace_many(_FULL_WIDTH)
        .str.to_lowercase()
        .str.strip_chars()
        .str.replace_all(r"\s+", " ")
    )
    found = _spelled(plain, rules, rows, problems)
    found = _numbered(plain, found)
    unset = plain.str.contains(r"^0{4}-0?0-0?0")
    problems.add_rows(rows.filter(unset.fill_null(False)), NO_DATE)
    return _Walls(wall.scatter(rows, found.wall), offset.scatter(rows, found.offset))


def _spelled(plain: pl.Series, rules: ValueRules, rows: pl.Series, problems: Problems) -> _Walls:
    """Times that are written out, year first or last."""
    text = plain.str.replace(r"\s*(?:\[[^\]]*\]|\([^)]*\))$", "")
    text = text.str.replace(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? ", "")
    text = text.str.replace(r"^([a-z]{3} \d{1,2}) (\d{1,2}:[\d:]+) (\d{4})$", "${1} ${3} ${2}")
    text = text.str.replace(r"(?:下午|晚上|晚)\s*(.*?)$", "${1} pm").str.replace(
        r"(?:上午|早上|凌晨)\s*(.*?)$", "${1} am"
    )
    text = text.str.replace(r" (\d{1,2}:[\d:.,]+:?) ([ap])m", " ${1} ${2}m")
    for number, month in enumerate(_MONTHS, 1):
        text = text.str.replace(
            rf"^(\d{{1,2}})[ \-]{month}[a-z]*[ \-,]+(\d{{4}})", f"${{2}}-{number:02}-${{1}}"
        )
        text = text.str.replace(rf"^{month}[a-z]* (\d{{1,2}}),? (\d{{4}})", f"${{2}}-{number:02}-${{1}}")
    text = text.str.replace(r"^(\d{4})-(\d{1,2})-(\d{1,2}) *$", "${1}-${2}-${3}")
    compact = text.str.extract_groups(_DIGITS).struct.unnest()
    ordered = text.str.extract_groups(_YEAR_FIRST).struct.unnest()
    swapped = text.str.extract_groups(_YEAR_LAST).struct.unnest()
    one, two = swapped["1"].cast(pl.Int64, strict=False), swapped["2"].cast(pl.Int64, strict=False)
    day_first = (one > 12) | (one == two)
    unclear = one.is_not_null() & (one <= 12) & (two <= 12) & (one != two)
    if rules.day_first is None:
        problems.add_rows(rows.filter(unclear.fill_null(False)), UNCLEAR_ORDER)
        one = one.set(unclear.fill_null(False), None)
    else:
        day_first = pl.repeat(rules.day_first, len(text), dtype=pl.Boolean, eager=True)
    frame = pl.DataFrame(
        {
            "year": _first(ordered["1"], swapped["3"].set(one.is_null(), None), compact["1"]),
            "month": _first(ordered["2"], two.zip_with(day_first.fill_null(False), one), compact["2"]),
            "day": _first(ordered["3"], one.zip_with(day_first.fill_null(False), two), compact["3"]),
            "hour": _first(ordered["4"], swapped["4"], compact["4"]),
            "minute": _first(ordered["5"], swapped["5"], compact["5"]),
            "second": _first(ordered["6"], swapped["6"], compact["6"]),
            "micro": _first(*(part["7"].str.pad_end(6, "0").str.slice(0, 6) for part in (ordered, swapped))),
        }
    )
    half = ordered["8"].fill_null(swapped["8"])
    hour = pl.col("hour").fill_null(0)
    clock = frame.with_columns(
        pl.when(pl.lit(half).is_null())
        .then(hour)
        .when(hour.is_between(13, 23) | (pl.col("hour").is_null()))
        .then(pl.when(pl.lit(half) == "p").then(hour))
        .when(pl.lit(half) == "p")
        .then(hour % 12 + 12)
        .otherwise(hour % 12)
        .alias("hour")
    )
    texts = [pl.col(name).fill_null(0).cast(pl.String).str.zfill(2) for name in ("hour", "minute", "second")]
    spelled = clock.select(
        pl.format(
            "{}-{}-{}T{}:{}:{}.{}",
            pl.col("year").cast(pl.String).str.zfill(4),
            pl.col("month").cast(pl.String).str.zfill(2),
            pl.col("day").cast(pl.String).str.zfill(2),
            *texts,
            pl.col("micro").fill_null(0).cast(pl.String).str.zfill(6),
        ).alias("wall")
    )["wall"]
    wall = spelled.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    wall = wall.set(clock["hour"].is_null() & half.is_not_null(), None)
    zone = ordered["9"].fill_null(swapped["9"]).fill_null(compact["7"])
    return _Walls(wall, _offset(zone))


def _first(*parts: pl.Series) -> pl.Series:
    result = parts[0].cast(pl.Int64, strict=False)
    for part in parts[1:]:
        result = result.fill_null(part.cast(pl.Int64, strict=False))
    return result


def _offset(zone: pl.Series) -> pl.Series:
    """Minutes ahead of UTC out of `z`, `+08`, `+0800`, `utc+8`."""
    bare = zone.str.replace(r"^(?:utc|gmt)([+-])", "${1}")
    hours = bare.str.extract(r"^[+-](\d{1,2})", 1).cast(pl.Int32)
    minutes = bare.str.extract(r"^[+-]\d{1,2}:?(\d{2})$", 1).cast(pl.Int32).fill_null(0)
    ahead = hours * 60 + minutes
    ahead = ahead.zip_with(~bare.str.starts_with("-").fill_null(False), -ahead)
    return ahead.set(bare.is_in(["z", "utc", "gmt"]).fill_null(False), 0).alias("offset")


def _numbered(plain: pl.Series, found: _Walls) -> _Walls:
    """Adds epochs of 10 or 13 digits and the serial dates of spreadsheets to what was found."""
    seconds = plain.str.extract(r"^(\d{10})(?:\.0+)?$", 1).cast(pl.Int64) * 1_000_000
    epoch = seconds.fill_null(plain.str.extract(r"^(\d{13})(?:\.0+)?$", 1).cast(pl.Int64) * 1_000)
    days = plain.str.extract(_SERIAL, 1).cast(pl.Int64)
    days = days.set(~days.is_between(_FIRST_SERIAL, _LAST_SERIAL).fill_null(False), None)
    part = plain.str.extract(_SERIAL, 2).str.replace(",", ".", literal=True).fill_null("0").cast(pl.Float64)
    # Serial dates hold a day in some digits; the whole second is what they were made of.
    clock = (part * 86_400).round().cast(pl.Int64) * 1_000_000
    serial = (days + _SERIAL_ZERO) * _DAY + clock
    wall = found.wall.fill_null(serial.cast(_WALL)).fill_null(epoch.cast(_WALL))
    return _Walls(wall, found.offset.set(epoch.is_not_null(), 0))
