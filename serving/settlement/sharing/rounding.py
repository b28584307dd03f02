"""The rounding rules of settlement, in int fen and int basis points.

Every division of money happens through one of these functions or their inlined form `x * bps // 10000`.
No plan, leg or account is known here.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.settlement.errors import RoundingError

FULL_BPS = 10_000


def _check(amount_cents: int, rate_bps: int) -> None:
    if amount_cents < 0 or not 0 <= rate_bps <= FULL_BPS:
        raise RoundingError(
            f"cannot take {rate_bps} bps of {amount_cents} fen: the amount must be >= 0, the rate 0..10000"
        )


def floor_bps(amount_cents: int, rate_bps: int) -> int:
    """A percentage leg: `amount x rate`, floored to the fen.

    Raises:
        RoundingError: for a negative amount or a rate outside 0..10000 bps.

    >>> floor_bps(10585, 2000)
    2117
    """
    _check(amount_cents, rate_bps)
    return amount_cents * rate_bps // FULL_BPS


def round_half_up_bps(amount_cents: int, rate_bps: int) -> int:
    """A payment channel's fee: `amount x rate`, half a fen rounded up.

    Raises:
        RoundingError: for a negative amount or a rate outside 0..10000 bps.

    >>> round_half_up_bps(23660, 60)
    142
    """
    _check(amount_cents, rate_bps)
    return (2 * amount_cents * rate_bps + FULL_BPS) // (2 * FULL_BPS)


def largest_remainder(total_cents: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Spread `total_cents` over positions in proportion to `weights`, losing no fen.

    Each position gets its floored share; the fen left go one each to the largest remainders, ties to the
    earlier position. If all weights are 0 every position weighs the same.

    Returns:
        One amount per weight, fen, in the same order; they sum to `total_cents`.

    Raises:
        RoundingError: for a negative total or weight, or no positions at all.

    >>> largest_remainder(5000, [12900, 8990, 5970])
    (2315, 1613, 1072)
    """
    if not weights or total_cents < 0 or min(weights) < 0:
        raise RoundingError(f"cannot spread {total_cents} fen over weights {list(weights)}")
    if len(weights) == 1:
        return (total_cents,)
    whole = sum(weights)
    if whole == 0:
        weights = [1] * len(weights)
        whole = len(weights)
    shares: list[int] = []
    remainders: list[int] = []
    for weight in weights:
        share, remainder = divmod(total_cents * weight, whole)
        shares.append(share)
        remainders.append(remainder)
    left = total_cents - sum(shares)
    if left:
        # sorted() is stable, so equal remainders keep the order of their positions.
        for position in sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)[:left]:
            shares[position] += 1
    return tuple(shares)
