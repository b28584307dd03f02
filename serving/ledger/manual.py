"""Postings by hand as codes and numbers, so that they can wait for a second pair of eyes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from serving.ledger.accounts import PLATFORM, AccountKind, Party
from serving.ledger.errors import PostingRefusedError
from serving.ledger.posting import Line, Posting, check_lines


def suggestion_of(posting: Posting) -> dict[str, Any]:
    """The posting without its key.

    Raises:
        PostingRefusedError: It is no transaction, or names a party that cannot have the account.
    """
    check_lines(posting)
    for line in posting.lines:
        # Accounts of the platform have no party, all others need one.
        if (line.party.party_type == PLATFORM.party_type) != (line.party.party_id == PLATFORM.party_id):
            raise PostingRefusedError(
                f"an entry on {line.kind} names party {line.party.party_type} {line.party.party_id!r}: "
                "the platform has no id, every other party needs one"
            )
    return {
        "kind": posting.kind,
        "booked_at": posting.booked_at.isoformat(),
        "order_id": posting.order_id,
        **posting.details,
        "entries": [
            {
                "account": str(line.kind),
                "amount_cents": line.amount_cents,
                "party_type": line.party.party_type,
                "party_id": line.party.party_id,
            }
            for line in posting.lines
        ],
    }


def posting_of(key: str, suggestion: Mapping[str, Any]) -> Posting:
    """The posting that `suggestion_of` described."""
    return Posting(
        key,
        suggestion["kind"],
        datetime.fromisoformat(suggestion["booked_at"]),
        [
            Line(
                AccountKind(entry["account"]),
                entry["amount_cents"],
                Party(entry["party_type"], entry["party_id"]),
            )
            for entry in suggestion["entries"]
        ],
        suggestion["order_id"],
        {name: suggestion[name] for name in DETAILS if name in suggestion},
    )


DETAILS = ("reason_code", "reference_id")
"""What a posting by hand tells the reader of the ledger."""


def moved_cents(posting: Posting) -> int:
    """What a posting moves: the sum of its credits, fen (points count as fen)."""
    return sum(line.amount_cents for line in posting.lines if line.amount_cents > 0)
