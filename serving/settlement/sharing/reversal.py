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
    if len(reversed_before) != len(legs):
        raise RefundError(f"{len(legs)} legs but {len(reversed_before)} earlier reversals; give one per leg")
    total = sum(leg.amount_cents for leg in legs)
    if total != net_cents:
        raise RefundError(
            f"legs of {total} fen do not sum to the line's {net_cents}; give all legs of the line"
        )
    if net_cents == 0:
        return (0,) * len(legs), 0
    reversals = []
    for leg, before in zip(legs, reversed_before, strict=True):
        amount = leg.amount_cents
        if amount >= 0:
            target = amount * cumulative_refunded_cents // net_cents
        else:
            target = -(-amount * cumulative_refunded_cents // net_cents)
        step = target - before
        # A leg is never given back by a refund: an earlier reversal beyond its target is a corrupted history.
        if step * (1 if amount >= 0 else -1) < 0:
            raise RefundError(
                f"leg {leg.kind} of line {leg.line_no}: {before} fen were reversed before, "
                f"more than the {target} due at {cumulative_refunded_cents} of {net_cents} refunded"
            )
        reversals.append(step)
    return tuple(reversals), cumulative_refunded_cents - refunded_before_cents - sum(reversals)


def reverse_free_line(legs: Sequence[Reversible], reversed_before: Sequence[int]) -> tuple[int, ...]:
    """Take back the legs of a line that cost the buyer nothing, when the goods come back.

    A line of net 0 has no refunded share to scale by; its legs (supply price against subsidy) sum to 0 and
    are reversed as a whole, once.

    Raises:
        RefundError: when the legs do not sum to 0, or there is not one earlier reversal per leg.
    """
    if len(reversed_before) != len(legs) or sum(leg.amount_cents for leg in legs) != 0:
        raise RefundError("a free line's legs sum to 0 and have one earlier reversal each")
    return tuple(leg.amount_cents - before for leg, before in zip(legs, reversed_before, strict=True))
