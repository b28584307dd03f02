"""When nobody is written to: 21:00 to 09:00 in the shop's time zone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo


@dataclass(frozen=True)
class QuietHours:
    """From a time of the evening until a time of the morning.

    Attributes:
        begins: First quiet moment of the evening.
        ends: First moment of the morning that is not quiet.
        zone: Of the shop.
    """

    begins: time
    ends: time
    zone: tzinfo

    def open_from(self, moment: datetime) -> datetime:
        """The moment itself where it is not quiet, else the end of the quiet hours.

        Args:
            moment: tz-aware.

        Returns:
            UTC.
        """
        local = moment.astimezone(self.zone)
        clock = local.time()
        if self.begins > self.ends:
            quiet = clock >= self.begins or clock < self.ends
        else:
            quiet = self.begins <= clock < self.ends
        if not quiet:
            return moment.astimezone(UTC)
        day = local.date() + timedelta(days=1 if clock >= self.ends else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)


STANDARD = (time(21), time(9))
"""Source: the published case of a community seller writes to nobody between 21:00 and 09:00."""
