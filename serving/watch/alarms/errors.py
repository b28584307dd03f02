"""The typed errors of alarms. HTTP mapping: `serving.api.refusals`; nothing is raised here."""

from __future__ import annotations

from serving.errors import ServingError


class AlarmError(ServingError):
    """What was asked of an alarm is refused; nothing was changed."""


class UnknownAlarmError(AlarmError):
    """There is no such alarm, or it is none of the one who asks."""


class AlarmClosedError(AlarmError):
    """The alarm is resolved or cleared."""


class UnknownAlternativeError(AlarmError):
    """The alarm has no such alternative."""


class NotTakenError(AlarmError):
    """Another alternative was taken, or the goods have left."""


class UnknownParcelError(AlarmError):
    """There is no such parcel, or it is none of the one who asks."""
