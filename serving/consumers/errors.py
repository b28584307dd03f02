"""Typed errors of consents and erasure. HTTP mapping lives in `serving.api`."""

from __future__ import annotations

from serving.errors import ServingError


class ConsumerError(ServingError):
    """Base of what can be wrong with a decision of a consumer."""


class ConsentContradictsError(ConsumerError):
    """Two statements of one moment say opposite things."""


class ConsumerErasedError(ConsumerError):
    """The consumer was erased."""


class OrdersUnderWayError(ConsumerError):
    """Orders of the consumer are not finished, so whoever ships them needs the person."""
