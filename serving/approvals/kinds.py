"""A kind of request: who decides, what may be adjusted, how long it is valid, when a second person is needed.

Pure. The kinds that exist stand in `catalogue`, or with the package that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from serving.approvals.errors import NotAllowedError, SuggestionError
from serving.approvals.suggestions import Suggestion
from serving.security import PARTY_ROLES, Principal, Role, Scope

BASIS = 10_000


@dataclass(frozen=True, slots=True)
class Rail:
    """Bounds of an adjustable number: each a number, or the field of the suggestion that holds it."""

    lowest: int | str
    highest: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What may be asked.

    Attributes:
        name: Word for programs, such as `manual_posting`.
        roles: Roles that may decide; the key of a party only about its own party.
        scope: What a deciding key must be allowed to do beside deciding.
        reasons: Codes of a rejection.
        validity: How long a request waits before it expires.
        rails: Fields of the suggestion that a decider may adjust, with their bounds.
        second_above_cents: Above this value, in fen, two persons are needed when a job asked; None: never.
            What a person asked needs one other person, whatever the value: that makes two.
        worth: What a suggestion is worth, in fen, where adjusting may raise it above what was asked; None: an
            adjustment only lowers what is at stake.
        asker_may_decide: Whether whoever asked may decide as well.
        is_unique: A subject is asked about once for ever (it is an idempotency key); else a newer request
            supersedes the open one and, when it takes effect, the one that is in effect.
        quiet: How long a rejected subject is not asked about again.
        watched: Field of the suggestion that ends the quiet when it moves; None: the value at stake.
        moves_bps: By how much it must move for that, in basis points of what was rejected.
    """

    name: str
    roles: frozenset[Role]
    scope: Scope
    reasons: frozenset[str]
    validity: timedelta
    rails: Mapping[str, Rail]
    second_above_cents: int | None
    worth: Callable[[Suggestion], int] | None = None
    asker_may_decide: bool = False
    is_unique: bool = False
    quiet: timedelta = timedelta(0)
    watched: str | None = None
    moves_bps: int = 0

    def approvals_needed(self, value_cents: int, *, by_a_person: bool) -> int:
        """How many persons must approve: 1 or 2."""
        above = self.second_above_cents is not None and value_cents > self.second_above_cents
        return 2 if above and not by_a_person else 1

    def persons(self, needed: int, wanted: Suggestion) -> int:
        """How many persons must approve what is wanted now.

        Args:
            needed: How many what was asked needs.
            wanted: The suggestion, adjusted or not.
        """
        if self.worth is None:
            return needed
        return max(needed, self.approvals_needed(self.worth(wanted), by_a_person=False))

    def require_decider(self, principal: Principal, party: tuple[str, str] | None) -> None:
        """Refuse a key that this kind is not for.

        Raises:
            NotAllowedError: Its role, its scopes or its party do not fit.
        """
        if principal.role not in self.roles:
            raise NotAllowedError(
                f"a {self.name} is decided by {', '.join(sorted(self.roles))}, not by {principal.role}"
            )
        if self.scope not in principal.scopes:
            raise NotAllowedError(f"deciding a {self.name} needs the scope {self.scope}")
        if principal.role in PARTY_ROLES and (party is None or not principal.owns(*party)):
            raise NotAllowedError(f"this {self.name} is not about the party of the key")

    def adjusted(self, suggestion: Suggestion, wanted: Mapping[str, int]) -> Suggestion:
        """The suggestion with other numbers.

        Args:
            suggestion: What was asked.
            wanted: Field to number.

        Raises:
            SuggestionError: A field may not be adjusted, or its number leaves the rails.
        """
        if not wanted:
            raise SuggestionError("an adjustment names at least one field")
        for field, number in wanted.items():
            rail = self.rails.get(field)
            if rail is None:
                may = ", ".join(sorted(self.rails)) or "nothing"
                raise SuggestionError(f"{field} of a {self.name} cannot be adjusted; adjustable: {may}")
            lowest, highest = _bound(suggestion, rail.lowest), _bound(suggestion, rail.highest)
            if not lowest <= number <= highest:
                raise SuggestionError(f"{field} must lie between {lowest} and {highest}, not {number}")
        return {**suggestion, **wanted}

    def has_moved(self, before: tuple[Suggestion, int], now: tuple[Suggestion, int]) -> bool:
        """Whether a rejected subject moved by more than `moves_bps`, so that it is asked about in its quiet.

        Args:
            before: Suggestion and value, in fen, that were rejected.
            now: Suggestion and value of the new request.
        """
        old, new = (
            value if self.watched is None else _number(found, self.watched) for found, value in (before, now)
        )
        return abs(new - old) * BASIS > self.moves_bps * abs(old)


def _bound(suggestion: Suggestion, bound: int | str) -> int:
    return bound if isinstance(bound, int) else _number(suggestion, bound)


def _number(suggestion: Suggestion, field: str) -> int:
    found: Any = suggestion.get(field)
    if not isinstance(found, int) or isinstance(found, bool):
        raise SuggestionError(f"the suggestion has no number {field}")
    return found
