"""Taking legs back in proportion to a refund, exact after the last one. Knows no ledger and no leg states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serving.settlement.errors import RefundError


class Reversible(Protocol):
    """A leg, fresh from the waterfall or read back from the books."""

    @property
    def line_no(self) -> int:
        """The order line; 0 is freight."""

    @property
    def kind(self) -> str:
        """What the leg is."""

    @property
    def amount_cents(self) -> int:
        """What it was accrued with, fen."""


def reverse_line(
    legs: Sequence[Reversible],
    net_cents: int,
    cumulative_refunded_cents: int,
    reversed_before: Sequence[int],
    refunded_before_cents: int,
) -> tuple[tuple[int, ...], int]:
    """What one refund takes back from each leg of one line (or of one supplier's freight).

    Per leg: `floor(|leg| x cumulative / net) - reversed before`, with the leg's sign, so negative legs round
    toward zero. Cumulative amounts make any split of a refund end at the same figures, and a full refund take
    back each leg exactly.

    Args:
        legs: All legs of the line; their amounts sum to `net_cents`.
        net_cents: What was paid for the line (or freight), fen.
        cumulative_refunded_cents: Refunded so far with this refund, fen.
        reversed_before: What earlier refunds took back, one signed amount per leg, fen.
        refunded_before_cents: Refunded so far without this refund, fen.

    Returns:
        The reversals, one per leg, signed like the leg (fen), and the rounding of this refund: what is
        refunded less the sum of reversals. The rounding is booked to the platform's rounding account, whose
        sum over all refunds of the line is exactly 0 once all is refunded.

    Raises:
        RefundError: when the refund shrinks, exceeds the line, or the inputs do not belong together.

    Source: common rules, refund; L8, L9.
    """
    if not 0 <= refunded_before_cents <= cumulative_refunded_cents <= net_cents:
        raise RefundError(
            f"cannot refund up to {cumulative_refunded_cents} fen after {refunded_before_cents} "
            f"of a line of {net_cents}: refunds only grow and never exceed what was paid"
        )
    _check_legs(legs, net_cents, reversed_before)
    if net_cents == 0:
        return (0,) * len(legs), 0
    reversals = _steps(legs, cumulative_refunded_cents, net_cents, reversed_before)
    return reversals, cumulative_refunded_cents - refunded_before_cents - sum(reversals)


def reverse_free_line(
    legs: Sequence[Reversible], qty: int, units_gone: int, reversed_before: Sequence[int]
) -> tuple[tuple[int, ...], int]:
    """What is taken back from each leg of a line that cost the buyer nothing, once so many units are gone.

    A line of net 0 (supply price against subsidy) has no refunded share to scale by: its units stand for it.
    Per leg `floor(|leg| x units gone / units of the line) - reversed before`, with the leg's sign.

    Args:
        legs: All legs of the line; their amounts sum to 0.
        qty: Units of the line.
        units_gone: Units that are gone with this refund, all told.
        reversed_before: What earlier refunds took back, one signed amount per leg, fen.

    Returns:
        As of `reverse_line`: the reversals and the rounding, which is exactly 0 over all refunds of the line
        once all units are gone.

    Raises:
        RefundError: when more units are gone than the line has, or the inputs do not belong together.
    """
    if not 0 <= units_gone <= qty:
        raise RefundError(f"{units_gone} units cannot be gone of a line of {qty}")
    _check_legs(legs, 0, reversed_before)
    reversals = _steps(legs, units_gone, qty, reversed_before)
    return reversals, -sum(reversals)


def _check_legs(legs: Sequence[Reversible], net_cents: int, reversed_before: Sequence[int]) -> None:
    if len(reversed_before) != len(legs):
        raise RefundError(f"{len(legs)} legs but {len(reversed_before)} earlier reversals; give one per leg")
    total = sum(leg.amount_cents for leg in legs)
    if total != net_cents:
        raise RefundError(
            f"legs of {total} fen do not sum to the line's {net_cents}; give all legs of the line"
        )


def _steps(
    legs: Sequence[Reversible], gone: int, whole: int, reversed_before: Sequence[int]
) -> tuple[int, ...]:
    """From what was reversed before to what is due at so much of the whole, per leg, fen."""
    steps = []
    for leg, before in zip(legs, reversed_before, strict=True):
        amount = leg.amount_cents
        sign = 1 if amount >= 0 else -1
        target = sign * (abs(amount) * gone // whole)
        # A leg is never given back by a refund: an earlier reversal beyond its target is a corrupted history.
        if (target - before) * sign < 0:
            raise RefundError(
                f"leg {leg.kind} of line {leg.line_no}: {before} fen were reversed before, "
                f"more than the {target} due at {gone} of {whole} refunded"
            )
        steps.append(target - before)
    return tuple(steps)
