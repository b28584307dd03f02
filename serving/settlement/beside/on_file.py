"""Parties as they are on file, for money that no order's snapshot names. Reading only."""

from __future__ import annotations

from typing import Any

import psycopg

from serving.ledger.accounts import Party
from serving.settlement.errors import UnknownPartyError
from serving.settlement.sharing import snapshot


def on_file(conn: psycopg.Connection[Any], tenant_id: str, party: Party) -> snapshot.Party:
    """The party with what decides whether it may be paid.

    Raises:
        UnknownPartyError: The tenant has no such active party.
    """
    row = conn.execute(
        "select is_natural_person, has_contract, is_verified from parties.party"
        " where tenant_id = %s and party_type = %s and party_id = %s and is_active",
        (tenant_id, *party),
    ).fetchone()
    if row is None:
        raise UnknownPartyError(
            f"there is no active {party.party_type} {party.party_id}; put the party on file first"
        )
    return snapshot.Party(
        party.party_type,  # type: ignore[arg-type]
        party.party_id,
        is_natural_person=row[0],
        has_contract=row[1],
        is_verified=row[2],
    )
