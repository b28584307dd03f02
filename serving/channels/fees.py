"""What a channel keeps of a payment, by contract. Bills are compared with it by the reconciliation."""

from __future__ import annotations


def contract_fee(amount_cents: int, fee_bps: int) -> int:
    """The fee in fen: the rate of the contract, half a fen up, as channels round per payment.

    Args:
        amount_cents: The payment, 0 or more.
        fee_bps: 0 to 10000.
    """
    return (amount_cents * fee_bps + 5_000) // 10_000
