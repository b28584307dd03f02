"""The typed errors of supervision. HTTP mapping: `serving.api.refusals`; nothing is raised here."""

from __future__ import annotations

from serving.errors import ServingError


class SupervisionError(ServingError):
    """Supervision refuses what was asked; nothing was changed."""


class UnknownListingCaseError(SupervisionError):
    """There is no such case, or it is not about the one who asks."""


class CaseEndedError(SupervisionError):
    """The case has ended: there is nothing to answer or to decide."""


class StatementWaitsError(SupervisionError):
    """Something that was said waits for a decision; the next word comes after that."""


class NothingSaidError(SupervisionError):
    """Nothing that was said waits: there is nothing to uphold the case against."""


class OwnCaseError(SupervisionError):
    """The key that spoke for the party decides about it."""


class InvoiceRefusedError(SupervisionError):
    """There can be no such invoice: a number, a day or an issuer that does not fit."""


class InvoiceConflictError(SupervisionError):
    """The party stated the invoice before with other words."""


class DepositRefusedError(SupervisionError):
    """Nothing was taken off, the case has its deposit, or there is none to give back."""
