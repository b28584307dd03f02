"""What an approved request does: a function for every kind, given by the package that owns it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from serving.approvals.kinds import Kind
from serving.approvals.records import Approval

Done = Mapping[str, int | str]
"""What an effect made, as ids, counts and amounts."""
Effect = Callable[[psycopg.Connection, str, Approval, datetime], Done]
"""Connection inside the transaction of the final approval, tenant, request, business time.

Raises a `ServingError` when it cannot be done (any more): then nothing is approved.
"""


@dataclass(frozen=True, slots=True)
class Wired:
    """A kind and what its approval does."""

    kind: Kind
    effect: Effect


class Effects:
    """Kinds by name, each with its effect.

    Raises:
        ValueError: Two kinds have one name.
    """

    def __init__(self, wired: Iterable[Wired]) -> None:
        self._by_name: dict[str, Wired] = {}
        for one in wired:
            if self._by_name.setdefault(one.kind.name, one) is not one:
                raise ValueError(f"two kinds are called {one.kind.name}")

    def kind(self, name: str) -> Kind:
        """The kind of that name; a `KeyError` when nothing is wired to it."""
        return self._by_name[name].kind

    def kinds(self) -> list[str]:
        """Names of all kinds."""
        return sorted(self._by_name)

    def carry_out(self, conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
        """Do what was approved, in the transaction of the caller."""
        return self._by_name[approval.kind].effect(conn, tenant_id, approval, now)
