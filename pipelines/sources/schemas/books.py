"""The platform's own books: settlement legs and ledger entries."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from pipelines.sources.schemas.columns import (
    Accepted,
    at,
    cents,
    enum,
    flag,
    identifier,
    small,
    text,
)

LEG_STATES = ("pending", "locked", "released", "voided")


class SettlementLegs(Accepted):
    """One row per share of one order line (or of a supplier's freight) that settlement pays to one party."""

    leg_id = identifier("the leg", "leg-1")
    order_id = identifier("the order", "o-1001")
    line_no = small("the line of the order; 0 is the freight of the supplier")
    supplier_id = identifier("whose part of the order it is released with", "s-12")
    leg_kind = text(
        "what it is: supplier, freight, channel_fee, tax, direct, upline, team, fund, platform, ...",
        "supplier",
    )
    scenario = small("profit-sharing scenario", low=1, high=8)
    rule_id = text("the plan rule; null where no rule decides", "direct", nullable=True)
    plan_id = identifier("the plan that settled the order", "default")
    plan_version = small("version of the plan", low=1)
    payee_type = enum(("platform", "supplier", "merchant", "agent"), "whom it pays")
    payee_id = identifier("the payee inside its type", "s-12")
    level = small("paid level above the seller; 0 for everybody else", high=2)
    base = text("what the rate applies to", "profit", nullable=True)
    base_cents = cents("the base", is_signed=True, nullable=True)
    rate_bps = small("the rate in basis points", nullable=True, high=10_000, unit="basis points")
    wanted_cents = cents("before any cut", is_signed=True)
    amount_cents = cents("what was accrued; negative for a subsidy", is_signed=True)
    reversed_cents = cents("what refunds took back so far, with the sign of the amount", is_signed=True)
    rounding_cents = cents(
        "what refunds of the line gave back beyond the reversals of its legs", is_signed=True
    )
    forfeited_cents = cents("what the platform holds of it instead of the payee", is_signed=True)
    cut_reason = text("why it is less than wanted", "cap", nullable=True)
    explanation = text("the formula", "10% of 1999")
    leg_state = enum(LEG_STATES, "where it stands")
    is_unfrozen = flag("whether the payment channel has unfrozen it")
    is_replaced = flag("whether other legs stand in its place since the line went to another supplier")
    accrued_at = at("when it was accrued", planned=True)
    released_at = at("when it was released", nullable=True, planned=True)

    @dy.rule()
    def reversal_within_amount(self) -> pl.Expr:
        """Refunds take back at most what was accrued."""
        amount, reversed_ = pl.col("amount_cents"), pl.col("reversed_cents")
        return (
            pl.when(amount >= 0)
            .then(reversed_.is_between(0, amount))
            .otherwise(reversed_.is_between(amount, 0))
        )


class LedgerEntries(Accepted):
    """One row per entry of a ledger transaction; the entries of a transaction sum to zero per unit."""

    entry_id = identifier("the entry: transaction and number", "tx-1-1")
    transaction_id = identifier("the transaction", "tx-1")
    entry_no = small("number of the entry in its transaction, from 1", low=1)
    transaction_kind = text("what happened: accrual, release, refund, payout, ...", "accrual")
    order_id = identifier("the order it belongs to", "o-1001", nullable=True)
    account_kind = text("kind of account", "supplier_pending")
    party_type = enum(
        ("platform", "supplier", "merchant", "agent", "consumer"), "type of the account's holder"
    )
    party_id = identifier("the account's holder inside its type; 'platform' for the platform", "s-12")
    unit = enum(("CNY", "PT"), "money of the configured currency, or points")
    amount = cents("credit when positive; points where the unit is PT, else money", is_signed=True)
    leg_id = identifier("the settlement leg, when the entry belongs to exactly one", "leg-1", nullable=True)
    booked_at = at("business time of the transaction", planned=True)
