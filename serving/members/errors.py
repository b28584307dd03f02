"""What members refuse."""

from __future__ import annotations

from serving.errors import ServingError


class MembersError(ServingError):
    """Something about members is refused."""


class ProgrammeRefusedError(MembersError):
    """A programme cannot come into force; the message has every reason, with what to do."""


class ProgrammeUnknownError(MembersError):
    """There is no such version of the programme."""


class ProgrammeStateError(MembersError):
    """The version is not in a state in which this can be done."""


class MemberUnknownError(MembersError):
    """The consumer is no member: nothing was earned yet, or the person was erased."""


class NotAtRiskError(MembersError):
    """The member is not at risk: there is nothing to give notice of."""
