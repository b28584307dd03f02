"""Settings of the suggested transfers. All numbers are ours."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """What a transfer is judged by.

    Attributes:
        horizon_days: Days from now whose demand a transfer may serve.
        keep_days: Days of its own demand that a warehouse keeps.
        demand_days: Days of the past that tell the demand of a day.
        handling_cents: Taking a unit out and putting it in, fen.
        freight_bps: Freight of a unit among many, in basis points of what the way costs a single parcel.
        least_cents: What a transfer has to spare beyond what it costs to be worth a trip, fen.

    Raises:
        ModelError: A number is out of range.
    """

    horizon_days: int = 14
    keep_days: int = 14
    demand_days: int = 28
    handling_cents: int = 20
    freight_bps: int = 3_500
    least_cents: int = 2_000

    def __post_init__(self) -> None:
        if self.horizon_days < 1 or self.demand_days < 1:
            raise ModelError("horizon_days and demand_days of transfers must be 1 or more")
        if min(self.keep_days, self.handling_cents, self.freight_bps, self.least_cents) < 0:
            raise ModelError("keep_days, handling_cents, freight_bps and least_cents must not be below 0")
