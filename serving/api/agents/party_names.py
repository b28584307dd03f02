"""How a request names a party, and the party on file behind it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from serving.ledger.accounts import Party
from serving.orders.contracts import Id

PartyType = Literal["supplier", "merchant", "agent"]
Amount = Annotated[int, Meta(ge=1, le=10**12, description="Fen, above 0.")]


class PartyName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party of the tenant."""

    party_type: PartyType
    party_id: Id

    @property
    def party(self) -> Party:
        """The party as the books name it."""
        return Party(self.party_type, self.party_id)
