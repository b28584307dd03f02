"""When a warehouse hands a parcel over: its clock, its cut-off, its working days, its room a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MOST_DAYS = 60
"""Days beyond the lead time that are looked through; what is closed or full for longer ships nothing."""


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A warehouse as an order sees it.

    Attributes:
        warehouse_id: Its id.
        supplier_id: Whose it is; None where the platform runs it, for every supplier of its region.
        region_code: Where its parcels leave.
        capacity_per_day: Units that it can send a day; None: no limit is known.
        cut_off_minutes: Minutes after local midnight until which, that moment included, an order counts from
            the same day; None: it counts from the next working day.
        working_days: Days of the week on which it works, as digits; Monday is 1.
        closed_on: Days on which it is closed all the same.
        zone: Its clock.
        place: Latitude and longitude in degrees; None where it is not known.
    """

    warehouse_id: str
    supplier_id: str | None
    region_code: str
    capacity_per_day: int | None
    cut_off_minutes: int | None
    working_days: str
    closed_on: frozenset[date]
    zone: ZoneInfo
    place: tuple[float, float] | None = None

    def works_on(self, day: date) -> bool:
        """Whether it sends parcels on a local day."""
        return str(day.isoweekday()) in self.working_days and day not in self.closed_on


def departure(
    warehouse: Warehouse, now: datetime, lead_days: int, qty: int, booked: Mapping[date, int]
) -> date | None:
    """The first day on which a warehouse can hand units over.

    An order that is in before the cut-off of a working day counts from that day, any other from the next
    working day. The lead time follows in calendar days; on the first working day from there on that has room
    for all units they leave.

    Args:
        warehouse: The warehouse.
        now: When the order comes in, aware.
        lead_days: Days that the supplier needs until it hands the goods over.
        qty: Units, 1 or more.
        booked: Units by day that orders placed before take.

    Returns:
        A local day of the warehouse; None where it has no such day within the lead time and `MOST_DAYS`.
    """
    days = _days(warehouse, now, lead_days)
    return next((day for day in days if _has_room(warehouse, booked.get(day, 0), qty)), None)


def most_units(warehouse: Warehouse, now: datetime, lead_days: int, booked: Mapping[date, int]) -> int | None:
    """The most units that a warehouse can hand over on one day: for so many `departure` finds one.

    Args:
        warehouse: The warehouse.
        now: When the order comes in, aware.
        lead_days: Days that the supplier needs until it hands the goods over.
        booked: Units by day that orders placed before take.

    Returns:
        0 where it has no such day; None where nothing limits its days.
    """
    days = _days(warehouse, now, lead_days)
    if warehouse.capacity_per_day is None:
        return None if any(True for _ in days) else 0
    most = 0
    for day in days:
        most = max(most, warehouse.capacity_per_day - booked.get(day, 0))
        if most == warehouse.capacity_per_day:
            break
    return most


def _days(warehouse: Warehouse, now: datetime, lead_days: int) -> Iterator[date]:
    """The days on which a warehouse could hand something over, the first one first."""
    local = now.astimezone(warehouse.zone)
    today = local.date()
    since_midnight = local.replace(tzinfo=None) - datetime.combine(today, time())
    cut_off = warehouse.cut_off_minutes
    is_in_time = cut_off is not None and since_midnight <= timedelta(minutes=cut_off)
    last = today + timedelta(days=lead_days + MOST_DAYS)
    begins = next(_working_days(warehouse, today if is_in_time else today + timedelta(days=1), last), None)
    if begins is None:
        return iter(())
    return _working_days(warehouse, begins + timedelta(days=lead_days), last)


def _working_days(warehouse: Warehouse, first: date, last: date) -> Iterator[date]:
    days = (first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    return (day for day in days if warehouse.works_on(day))


def _has_room(warehouse: Warehouse, booked: int, qty: int) -> bool:
    return warehouse.capacity_per_day is None or booked + qty <= warehouse.capacity_per_day
