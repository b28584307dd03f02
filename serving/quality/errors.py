"""The typed errors of the quality brake. HTTP mapping: `serving.api.refusals`; nothing is raised here."""

from __future__ import annotations

from serving.errors import ServingError


class QualityError(ServingError):
    """The quality brake refuses what was asked; nothing was changed."""


class UnknownCaseError(QualityError):
    """There is no such improvement case."""


class UnknownRecallError(QualityError):
    """There is no such recall, or nothing of it concerns the one who asks."""


class SignedBeforeError(QualityError):
    """The case is closed, the department has signed, or the key has signed for another one."""


class OverrideRefusedError(QualityError):
    """An override ends in the past or too late, or changes nothing."""
