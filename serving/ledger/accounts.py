"""Kinds of accounts, parties, and the ids of their accounts. Nothing is booked here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import psycopg


class AccountKind(StrEnum):
    """The accounts of a tenant; unit, guard and meaning stand in `ledger.account_kind`."""

    CHANNEL_FROZEN = "channel_frozen"
    CHANNEL_AVAILABLE = "channel_available"
    CLAWBACK_RECEIVABLE = "clawback_receivable"
    SUPPLIER_PENDING = "supplier_pending"
    SUPPLIER_AVAILABLE = "supplier_available"
    MERCHANT_PENDING = "merchant_pending"
    MERCHANT_AVAILABLE = "merchant_available"
    MERCHANT_LOCKED = "merchant_locked"
    AGENT_PENDING = "agent_pending"
    AGENT_AVAILABLE = "agent_available"
    AGENT_LOCKED = "agent_locked"
    DEPOSIT = "deposit"
    GUARANTEE = "guarantee"
    SUPPORT_FUND = "support_fund"
    PLATFORM_FEE = "platform_fee"
    PLATFORM_ROUNDING = "platform_rounding"
    PENALTY = "penalty"
    SUBSIDY = "subsidy"
    BAD_DEBT = "bad_debt"
    CHANNEL_FEE = "channel_fee"
    TAX_WITHHELD = "tax_withheld"
    PAYOUT_IN_TRANSIT = "payout_in_transit"
    REFUND_IN_TRANSIT = "refund_in_transit"
    RECONCILIATION_SUSPENSE = "reconciliation_suspense"
    CONSUMER_POINTS = "consumer_points"
    POINTS_LIABILITY = "points_liability"

    @property
    def unit(self) -> str:
        """`CNY` (fen) or `PT` (points)."""
        return "PT" if self in {AccountKind.CONSUMER_POINTS, AccountKind.POINTS_LIABILITY} else "CNY"


class Party(NamedTuple):
    """Who holds an account: a supplier, merchant, agent or consumer, or the platform."""

    party_type: str
    party_id: str


PLATFORM = Party("platform", "")
_OF_PLATFORM = (
    AccountKind.CHANNEL_FROZEN,
    AccountKind.CHANNEL_AVAILABLE,
    AccountKind.SUPPORT_FUND,
    AccountKind.PLATFORM_FEE,
    AccountKind.PLATFORM_ROUNDING,
    AccountKind.PENALTY,
    AccountKind.SUBSIDY,
    AccountKind.BAD_DEBT,
    AccountKind.CHANNEL_FEE,
    AccountKind.TAX_WITHHELD,
    AccountKind.PAYOUT_IN_TRANSIT,
    AccountKind.REFUND_IN_TRANSIT,
    AccountKind.RECONCILIATION_SUSPENSE,
    AccountKind.POINTS_LIABILITY,
)


def pending(party: Party) -> AccountKind:
    """Where shares of a supplier, merchant or agent wait for their release."""
    return AccountKind(f"{party.party_type}_pending")


def available(party: Party) -> AccountKind:
    """Where released shares of a supplier, merchant or agent lie until they are paid out."""
    return AccountKind(f"{party.party_type}_available")


def locked(party: Party) -> AccountKind:
    """Where shares of a merchant or agent lie that a rule has yet to unlock."""
    return AccountKind(f"{party.party_type}_locked")


class AccountBook:
    """Ids of the accounts of one tenant, opened when first asked for, remembered while the book lives.

    An id that was opened in a transaction that is rolled back is forgotten by whoever throws the book away;
    keep a book no longer than a transaction unless every account in it is known to be committed.
    """

    def __init__(self, conn: psycopg.Connection, tenant_id: str) -> None:
        self._conn = conn
        self._tenant_id = tenant_id
        self._ids: dict[tuple[str, Party], int] = {}

    def ids(self, wanted: Iterable[tuple[AccountKind, Party]]) -> list[int]:
        """Account ids in the order asked for."""
        asked = list(wanted)
        missing = {key for key in asked if key not in self._ids}
        if any(party == PLATFORM for _, party in missing):
            # All of the platform's at once, with the first order of a tenant: one that were opened while
            # balances are locked would stand below them in the order of locks.
            missing |= {(kind, PLATFORM) for kind in _OF_PLATFORM if (kind, PLATFORM) not in self._ids}
        if missing:
            opened = sorted(missing)
            # Opened in sorted order, so that two transactions never wait for each other in a circle.
            rows = self._conn.execute(
                "select w.kind, w.party_type, w.party_id, coalesce(a.account_id,"
                " ledger.open_account(%(tenant)s, w.kind, w.party_type, w.party_id))"
                " from unnest(%(kinds)s::text[], %(types)s::text[], %(parties)s::text[])"
                " with ordinality as w (kind, party_type, party_id, position)"
                " left join ledger.account a on a.tenant_id = %(tenant)s and a.kind = w.kind"
                " and a.party_type = w.party_type and a.party_id = w.party_id order by w.position",
                {
                    "tenant": self._tenant_id,
                    "kinds": [kind for kind, _ in opened],
                    "types": [party.party_type for _, party in opened],
                    "parties": [party.party_id for _, party in opened],
                },
            )
            for kind, party_type, party_id, account_id in rows:
                self._ids[kind, Party(party_type, party_id)] = account_id
        return [self._ids[key] for key in asked]
