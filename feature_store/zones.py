"""Time zones of shops: which of them keep one distance from UTC, so that local time is plain arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
