"""Batches whose rows are judged one by one, so that one bad row spoils no other. No database, no clock."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import msgspec

_FIELD = re.compile(r"field `([^`]{1,100})`|at `\$\.([^`]{1,100})`")
_LONGEST_MESSAGE = 200


class RowFault(StrEnum):
    """Why a row cannot be read."""

    MALFORMED = "malformed"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_FIELD = "invalid_field"


class Fault(NamedTuple):
    """A row that cannot be read: why, what the decoder said, and the field at fault when it is one."""

    reason: RowFault
    message: str
    field: str | None


def fault_of(error: Exception) -> Fault:
    """What is wrong with a row, from what the decoder says; its sentences name the field at fault."""
    message = str(error)
    if message.startswith("Object missing required field"):
        reason = RowFault.MISSING_FIELD
    elif message.startswith("Object contains unknown field"):
        reason = RowFault.UNKNOWN_FIELD
    elif isinstance(error, msgspec.ValidationError) and " - at `$." in message:
        reason = RowFault.INVALID_FIELD
    else:
        reason = RowFault.MALFORMED
    named = _FIELD.search(message)
    return Fault(reason, message[:_LONGEST_MESSAGE], (named[1] or named[2]) if named else None)
