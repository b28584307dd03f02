"""Time zones of shops: which of them keep one distance from UTC, so that local time is plain arithmetic."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FIRST, _LAST = datetime(1995, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)


@cache
def fixed_offset_minutes(time_zone: str) -> int | None:
    """Local time minus UTC in minutes where the zone has one offset only, else None.

    Looked at day by day from 1995 to 2037: what a zone did before (Shanghai kept summer time until 1991) does
    not make every local time of today a look-up.

    Args:
        time_zone: IANA name, such as `Asia/Shanghai` or `Europe/London`.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{time_zone!r} is no IANA time zone such as Asia/Shanghai") from error
    days = (_LAST - _FIRST).days
    offsets = {(_FIRST + timedelta(days=day)).astimezone(zone).utcoffset() for day in range(days)}
    only = offsets.pop()
    return None if offsets or only is None else round(only.total_seconds() / 60)


def next_local_midnight(moment: datetime, time_zone: str) -> datetime:
    """The first instant after a moment at which the local day is another one.

    Args:
        moment: Naive UTC.
        time_zone: IANA name.

    Returns:
        Naive UTC. Daylight saving moves it; where midnight itself is skipped it is the instant of the jump.
    """
    zone = ZoneInfo(time_zone)

    def day(microseconds: int) -> date:
        instant = moment + timedelta(microseconds=microseconds)
        return instant.replace(tzinfo=UTC).astimezone(zone).date()

    hour, today = 3_600_000_000, day(0)
    low = next(hours for hours in range(72) if day((hours + 1) * hour) != today) * hour
    high = low + hour
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if day(middle) == today else (low, middle)
    return moment + timedelta(microseconds=high)
