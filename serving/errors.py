"""The typed errors of serving. HTTP mapping lives in `serving.problems`; nothing is raised here."""

from __future__ import annotations


class ServingError(Exception):
    """Base of all errors that serving raises on purpose; the message says what to do."""


class EmbeddedPostgresError(ServingError):
    """The embedded PostgreSQL cannot be started, stopped or used."""


class PortTakenError(ServingError):
    """A port that was asked for explicitly is in use by another program."""


class DataFolderError(EmbeddedPostgresError):
    """The data folder of the embedded PostgreSQL cannot be used by this user or version."""


class DatabaseUnavailableError(ServingError):
    """PostgreSQL does not answer; the caller may try again."""


class PublicationRejectedError(ServingError):
    """A publication was refused; the version that served before still serves."""


class PublisherBusyError(ServingError):
    """Another publisher holds the publication lock."""


class UnknownVersionError(ServingError):
    """A publication version is not in the database."""


class BaseVersionGoneError(UnknownVersionError):
    """The version that a delta refines is not in the database any more; begin again from a newer one."""


class KeyConflictError(ServingError):
    """An idempotency key stands for another body."""


class ApiKeyError(ServingError):
    """An API key cannot be created, listed or revoked as asked."""


class PrivacyError(ServingError):
    """A personal value cannot be sealed or opened, or a key for it is missing; holds no personal value."""


class AuditError(ServingError):
    """An act cannot be recorded as asked; whatever happened with it must be rolled back."""
