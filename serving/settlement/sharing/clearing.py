"""Scenario 8 between merchants: points burnt away from home, and claims on the guarantee fund. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.settlement.errors import SnapshotError
from serving.settlement.sharing.rounding import largest_remainder


@dataclass(frozen=True, slots=True)
class PointsClearing:
    """What the issuer of points owes the merchant where they were burnt; `points` in PT, 1 PT = 1 fen."""

    issuer_merchant_id: str
    burning_merchant_id: str
    points: int


@dataclass(frozen=True, slots=True)
class GuaranteeClaim:
    """What a buyer is owed by a merchant who does not pay, fen."""

    claim_id: str
    cents: int


@dataclass(frozen=True, slots=True)
class GuaranteeClearing:
    """How one claim is met, fen; the three amounts sum to the claim. `unpaid_cents` stays a receivable."""

    claim_id: str
    own_cents: int
    fund_cents: int
    unpaid_cents: int


def clear_points(
    burning_merchant_id: str, points: int, issued: Mapping[str, int]
) -> tuple[PointsClearing, ...]:
    """Who pays for points burnt at one merchant.

    The burnt points are drawn from the buyer's points in proportion to who issued them, by largest remainder
    (ties by merchant id). What the burning merchant issued himself needs no clearing.

    Args:
        burning_merchant_id: Where the points were burnt.
        points: How many, PT.
        issued: Issuer to the buyer's points of him still unburnt, PT.

    Raises:
        SnapshotError: when more is burnt than the buyer has.

    Source: P16; scenario 8.
    """
    if not 0 <= points <= sum(issued.values()) or any(held < 0 for held in issued.values()):
        raise SnapshotError(f"{points} PT cannot be burnt of {dict(issued)}; burn at most what is held")
    if points == 0:
        return ()
    issuers = sorted(issued)
    shares = largest_remainder(points, [issued[issuer] for issuer in issuers])
    return tuple(
        PointsClearing(issuer, burning_merchant_id, share)
        for issuer, share in zip(issuers, shares, strict=True)
        if share and issuer != burning_merchant_id
    )


def clear_guarantee(
    claims: Sequence[GuaranteeClaim], own_guarantee_cents: int, fund_cents: int
) -> tuple[GuaranteeClearing, ...]:
    """Meet claims against one merchant: first from his own guarantee, then from the common fund.

    When a pot is too small it is spread over the claims by largest remainder, ties in the given order.

    Raises:
        SnapshotError: for a negative claim or pot.

    Source: scenario 8.
    """
    if min([own_guarantee_cents, fund_cents, *(claim.cents for claim in claims)]) < 0:
        raise SnapshotError("claims and guarantee pots cannot be negative")
    if not claims:
        return ()
    amounts = [claim.cents for claim in claims]
    own = largest_remainder(min(own_guarantee_cents, sum(amounts)), amounts)
    open_amounts = [amount - share for amount, share in zip(amounts, own, strict=True)]
    fund = largest_remainder(min(fund_cents, sum(open_amounts)), open_amounts)
    return tuple(
        GuaranteeClearing(claim.claim_id, mine, ours, claim.cents - mine - ours)
        for claim, mine, ours in zip(claims, own, fund, strict=True)
    )
