"""Postings that the tests of the ledger book."""

import datetime as dt

from serving.ledger.accounts import AccountKind, Party
from serving.ledger.posting import Line, Posting

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
SUPPLIER = Party("supplier", "s-1")
AGENT = Party("agent", "a-1")


def sale(key, cents=10_000, *, supplier=SUPPLIER, at=NOW, order_id=None):
    """Captured money, most of it for a supplier, some for an agent and the platform."""
    agent, platform = cents // 10, cents // 20
    return Posting(
        key=key,
        kind="accrual",
        booked_at=at,
        order_id=order_id,
        lines=[
            Line(AccountKind.CHANNEL_FROZEN, -cents),
            Line(AccountKind.SUPPLIER_PENDING, cents - agent - platform, supplier),
            Line(AccountKind.AGENT_PENDING, agent, AGENT),
            Line(AccountKind.PLATFORM_FEE, platform),
        ],
    )
