"""Who asks, and what belongs to it. No lookup and no route here."""

from __future__ import annotations

from dataclasses import dataclass

from serving.problems import ApiError
from serving.security.roles import PARTY_ROLES, Role


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        key_id: Public part of the key; it may be logged.
        tenant_id: The only tenant whose rows the key may touch.
        role: Who the key speaks for.
        party_id: The supplier, merchant or agent of the key; None for operators and auditors.
        scopes: What the key may do.
        rate_per_s: The key's own limit, or None for the default.
        burst: The key's own burst, or None for the default.
    """

    key_id: str
    tenant_id: str
    role: Role
    party_id: str | None
    scopes: frozenset[str]
    rate_per_s: float | None = None
    burst: int | None = None

    @property
    def speaks_for(self) -> str:
        """Role and party as one word: the same for every key of a party, and for every operator's."""
        return f"{self.role}:{self.party_id or ''}"

    @property
    def merchant_id(self) -> str | None:
        """The only merchant a merchant's key may see; None for the keys of other roles."""
        return self.party_id if self.role is Role.MERCHANT else None

    def owns(self, party_type: str, party_id: str) -> bool:
        """Whether that party's things are within reach of the key.

        Args:
            party_type: `supplier`, `merchant` or `agent`.
            party_id: Id of the party.

        Returns:
            True for operators and auditors; for the key of a party only for that very party.
        """
        if self.role not in PARTY_ROLES:
            return True
        return self.role == party_type and self.party_id is not None and self.party_id == party_id

    def require_owner(self, party_type: str, party_id: str) -> None:
        """Refuse a party that the request names and the key does not speak for.

        A thing of another party that the request names by its own id is answered with 404 by its resource, so
        that ids cannot be probed.

        Args:
            party_type: `supplier`, `merchant` or `agent`.
            party_id: Id of the party, whether or not it exists.

        Raises:
            ApiError: 403 `<role of the key>-out-of-scope`.
        """
        if not self.owns(party_type, party_id):
            raise ApiError(
                403,
                f"{self.role}-out-of-scope",
                "Another party's data",
                f"This key belongs to one {self.role} and cannot reach the data of another party.",
            )

    def require_merchant(self, merchant_id: str) -> None:
        """Refuse another merchant's data.

        Raises:
            ApiError: 403, whether or not that merchant exists.
        """
        self.require_owner(Role.MERCHANT, merchant_id)
